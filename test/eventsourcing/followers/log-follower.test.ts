import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { Engine } from '../../../src/eventsourcing/engine.ts';
import { RowParked } from '../../../src/eventsourcing/live/live-hub.ts';
import type { LiveSubscription } from '../../../src/eventsourcing/live/live-subscription.ts';
import { StorageCodec } from '../../../src/eventsourcing/log/codec.ts';
import type { Projection } from '../../../src/eventsourcing/projections/projection.ts';
import { ReadRows } from '../../../src/eventsourcing/projections/read-table.ts';
import type { Database } from '../../../src/platform/database.ts';
import { unitOf } from '../../support/append-units.ts';
import { bundleScript, type ScriptFile } from '../../support/bundle.ts';
import { atDesk, createDesk } from '../../support/desk.ts';
import { caughtUp, lettersOf, POISONS, type Poison, parkedOf, poisonedProjection, SOON } from '../../support/poison.ts';
import { rebuildOf, untilRebuild } from '../../support/rebuilds.ts';
import { describeEachStore, openMigrated, type TestStore } from '../../support/stores.ts';
import { byKey, foldEvents } from '../../support/tables.ts';
import { emptyTallyStore, type TallyRow, tallyProjection, tallyStream } from '../../support/tally.ts';
import { readWholeLog, request, startTallyEngine, succeeded, tallyLog } from '../../support/tally-engine.ts';
import { within } from '../../support/within.ts';

const noted = z.object({ note: z.string().optional() });
const IDS = ['a/1', 'a/2', 'b/1'];
const step = fc.record({
  kind: fc.constantFrom(
    ...(['add', 'add', 'add', 'add', 'poison', 'poison', 'mend', 'mend', 'retry', 'retry', 'retry', 'drop'] as const),
    ...(['settle', 'settle', 'settle', 'restart', 'rebuild'] as const),
  ),
  id: fc.constantFrom(...IDS),
  which: fc.nat({ max: 5 }),
  what: fc.constantFrom(...POISONS),
});
/** One row of all streams whose ids begin alike. */
const rowOf = (id: string) => id.split('/')[0] ?? id;
const sharedRows: Partial<Projection<TallyRow>> = {
  keyOf: ({ aggregateId }) => rowOf(aggregateId),
  evolveRow: (row, event) => {
    const after = tallyProjection().evolveRow(row, event);
    return after && { ...after, id: rowOf(event.aggregateId) };
  },
  streamsOf: ({ id }) => IDS.filter((it) => rowOf(it) === id).map(tallyStream),
};

describeEachStore('An event that breaks a projection', (kind) => {
  let store: TestStore;
  let database: Database;
  /** Notes of events that break something, until they are mended. */
  let broken: Map<string, Poison>;
  let projection: Projection<TallyRow>;
  let tried: string[];
  let amount: number;
  let poisons: number;
  let engine: Engine;
  const closing: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    store = await kind.create();
    database = await openMigrated(store);
  });
  beforeEach(async () => {
    await emptyTallyStore(database);
    broken = new Map();
    tried = [];
    [amount, poisons] = [0, 0];
    projection = poisonedProjection(broken, {}, (note) => tried.push(note));
    engine = await start();
  });
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });
  afterAll(async () => {
    await database.close();
    await store.remove();
  });

  async function start(...others: Projection<TallyRow>[]): Promise<Engine> {
    const options = { aggregates: [createDesk()], eventRetries: SOON };
    const started = await startTallyEngine(database, { ...options, projections: [projection, ...others] });
    closing.push(() => started.stop());
    return started;
  }
  const restart = async (...others: Projection<TallyRow>[]) => {
    await engine.stop();
    engine = await start(...others);
  };
  /** Adds another amount each time, so that rows show any change of order. @returns the position of its event */
  const add = async (tallyId: string, note = '') => {
    amount += 1;
    return succeeded(await engine.executor.execute(request('Add', { tallyId, amount, note }))).receipt.position ?? 0;
  };
  /** Adds something that breaks the projection, each with another note. */
  const poison = (tallyId: string, poison: Poison = 'fold') => {
    const note = `${poison} ${poisons}`;
    poisons += 1;
    broken.set(note, poison);
    return add(tallyId, note);
  };
  const reached = () => caughtUp(engine, projection);
  const parked = () => parkedOf(database, projection);
  const retry = async () => {
    const open = (await lettersOf(database)).filter(({ status }) => status === 'OPEN');
    succeeded(await atDesk(engine, 'Retry', { letters: open.map(({ id }) => id) }));
  };
  const dropFirst = async () => {
    const [letter] = (await lettersOf(database)).filter(({ status }) => status === 'OPEN');
    succeeded(await atDesk(engine, 'Drop', { letter: letter?.id ?? '', reason: 'of no use' }));
  };
  const drained = () =>
    vi.waitFor(
      async () => {
        expect(await parked()).toEqual([]);
        expect(engine.view(projection).follower.parking.isEmpty).toBe(true);
      },
      { timeout: 30_000, interval: 5 },
    );
  const rows = async () => byKey(projection, await engine.view(projection).rows.find(''));
  const foldWithout = async (...positions: number[]) =>
    foldEvents(
      tallyProjection(),
      (await readWholeLog(engine.log)).filter(({ position }) => !positions.includes(position)),
    );

  it('is tried so often, then becomes a dead letter; all others go on, and only those behind it wait', async () => {
    await add('a', 'before');
    const at = await poison('a');
    await add('b', 'beside');
    await add('a', 'behind');
    await reached();
    // Once in its batch, before anyone knew which of them broke it.
    expect(tried.filter((note) => note === 'fold 0')).toHaveLength(1 + SOON.maxAttempts);
    expect(await parked()).toEqual([
      [2, 'a'],
      [4, 'a'],
    ]);
    const [event] = await engine.log.readAt([at]);
    const letters = await lettersOf(database);
    expect(letters).toEqual([
      {
        id: expect.any(String),
        source: 'projection:test.tally_view',
        subject: event?.eventId,
        lane: 'a',
        position: at,
        payload: { event: 'TallyAdded', eventId: event?.eventId, streamId: tallyStream('a'), version: 2 },
        error: 'The fold of fold 0 is broken.',
        stack: expect.stringMatching(/^Error: The fold of fold 0 is broken\.\n +at /),
        attempts: SOON.maxAttempts,
        status: 'OPEN',
        reason: null,
        failedAt: expect.any(Date),
        resolvedAt: null,
      },
    ]);
    const told = await engine.deadLetters.find(letters.map(({ id }) => id));
    expect(Object.keys([...told.values()][0] ?? {})).not.toContain('stack');
    const { follower } = engine.view(projection);
    expect({ position: follower.position, failing: follower.failing }).toEqual({ position: 4, failing: false });
    expect([...(await rows()).values()].map(({ id, version }) => [id, version])).toEqual([
      ['a', 1],
      ['b', 1],
    ]);
  });

  it('leaves its row to be read as it is, by whoever does not ask for an up-to-date one', async () => {
    await add('a');
    await poison('a');
    await add('b');
    await reached();
    const view = engine.view(projection);
    expect(await Promise.all(['a', 'b', 'c'].map((key) => view.isParked(key)))).toEqual([true, false, false]);
    expect(await view.readUpToDate('a')).toBeUndefined();
    expect(await view.readUpToDate('b')).toMatchObject({ id: 'b', version: 1 });
    expect(await view.read('a')).toMatchObject({ id: 'a', version: 1 });
  });

  it('is known to be parked as soon as its position is reached', async () => {
    const { follower } = engine.view(projection);
    const found = [1, 2].map((at) => follower.reach(at, 5_000).then(() => follower.parking.has('a')));
    await add('b');
    await poison('a');
    expect(await Promise.all(found)).toEqual([false, true]);
  });

  it('breaks no other projection of the same events', async () => {
    const sound = tallyProjection({ tableName: 'tally_other' });
    await restart(sound);
    await poison('a');
    await add('a');
    await Promise.all([reached(), caughtUp(engine, sound)]);
    expect(await parkedOf(database, sound)).toEqual([]);
    expect(byKey(sound, await engine.view(sound).rows.find(''))).toEqual(await foldWithout());
  });

  it.each(['fold', 'key'] as const)('tells who watches the row, and nobody else (its %s throws)', async (what) => {
    await Promise.all(['a', 'b'].map((key) => add(key)));
    await reached();
    const { live } = engine.view(projection);
    const [watchers, others] = [await watch('a', 2), await watch('b', 1)];
    await poison('a', what);
    for (const watcher of watchers) {
      await expect(within(30_000, 'it is told', watcher.next())).rejects.toThrow(RowParked);
      expect(await watcher.next()).toEqual({ done: true, value: undefined });
    }
    await add('b');
    for (const other of others)
      expect((await within(30_000, 'the other goes on', other.next())).value?.row.version).toBe(2);
    expect(live.watched).toEqual({ topics: 1, subscribers: 1 });
  });

  async function watch(key: string, count: number): Promise<LiveSubscription<TallyRow>[]> {
    return Promise.all(
      Array.from({ length: count }, async () => {
        const subscription = await engine.view(projection).live.subscribe(key);
        if (subscription === undefined) throw new Error(`There is no row ${key}.`);
        closing.push(() => subscription.return());
        expect((await subscription.next()).value?.row.id).toBe(key);
        return subscription;
      }),
    );
  }

  it.each([
    ['row', 'The value that the database refuses', /out of range/],
    ['key', 'The key that throws', /The key of key 0 is broken/],
  ] as const)('is found among the others of its batch (%s)', async (what, _, error) => {
    const ids = Array.from({ length: 30 }, (_, at) => `t${at}`);
    const [at] = await Promise.all([poison('a', what), ...ids.map((id) => add(id))]);
    await reached();
    expect((await parked()).map(([position]) => position)).toEqual([at]);
    expect(await lettersOf(database)).toEqual([
      expect.objectContaining({ position: at, error: expect.stringMatching(error), attempts: SOON.maxAttempts }),
    ]);
    expect(await rows()).toEqual(await foldWithout(at));
  });

  it('holds up its stream, where even its key cannot be told', async () => {
    await add('a');
    const at = await poison('a', 'key');
    const behind = await add('a');
    await add('b');
    await reached();
    expect((await parked()).map(([position]) => position)).toEqual([at, behind]);
    expect((await lettersOf(database)).map(({ lane }) => lane)).toEqual([`stream ${tallyStream('a')}`]);
    // Whoever looks at what is parked anew finds nothing that might go on.
    await restart();
    await add('b');
    await reached();
    expect((await parked()).map(([position]) => position)).toEqual([at, behind]);
    const view = engine.view(projection);
    expect(await Promise.all(['a', 'b'].map((key) => view.isParked(key)))).toEqual([true, false]);
    broken.clear();
    await retry();
    await drained();
    await add('a');
    await reached();
    expect(await parked()).toEqual([]);
    expect(await view.isParked('a')).toBe(false);
    expect(await rows()).toEqual(await foldWithout());
  });

  it('is handled once it was mended and is retried, and then what waited behind it, in order', async () => {
    await poison('a');
    for (const note of ['one', 'two', 'three']) await add('a', note);
    await reached();
    tried.length = 0;
    broken.clear();
    await retry();
    await drained();
    expect(tried).toEqual(['fold 0', 'one', 'two', 'three']);
    expect(await lettersOf(database)).toEqual([
      expect.objectContaining({ status: 'RETRIED', resolvedAt: expect.any(Date), attempts: SOON.maxAttempts }),
    ]);
    const view = engine.view(projection);
    expect(await view.readUpToDate('a')).toMatchObject({ version: 4 });
    await add('a', 'four');
    await reached();
    expect(await parked()).toEqual([]);
    expect(await rows()).toEqual(await foldWithout());
  });

  it('is handled by whoever watches its row, too, once it is mended', async () => {
    await add('a');
    await poison('a');
    await add('a');
    await reached();
    const [watcher] = await watch('a', 1);
    broken.clear();
    await retry();
    await drained();
    const versions: number[] = [];
    while ((versions.at(-1) ?? 0) < 3) {
      const { value } = await within(30_000, 'the next change', watcher?.next() ?? Promise.reject());
      versions.push(...(value?.events.map(({ version }) => version) ?? []));
    }
    expect(versions).toEqual([2, 3]);
  });

  it('that is retried and was not mended is the same dead letter again, with its attempts added up', async () => {
    await poison('a');
    await add('a');
    await reached();
    const [first] = await lettersOf(database);
    for (const times of [2, 3]) {
      await retry();
      await vi.waitFor(
        async () =>
          expect(await lettersOf(database)).toEqual([
            expect.objectContaining({
              id: first?.id,
              status: 'OPEN',
              resolvedAt: null,
              attempts: times * SOON.maxAttempts,
            }),
          ]),
        30_000,
      );
    }
    await add('b');
    await reached();
    expect((await parked()).map(([position]) => position)).toEqual([1, 2]);
    broken.clear();
    await retry();
    await drained();
    expect(await rows()).toEqual(await foldWithout());
  });

  it('that is dropped is left out, and what waited behind it goes on', async () => {
    const at = await poison('a');
    await add('a');
    await add('a');
    await reached();
    await dropFirst();
    await drained();
    expect(await lettersOf(database)).toEqual([expect.objectContaining({ status: 'DROPPED', reason: 'of no use' })]);
    await add('a');
    await reached();
    expect(await parked()).toEqual([]);
    expect(await rows()).toEqual(await foldWithout(at));
  });

  it('comes to its turn behind another one of its row', async () => {
    const dropped = await poison('a');
    await add('a');
    const second = await poison('a');
    await add('a');
    await reached();
    expect(await lettersOf(database)).toHaveLength(1);
    await dropFirst();
    await vi.waitFor(async () => expect(await lettersOf(database)).toHaveLength(2), 30_000);
    expect((await parked()).map(([position]) => position)).toEqual([second, second + 1]);
    broken.clear();
    await retry();
    await drained();
    expect((await lettersOf(database)).map(({ status }) => status)).toEqual(['DROPPED', 'RETRIED']);
    expect(await rows()).toEqual(await foldWithout(dropped));
  });

  it.each([
    ['fold', 'key'],
    ['key', 'fold'],
  ] as const)(
    'and breaks at another place when it is retried waits where it was (%s, then %s)',
    async (before, after) => {
      await add('a');
      await poison('a', before);
      await add('a');
      await reached();
      broken.set(`${before} 0`, after);
      await retry();
      await vi.waitFor(
        async () =>
          expect(await lettersOf(database)).toEqual([
            expect.objectContaining({ status: 'OPEN', attempts: 2 * SOON.maxAttempts }),
          ]),
        30_000,
      );
      await add('b');
      await reached();
      expect(engine.view(projection).follower.failing).toBe(false);
      expect((await parked()).map(([position]) => position)).toEqual([2, 3]);
      expect((await lettersOf(database)).map(({ attempts }) => attempts)).toEqual([2 * SOON.maxAttempts]);
      broken.clear();
      await retry();
      await drained();
      expect(await rows()).toEqual(await foldWithout());
    },
  );

  it.each([
    ['fold', 'key'],
    ['key', 'fold'],
  ] as const)(
    'stays in order with another one of its stream, by whatever each is held up (%s, then %s)',
    async (first, second) => {
      await add('a');
      await poison('a', first);
      await add('a');
      await poison('a', second);
      await add('a');
      await reached();
      // The later one first, if it is a dead letter by then.
      for (const note of [`${second} 1`, `${first} 0`, `${second} 1`]) {
        broken.delete(note);
        const event = (await readWholeLog(engine.log)).find(({ data }) => (data as { note?: string }).note === note);
        const letters = (await lettersOf(database)).filter(({ subject, status }) => {
          return subject === event?.eventId && status === 'OPEN';
        });
        succeeded(await atDesk(engine, 'Retry', { letters: letters.map(({ id }) => id) }));
        await add('a');
        await reached();
      }
      await drained();
      expect(await rows()).toEqual(await foldWithout());
    },
  );

  it('is remembered after a restart, with all that waits behind it', async () => {
    await poison('a');
    await reached();
    await restart();
    await add('a');
    await add('b');
    await reached();
    expect((await parked()).map(([position]) => position)).toEqual([1, 2]);
    expect(await engine.view(projection).isParked('a')).toBe(true);
    expect(tried.filter((note) => note === 'fold 0')).toHaveLength(1 + SOON.maxAttempts);
    broken.clear();
    await restart();
    await retry();
    await drained();
    expect(await rows()).toEqual(await foldWithout());
  });

  it('is over for a projection whose version was raised, once its rows are rebuilt', async () => {
    await add('a');
    await poison('a');
    await add('a');
    await reached();
    broken.clear();
    projection = { ...projection, version: 2 };
    await restart();
    await untilRebuild(engine, projection, 'SWAPPED');
    expect(await lettersOf(database)).toMatchObject([{ status: 'RETRIED' }]);
    expect(await parked()).toEqual([]);
    expect(await engine.view(projection).isParked('a')).toBe(false);
    expect(await rows()).toEqual(await foldWithout());
    await add('a');
    await reached();
    expect(await parked()).toEqual([]);
    expect(await rows()).toEqual(await foldWithout());
    await poison('a');
    await reached();
    expect((await lettersOf(database)).map(({ status }) => status)).toEqual(['RETRIED', 'OPEN']);
  });

  it('never makes rows anything else than the log without what was dropped (property)', async () => {
    await engine.stop();
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.array(step, { maxLength: 25 }), async (isShared, steps) => {
        await emptyTallyStore(database);
        broken.clear();
        const changes = isShared ? sharedRows : {};
        projection = poisonedProjection(broken, changes);
        const sound = tallyProjection(changes);
        engine = await start();
        let dropped: number[] = [];
        let lastRun = 0;
        // Rows of an older version are rebuilt with what was dropped, or else without, if that is still broken.
        const restarted = async () => {
          await restart();
          if ((await rebuildOf(engine, projection)) === null) return;
          const { run, status } = await untilRebuild(engine, projection, 'SWAPPED', 'FAILED');
          if (run === lastRun) return;
          lastRun = run;
          if (status !== 'SWAPPED') return;
          const given = (await readWholeLog(engine.log)).filter(({ position }) => dropped.includes(position));
          if (!given.some(({ data }) => broken.has(noted.parse(data).note ?? ''))) dropped = [];
        };
        const open = async () => (await lettersOf(database)).filter(({ status }) => status === 'OPEN');
        for (const { kind, id, which, what } of steps) {
          const notes = [...broken.keys()];
          if (kind === 'add') await add(id);
          // Of a row that is made of several streams, one event that might be any row's does not hold up the others.
          if (kind === 'poison') await poison(id, isShared && what === 'key' ? 'fold' : what);
          if (kind === 'mend' && notes.length > 0) broken.delete(notes[which % notes.length] ?? '');
          if (kind === 'settle') await reached();
          if (kind === 'restart') await restarted();
          if (kind === 'rebuild') {
            projection = { ...projection, version: projection.version + 1 };
            await restarted();
          }
          if (kind !== 'retry' && kind !== 'drop') continue;
          const letters = await open();
          const letter = letters[which % Math.max(1, letters.length)];
          if (letter === undefined) continue;
          if (kind === 'retry') succeeded(await atDesk(engine, 'Retry', { letters: [letter.id] }));
          else succeeded(await atDesk(engine, 'Drop', { letter: letter.id, reason: 'of no use' }));
          if (kind === 'drop') dropped.push(letter.position ?? 0);
        }
        await reached();
        broken.clear();
        while ((await parked()).length > 0) {
          await retry();
          await drained();
        }
        const log = (await readWholeLog(engine.log)).filter(({ position }) => !dropped.includes(position));
        expect(await rows()).toEqual(foldEvents(sound, log));
        expect(await open()).toEqual([]);
        await engine.stop();
      }),
      { numRuns: 40 },
    );
  }, 180_000);
});

/** A server process in small: goes through the log, in which events of some notes kill it, and ends. */
const SCRIPT = `
  import process from 'node:process';
  import { openDatabase } from './src/platform/database.ts';
  import { tallyProjection } from './test/support/tally.ts';
  import { startTallyEngine } from './test/support/tally-engine.ts';

  const { settings, deadly, retries } = JSON.parse(process.argv[2]);
  const database = await openDatabase(settings);
  const projection = tallyProjection({
    eventTypes: ['TallyAdded'],
    evolveRow(row, event) {
      if (deadly.includes(event.data.note)) process.kill(process.pid, 'SIGKILL');
      return tallyProjection().evolveRow(row, event);
    },
  });
  const engine = await startTallyEngine(database, { projections: [projection], eventRetries: retries });
  const { follower } = engine.view(projection);
  if (!(await follower.reach(engine.tail.head, 20_000))) throw new Error('It did not come to the end of the log.');
  while (follower.parking.nextLane() !== undefined) await new Promise(setImmediate);
  await engine.stop();
  await database.close();
`;

describeEachStore('An event that kills its process', (kind) => {
  const retries = { ...SOON, maxAttempts: 2 };
  const projection = tallyProjection({ eventTypes: ['TallyAdded'] });
  /** More than are read at a time, or handled one by one after a crash. */
  const UNCONCERNED = 1_500;
  let script: ScriptFile;
  let store: TestStore;

  beforeAll(async () => {
    [store, script] = await Promise.all([kind.create(), bundleScript(SCRIPT)]);
  });
  afterAll(async () => {
    script.remove();
    await store.remove();
  });

  async function inStore<T>(work: (database: Database) => Promise<T>): Promise<T> {
    const database = await openMigrated(store);
    return work(database).finally(() => database.close());
  }

  /** @returns how often it was killed until it came to an end */
  async function killsUntilItEnds(...deadly: string[]): Promise<number> {
    for (let kills = 0; kills < 10; kills += 1) {
      // As if the lease of the one before had run out meanwhile.
      if (kind.engine === 'postgresql') await inStore(({ log }) => log.query('DELETE FROM nodes'));
      const given = JSON.stringify({ settings: store.settings, deadly, retries });
      const child = spawn(process.execPath, [script.path, given], { stdio: ['ignore', 'ignore', 'inherit'] });
      const [code, signal] = await once(child, 'exit');
      if (signal === 'SIGKILL') continue;
      expect(code).toBe(0);
      return kills;
    }
    throw new Error('It is killed again and again.');
  }

  const unconcerned = (id: string) => {
    const unit = unitOf({ ids: [id], count: UNCONCERNED });
    return { ...unit, events: unit.events.map((event) => ({ ...event, type: 'TallyUnlocked', data: {} })) };
  };
  const rows = ({ derived }: Database) => new ReadRows(projection.table, derived, new StorageCodec()).find('');
  const expectRowsWithout = async (database: Database, deadly: number | undefined) => {
    const log = await readWholeLog(tallyLog(database));
    const handled = log.filter((event) => event.streamId !== tallyStream('a') || event.position < (deadly ?? Infinity));
    expect(byKey(projection, await rows(database))).toEqual(foldEvents(projection, handled));
  };

  it('is parked after some of them, however far it is from the checkpoint, and again when it is retried', async () => {
    const deadly = await inStore(async (database) => {
      await emptyTallyStore(database);
      const units = [unconcerned('idle'), unitOf({ ids: ['a'], note: 'deadly' }), unitOf({ ids: ['b'] })];
      await tallyLog(database).append([...units, unitOf({ ids: ['c'] })], new Date());
      return UNCONCERNED + 1;
    });
    // Twice without a thought, then with every attempt counted.
    expect(await killsUntilItEnds('deadly')).toBe(2 + retries.maxAttempts);
    await inStore(async (database) => {
      expect(await lettersOf(database)).toEqual([
        expect.objectContaining({ position: deadly, attempts: retries.maxAttempts, status: 'OPEN' }),
      ]);
      await expectRowsWithout(database, deadly);
      await tallyLog(database).append([unitOf({ ids: ['a', 'b'], decidedOn: 1 })], new Date());
      await database.log.query(`UPDATE dead_letters SET status = 'RETRIED'`);
    });
    expect(await killsUntilItEnds('deadly')).toBe(retries.maxAttempts);
    await inStore(async (database) => {
      expect(await lettersOf(database)).toEqual([
        expect.objectContaining({ position: deadly, attempts: 2 * retries.maxAttempts, status: 'OPEN' }),
      ]);
      expect(await parkedOf(database, projection)).toEqual([
        [deadly, 'a'],
        [deadly + 3, 'a'],
      ]);
      await expectRowsWithout(database, deadly);
      await database.log.query(`UPDATE dead_letters SET status = 'RETRIED'`);
    });
    expect(await killsUntilItEnds()).toBe(0);
    await inStore((database) => expectRowsWithout(database, undefined));
  }, 180_000);
});
