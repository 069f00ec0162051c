import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { Engine } from '../../src/eventsourcing/engine.ts';
import { Checkpoints } from '../../src/eventsourcing/followers/checkpoints.ts';
import type { LiveSubscription } from '../../src/eventsourcing/live/live-subscription.ts';
import { StorageCodec } from '../../src/eventsourcing/log/codec.ts';
import type { Projection } from '../../src/eventsourcing/projections/projection.ts';
import { ReadRows } from '../../src/eventsourcing/projections/read-table.ts';
import { type Database, type DatabaseSettings, openDatabase } from '../../src/platform/database.ts';
import { type MeddledDatabase, meddleWith } from '../support/meddled-database.ts';
import { lettersOf, type Poison, parkedOf, poisonedProjection, SOON } from '../support/poison.ts';
import { describeServerStore, openMigrated, type TestStore } from '../support/stores.ts';
import { byKey, foldLog } from '../support/tables.ts';
import { emptyTallyStore, type TallyRow, tallyProjection } from '../support/tally.ts';
import { request, startTallyEngine, succeeded, type TallyEngineOptions } from '../support/tally-engine.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { within } from '../support/within.ts';

/** Longer than any test: nothing is taken over because it ran out. */
const LONG_LEASE = 600;
/** As a server looks for what it may not have heard of. */
const LOOKS = /^SELECT epoch|keep_alive|own_followers/;
/** As it looks whether there is anything new in the log. */
const POLLS = /^SELECT epoch/;

const owners = z.array(z.object({ name: z.string(), owner: z.string().nullable() }));
const ids = z.array(z.object({ id: z.string() }));
const listeners = z.array(z.object({ pid: z.number() }));

describeServerStore('Engines on one store', (kind) => {
  const projection = tallyProjection();
  const other = tallyProjection({ tableName: 'tally_other' });
  let store: TestStore;
  /** The test's own. */
  let database: Database;
  const closing: (() => Promise<unknown>)[] = [];

  beforeEach(async () => {
    store = await kind.create();
    database = await openMigrated(store);
    closing.push(store.remove, database.close);
    await emptyTallyStore(database);
  });
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  async function open(settings: DatabaseSettings = store.settings): Promise<MeddledDatabase> {
    const opened = meddleWith(await openDatabase(settings));
    closing.push(opened.close);
    return opened;
  }
  async function start(opened: Database, options: TallyEngineOptions = {}): Promise<Engine> {
    const engine = await startTallyEngine(opened, { projections: [projection], leaseSeconds: LONG_LEASE, ...options });
    closing.push(() => engine.stop());
    return engine;
  }
  const settled = async (check: () => unknown, timeout = 10_000) => vi.waitFor(check, { timeout, interval: 5 });
  const add = async (engine: Engine, tallyId: string, amount = 1, note = '') =>
    succeeded(await engine.executor.execute(request('Add', { tallyId, amount, note }))).receipt.position ?? 0;
  const follower = (engine: Engine, of: Projection<TallyRow> = projection) => engine.view(of).follower;
  const ownersOf = async () =>
    owners.parse(await database.log.query('SELECT name, owner FROM checkpoints ORDER BY name'));
  const nodeIds = async () => ids.parse(await database.log.query('SELECT id FROM nodes')).map(({ id }) => id);
  const listening = async () => {
    const sql = `SELECT pid FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'cartstream listener' AND query LIKE 'LISTEN%'`;
    return listeners.parse(await database.log.query(sql)).map(({ pid }) => pid);
  };
  const rowsOf = (of: Projection<TallyRow> = projection) =>
    new ReadRows(of.table, database.derived, new StorageCodec());
  const expectTableToBeFold = async (engine: Engine) =>
    expect(byKey(projection, await rowsOf().find(''))).toEqual(await foldLog(projection, engine.log));

  /** Two that hear each other, and learn nothing by looking from time to time. */
  async function startBlind(options: TallyEngineOptions = {}, blindTo = LOOKS): Promise<[Engine, Engine]> {
    const opened = [await open(), await open()] as const;
    const engines: [Engine, Engine] = [await start(opened[0], options), await start(opened[1], options)];
    await settled(async () => expect(await listening()).toHaveLength(2));
    // The looks of the start are over.
    for (const engine of engines) await add(engine, 'first');
    for (const engine of engines) expect(await follower(engine).reach(2, 10_000)).toBe(true);
    expect(engines.map((it) => follower(it).isOwner)).toEqual([true, false]);
    for (const it of opened) {
      it.onAnswer = (sql) => {
        if (blindTo.test(sql)) throw new Error('Do not look.');
      };
    }
    return engines;
  }

  async function watch(engine: Engine, key: string): Promise<LiveSubscription<TallyRow>> {
    const subscription = await engine.view(projection).live.subscribe(key);
    if (subscription === undefined) throw new Error(`There is no row ${key}.`);
    closing.push(() => subscription.return());
    expect((await subscription.next()).value?.row.id).toBe(key);
    return subscription;
  }

  it('share the followers: each has one owner', async () => {
    const options = { projections: [projection, other] };
    const databases = await Promise.all([open(), open(), open()]);
    const engines = await Promise.all(databases.map((it) => start(it, options)));
    const found = await ownersOf();
    expect(found.map(({ name }) => name)).toEqual(['projection:test.tally_other', 'projection:test.tally_view']);
    expect(await nodeIds()).toEqual(expect.arrayContaining(found.map(({ owner }) => owner)));
    for (const of of [projection, other]) {
      expect(engines.filter((it) => follower(it, of).isOwner)).toHaveLength(1);
    }
    await Promise.all(engines.map((engine, at) => add(engine, `${at}`)));
    for (const engine of engines) expect(await engine.reachAll(['TallyAdded'], 3, 10_000)).toBe(true);
    await expectTableToBeFold(engines[0] ?? (await start(await open())));
  });

  it('show each other what they did, and whom it concerns is told, by word alone', async () => {
    const engines = await startBlind();
    const watchers = await Promise.all(engines.map((it) => watch(it, 'first')));
    for (const [round, writer] of [...engines, ...engines].entries()) {
      const position = await add(writer, 'first', 10 + round);
      for (const engine of engines) {
        expect(await engine.reachAll(['TallyAdded'], position, 10_000)).toBe(true);
        expect((await engine.view(projection).readCommitted('first'))?.amounts.at(-1)).toBe(10 + round);
      }
      for (const watcher of watchers) {
        const { value } = await within(10_000, 'the watcher is told', watcher.next());
        expect(value?.events.map((event) => event.position)).toEqual([position]);
      }
    }
  });

  it('pass what concerns none of their projections on their own, also where it came in the middle of a look', async () => {
    const deaf = tallyProjection({ eventTypes: ['TallyAdded'] });
    const [one, two] = await startBlind({ projections: [deaf] });
    // The next look at the log begins before there is anything new, and is answered after.
    const { readAfter } = two.log;
    const [read, release] = [new EventEmitter(), new EventEmitter()];
    const isRead = once(read, 'read');
    two.log.readAfter = async (position, limit) => {
      const events = await readAfter.call(two.log, position, limit);
      if (position < 3) return events;
      read.emit('read');
      await once(release, 'release');
      return events;
    };
    expect(await follower(two).reach(await add(one, 'a'), 10_000)).toBe(true);
    await isRead;
    succeeded(await one.executor.execute(request('Lock', { tallyId: 'a' })));
    await settled(() => expect(two.tail.head).toBe(4));
    two.log.readAfter = readAfter;
    release.emit('release');
    expect(await follower(two).reach(4, 5_000)).toBe(true);
  });

  it('do not go back because of a look that was outdated when it was answered', async () => {
    const [one, two] = await startBlind();
    const [row] = await ownersOf();
    const position = await add(one, 'a');
    expect(await follower(two).reach(position, 10_000)).toBe(true);
    const outdated = {
      name: '',
      version: 1,
      position: 2,
      owner: row?.owner ?? null,
      attempted: -1,
      parkedChanges: 0,
      rowsVersion: 1,
      generation: 0,
    };
    follower(two).update(outdated, randomUUID());
    for (let turn = 0; turn < 50; turn += 1) {
      await nextTurn();
      expect(follower(two).position).toBe(position);
    }
  });

  it('know of each other which rows are parked, as soon as they know the position', async () => {
    const broken = new Map<string, Poison>([['poison', 'fold']]);
    const poisoned = poisonedProjection(broken);
    const options = { projections: [poisoned], eventRetries: SOON };
    const [, two] = await startBlind(options);
    const position = await add(two, 'a', 1, 'poison');
    expect(await follower(two).reach(position, 10_000)).toBe(true);
    expect(await two.view(poisoned).isParked('a')).toBe(true);
    expect(await two.view(poisoned).readUpToDate('a')).toBeUndefined();
    expect(await lettersOf(database)).toEqual([expect.objectContaining({ position, attempts: SOON.maxAttempts })]);
  });

  it('hand over at once what one of them had when it is stopped', async () => {
    const [one, two] = await startBlind({}, POLLS);
    await one.stop();
    await settled(() => expect(follower(two).isOwner).toBe(true));
    expect(await nodeIds()).toEqual((await ownersOf()).map(({ owner }) => owner));
    expect(await follower(two).reach(await add(two, 'a'), 10_000)).toBe(true);
    await expectTableToBeFold(two);
  });

  it('take over from one that vanished; what it still writes changes nothing, and it comes back as another', async () => {
    if (store.settings.engine !== 'postgresql') throw new Error('It is another engine.');
    const proxy = await TcpProxy.start(store.settings.url);
    closing.push(() => proxy.cut());
    const [mine, others] = [await open({ engine: 'postgresql', url: proxy.url }), await open()];
    const one = await start(mine, { leaseSeconds: 1 });
    const two = await start(others, { leaseSeconds: 1 });
    expect(await follower(two).reach(await add(one, 'a', 1), 10_000)).toBe(true);
    const [before] = await ownersOf();
    const owner = before?.owner ?? '';
    expect(await nodeIds()).toContain(owner);
    await proxy.cut();
    await settled(() => expect(follower(two).isOwner).toBe(true));
    expect(await follower(two).reach(await add(two, 'a', 2), 10_000)).toBe(true);
    expect(await nodeIds()).not.toContain(owner);

    // As if its connections had not been cut, and it did not know yet.
    const row: TallyRow = { id: 'a', amounts: [99], isLocked: false, version: 9, position: 9 };
    const move = { name: before?.name ?? '', version: 1, owner, from: 2, to: 9, parking: undefined, now: new Date() };
    for (const parking of [undefined, { parked: [{ position: 9, lane: 'a' }] }]) {
      expect(await rowsOf().save([row], { ...move, parking })).toBe(false);
    }
    const checkpoints = new Checkpoints(database.derived, move.name, 1);
    expect(await checkpoints.attempt(owner, 3)).toBeUndefined();
    expect(await checkpoints.move(owner, 2, 9)).toBe(false);
    await checkpoints.release(owner);
    expect(await parkedOf(database, projection)).toEqual([]);
    await expectTableToBeFold(two);

    await proxy.restore();
    expect(await follower(one).reach(2, 10_000)).toBe(true);
    expect(await follower(one).reach(await add(one, 'a', 3), 10_000)).toBe(true);
    await settled(async () => expect(await nodeIds()).toHaveLength(2));
    expect(await nodeIds()).not.toContain(owner);
    expect([one, two].map((it) => follower(it).isOwner)).toEqual([false, true]);
    await expectTableToBeFold(two);
  });

  it('take over from one that says nothing any more, though it still works: no event is lost or doubled', async () => {
    const [mine, others] = [await open(), await open()];
    const one = await start(mine, { leaseSeconds: 1 });
    const two = await start(others, { leaseSeconds: 1 });
    const speechless = new EventEmitter();
    mine.onAnswer = async (sql) => {
      if (sql.includes('keep_alive')) await once(speechless, 'speaks');
    };
    for (let amount = 1; !follower(two).isOwner; amount += 1) {
      await Promise.all([add(one, 'a', amount), add(two, 'b', amount)]);
    }
    const positions = await Promise.all([one, two, one, two].map((engine) => add(engine, 'a')));
    for (const engine of [one, two]) expect(await follower(engine).reach(Math.max(...positions), 10_000)).toBe(true);
    expect(follower(one).isOwner).toBe(false);
    await expectTableToBeFold(two);
    mine.onAnswer = () => {};
    speechless.emit('speaks');
    await settled(async () => expect(await nodeIds()).toHaveLength(2));
    expect([one, two].map((it) => follower(it).isOwner)).toEqual([false, true]);
  });

  it('hear each other again where the connection that listens was lost', async () => {
    const [one, two] = await startBlind();
    const lost = await listening();
    await database.log.query('SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid', lost);
    await settled(async () => {
      const found = await listening();
      expect(found).toHaveLength(2);
      expect(found.filter((pid) => lost.includes(pid))).toEqual([]);
    });
    for (const writer of [one, two]) {
      const position = await add(writer, 'first');
      for (const engine of [one, two]) expect(await follower(engine).reach(position, 10_000)).toBe(true);
    }
  });

  it('learn of each other by looking where they hear nothing', async () => {
    const deaf = () => ({ isListening: false, stop: async () => {} });
    const [one, two] = [
      await start({ ...(await open()), listen: deaf }),
      await start({ ...(await open()), listen: deaf }),
    ];
    expect(await follower(two).reach(await add(one, 'a'), 10_000)).toBe(true);
    const watchers = [await watch(one, 'a'), await watch(two, 'a')];
    for (const writer of [one, two]) {
      const position = await add(writer, 'a');
      for (const engine of [one, two]) expect(await follower(engine).reach(position, 10_000)).toBe(true);
      for (const watcher of watchers) {
        const { value } = await within(10_000, 'the watcher is told', watcher.next());
        expect(value?.events.map((event) => event.position)).toEqual([position]);
      }
    }
    await one.stop();
    await settled(() => expect(follower(two).isOwner).toBe(true));
  });
});
