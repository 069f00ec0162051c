import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { Engine } from '../../../src/eventsourcing/engine.ts';
import type { CheckpointMove } from '../../../src/eventsourcing/followers/checkpoints.ts';
import { StorageCodec } from '../../../src/eventsourcing/log/codec.ts';
import type { RecordedEvent } from '../../../src/eventsourcing/log/event.ts';
import type { EventLog } from '../../../src/eventsourcing/log/event-log.ts';
import { LogTail } from '../../../src/eventsourcing/log/log-tail.ts';
import type { Projection } from '../../../src/eventsourcing/projections/projection.ts';
import { Projector, type ProjectorParts, type RowChange } from '../../../src/eventsourcing/projections/projector.ts';
import { column, ReadRows } from '../../../src/eventsourcing/projections/read-table.ts';
import { RebuildStore } from '../../../src/eventsourcing/projections/rebuild-store.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { type Database, openDatabase } from '../../../src/platform/database.ts';
import { unitOf } from '../../support/append-units.ts';
import { startLoneFollower } from '../../support/lone-follower.ts';
import { untilRebuild } from '../../support/rebuilds.ts';
import { describeEachStore, describeServerStore, openMigrated, type TestStore } from '../../support/stores.ts';
import { byKey, foldLog } from '../../support/tables.ts';
import { emptyTallyStore, type TallyRow, tallyProjection } from '../../support/tally.ts';
import { request, startTallyEngine, type TallyEngineOptions, tallyLog } from '../../support/tally-engine.ts';

/** As often as it takes, soon. */
const PATIENT = { maxAttempts: 1_000_000, firstPauseMs: 20, longestPauseMs: 20 };
const checkpoint = z.array(z.object({ position: column.safeInt(), version: z.number() }));
const owned = z.tuple([z.object({ owner: z.string() })]);
/** A node that there is no more: its checkpoints can be taken over. */
const GONE = randomUUID();
const MOVE = { version: 1, owner: GONE, parking: undefined, now: new Date() };

const add = (engine: Engine, tallyId: string, amount = 1) =>
  engine.executor.execute(request('Add', { tallyId, amount }));
const rowsOf = (database: Database) => new ReadRows(tallyProjection().table, database.derived, new StorageCodec());
const storedCheckpoint = async ({ log }: Database, name = `projection:${tallyProjection().name}`) =>
  checkpoint.parse(await log.query('SELECT position, version FROM checkpoints WHERE name = $1', name))[0];
const storeCheckpoint = ({ log }: Database, name: string, position: number) =>
  log.query(
    'INSERT INTO checkpoints (name, version, rows_version, position, owner, updated_at) VALUES ($1, 1, 1, $2, $3::uuid, now())',
    name,
    position,
    GONE,
  );
const expectTableToBeFold = async (database: Database) => {
  const projection = tallyProjection();
  const rows = await rowsOf(database).find('');
  expect(byKey(projection, rows)).toEqual(await foldLog(projection, tallyLog(database)));
};

describeEachStore('A projector', (kind) => {
  let store: TestStore;
  let database: Database;
  /** Another server's, on the same store. An embedded store has no other server. */
  let anothers: Database;
  const closing: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    store = await kind.create();
    database = await openMigrated(store);
    anothers = kind.engine === 'pglite' ? database : await openDatabase(store.settings);
  });
  beforeEach(() => emptyTallyStore(database));
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });
  afterAll(async () => {
    await Promise.all([...new Set([database, anothers])].map((it) => it.close()));
    await store.remove();
  });

  async function start(
    database: Database,
    projections: Projection<TallyRow>[],
    options: Omit<TallyEngineOptions, 'projections'> = {},
  ): Promise<Engine> {
    const engine = await startTallyEngine(database, { ...options, projections });
    closing.push(() => engine.stop());
    return engine;
  }
  async function startProjector(log: EventLog, tail: LogTail, parts: Partial<ProjectorParts<TallyRow>>) {
    const projector = new Projector<TallyRow>({
      projection: tallyProjection(),
      rows: rowsOf(database),
      client: database.derived,
      log,
      onForgotten: () => {},
      onCommit: () => {},
      onChanged: () => {},
      onReplaced: () => {},
      clock: systemClock,
      onParked: () => {},
      ...parts,
    });
    const { follower, stop } = await startLoneFollower(database, log, tail, projector);
    closing.push(stop);
    return { projector, follower };
  }

  it('keeps its table equal to a fold of the log, with its checkpoint at the last event that changed a row', async () => {
    const engine = await start(database, [tallyProjection()]);
    const ids = Array.from({ length: 10 }, () => randomUUID());
    await Promise.all(Array.from({ length: 300 }, (_, at) => add(engine, ids[at % 10] ?? '', at + 1)));
    const { follower } = engine.view(tallyProjection());
    expect(await follower.reach(engine.tail.head, 10_000)).toBe(true);
    expect(follower.position).toBe(300);
    expect(await storedCheckpoint(database)).toEqual({ position: 300, version: 1 });
    await expectTableToBeFold(database);
  });

  it('writes rows and checkpoint in one statement: neither without the other', async () => {
    const rows = rowsOf(database);
    await storeCheckpoint(database, 'p', 5);
    const row: TallyRow = { id: 'a', amounts: [1], isLocked: false, version: 1, position: 6 };
    let move: CheckpointMove = { ...MOVE, name: 'p', from: 5, to: 6 };
    for (const parking of [undefined, {}]) {
      move = { ...move, parking };
      for (const wrong of [{ from: 4 }, { version: 2 }, { name: 'q' }, { owner: randomUUID() }]) {
        expect(await rows.save([row], { ...move, ...wrong })).toBe(false);
        expect(await rows.find('')).toEqual([]);
      }
    }
    expect(await rows.save([row], move)).toBe(true);
    expect(await rows.save([{ ...row, amounts: [1, 1] }], move)).toBe(false);
    expect(await rows.find('')).toEqual([row]);
    expect(await storedCheckpoint(database, 'p')).toEqual({ position: 6, version: 1 });
    const broken = { ...row, id: 'nul \u0000' };
    for (const parking of [undefined, {}]) {
      await expect(rows.save([row, broken], { ...move, parking, from: 6, to: 7 })).rejects.toThrow();
      expect(await storedCheckpoint(database, 'p')).toEqual({ position: 6, version: 1 });
    }
  });

  it('goes on from its checkpoint after a restart', async () => {
    const tallyId = randomUUID();
    const first = await startTallyEngine(database, { projections: [tallyProjection()] });
    await add(first, tallyId, 1);
    await first.stop();
    const without = await startTallyEngine(database);
    await add(without, tallyId, 2);
    await without.stop();
    const seen: number[] = [];
    const watched = tallyProjection({
      keyOf: (event) => {
        seen.push(event.position);
        return event.aggregateId;
      },
    });
    const second = await start(database, [watched]);
    await add(second, tallyId, 3);
    expect(await second.view(watched).follower.reach(3, 10_000)).toBe(true);
    expect(seen).toEqual([2, 3]);
    await expectTableToBeFold(database);
  });

  it('of another version of the code has everything folded anew', async () => {
    const tallyId = randomUUID();
    const first = await startTallyEngine(database, { projections: [tallyProjection()] });
    await Promise.all([add(first, tallyId, 1), add(first, tallyId, 2)]);
    await first.stop();
    await database.log.query(`UPDATE tally_view SET amounts = '[99]'`);
    const doubling = tallyProjection({
      version: 2,
      evolveRow: (row, event) => {
        const after = tallyProjection().evolveRow(row, event);
        return (
          after && { ...after, amounts: after.amounts.map((it, at, all) => (at === all.length - 1 ? it * 2 : it)) }
        );
      },
    });
    const second = await start(database, [doubling]);
    await untilRebuild(second, doubling, 'SWAPPED');
    expect((await rowsOf(database).find('')).map(({ amounts }) => amounts)).toEqual([[2, 4]]);
    expect(await storedCheckpoint(database)).toEqual({ position: 2, version: 2 });
  });

  it('that begins anew loses to nobody who still writes the old rows', async () => {
    const log = tallyLog(database);
    await log.append([unitOf({ ids: ['a'] }), unitOf({ ids: ['b'] })], new Date());
    const name = `projection:${tallyProjection().name}`;
    await storeCheckpoint(database, name, 1);
    const old = rowsOf(anothers);
    const rowB: TallyRow = { id: 'b', amounts: [1], isLocked: false, version: 1, position: 2 };
    const move: CheckpointMove = { ...MOVE, name, from: 1, to: 2 };
    let engine: Engine | undefined;
    if (kind.engine === 'pglite') {
      expect(await old.save([rowB], move)).toBe(true);
      engine = await start(database, [tallyProjection({ version: 2 })]);
    } else {
      // The old writer waits for a lock, the new one comes after it, then both go on.
      const saving = new Promise<boolean>((resolve, reject) => {
        void anothers.log.prisma
          .$transaction(async (transaction) => {
            await transaction.$queryRawUnsafe('SELECT 1 FROM checkpoints FOR UPDATE');
            const saved = old.save([rowB], move);
            await waitingFor(database, 1);
            const starting = startTallyEngine(database, { projections: [tallyProjection({ version: 2 })] });
            await waitingFor(database, 2);
            return { saved, starting };
          })
          .then(async ({ saved, starting }) => {
            engine = await starting;
            closing.push(async () => engine?.stop());
            resolve(await saved);
          })
          .catch(reject);
      });
      await saving;
    }
    if (engine === undefined) throw new Error('It did not start.');
    await untilRebuild(engine, tallyProjection(), 'SWAPPED');
    expect(await engine.view(tallyProjection()).follower.reach(2, 10_000)).toBe(true);
    await expectTableToBeFold(database);
  });

  async function waitingFor({ log }: Database, count: number): Promise<void> {
    await vi.waitFor(
      async () => {
        const waiting = await log.query(
          'SELECT 1 FROM pg_locks WHERE NOT granted AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database())',
        );
        expect(waiting.length).toBeGreaterThanOrEqual(count);
      },
      { timeout: 30_000, interval: 5 },
    );
  }

  it('that throws is tried again until it works, while the others go on; who waits for it is told in time', async () => {
    let isBroken = true;
    const broken = tallyProjection({
      evolveRow: (row, event) => {
        if (isBroken) throw new Error('This fold is broken.');
        return tallyProjection().evolveRow(row, event);
      },
    });
    const sound = tallyProjection({ tableName: 'tally_other' });
    const engine = await start(database, [broken, sound], { eventRetries: PATIENT });
    await add(engine, 'a', 7);
    const other = engine.view(sound).follower;
    expect(await other.reach(1, 10_000)).toBe(true);
    const { follower } = engine.view(broken);
    expect(await follower.reach(1, 20)).toBe(false);
    expect(await engine.reachAll(['TallyAdded'], 1, 20)).toBe(false);
    await vi.waitFor(() => expect(follower.failing).toBe(true), { timeout: 30_000, interval: 1 });
    expect(other.failing).toBe(false);
    expect([engine.tail.head - follower.position, engine.tail.head - other.position]).toEqual([1, 0]);
    expect(await storedCheckpoint(database)).toEqual({ position: 0, version: 1 });
    isBroken = false;
    expect(await follower.reach(1, 10_000)).toBe(true);
    await vi.waitFor(() => expect(follower.failing).toBe(false), 30_000);
    await expectTableToBeFold(database);
  });

  it('that is stopped lets nobody wait on', async () => {
    const engine = await startTallyEngine(database, { projections: [tallyProjection()] });
    const { follower } = engine.view(tallyProjection());
    const waiting = follower.reach(1, 60_000);
    await engine.stop();
    expect(await waiting).toBe(false);
    expect(await follower.reach(1, 60_000)).toBe(false);
  });

  it('passes over what does not concern it, and writes its checkpoint when it stops', async () => {
    const deaf = tallyProjection({ eventTypes: ['TallyLocked'] });
    const engine = await startTallyEngine(database, { projections: [deaf] });
    await Promise.all([1, 2, 3].map((amount) => add(engine, 'a', amount)));
    expect(await engine.view(deaf).follower.reach(3, 10_000)).toBe(true);
    expect(await storedCheckpoint(database)).toEqual({ position: 0, version: 1 });
    await engine.stop();
    expect(await storedCheckpoint(database)).toEqual({ position: 3, version: 1 });
  });

  it('tells of every commit, also where its answer was lost on the way', async () => {
    const log = tallyLog(database);
    const tail = new LogTail(log, 0);
    const rows = new LossyRows(tallyProjection().table, database.derived, new StorageCodec());
    /** As of the last time that anyone was told anything. */
    let told: unknown[] = [];
    const look = () => rows.find('').then((found) => (told = found));
    const { follower } = await startProjector(log, tail, { rows, onCommit: look, onChanged: look });
    rows.losesNextAnswer = true;
    await log.append([unitOf({ ids: ['a'] })], new Date());
    await tail.refresh();
    expect(await follower.reach(1, 10_000)).toBe(true);
    expect(rows.losesNextAnswer).toBe(false);
    expect(await rows.find('')).toHaveLength(1);
    await vi.waitFor(() => expect(told).toHaveLength(1), 30_000);
  });

  it('loses no change while its cache forgets rows in the middle of a fold', async () => {
    const log = tallyLog(database);
    const tail = new LogTail(log, 0);
    const rows = rowsOf(database);
    const { projector, follower } = await startProjector(log, tail, { rows });
    const appended = async (units: Parameters<typeof log.append>[0]) => {
      await log.append(units, new Date());
      expect(await follower.reach(await tail.refresh(), 10_000)).toBe(true);
    };
    await appended([unitOf({ ids: ['a'] })]);
    const [row] = await rows.find('');
    if (row === undefined) throw new Error('There is no row.');
    const load = rows.load.bind(rows);
    rows.load = async (keys) => {
      const loaded = await load(keys);
      for (let other = 0; other < 10_001; other += 1) projector.remember(`other-${other}`, row);
      return loaded;
    };
    await appended([unitOf({ ids: ['a'], decidedOn: 1 }), unitOf({ ids: ['b'] })]);
    expect((await load(['a'])).get('a')?.amounts).toHaveLength(2);
  });

  it('whose rows are outdated has them rebuilt on behalf of nobody but its owner, and throws nothing away', async () => {
    const log = tallyLog(database);
    const tail = new LogTail(log, 0);
    const { projector, follower } = await startProjector(log, tail, {});
    await log.append([unitOf({ ids: ['a'] })], new Date());
    expect(await follower.reach(await tail.refresh(), 10_000)).toBe(true);
    await database.log.query(`INSERT INTO parked_events (source, position, lane) VALUES ($1, 9, 'b')`, projector.name);
    await database.log.query(
      `INSERT INTO dead_letters (id, source, subject, lane, payload, error, attempts, status, failed_at)
       VALUES (gen_random_uuid(), $1, 'e', 'b', '{}', '', 1, 'OPEN', now())`,
      projector.name,
    );
    const tables = ['tally_view', 'parked_events', 'dead_letters'];
    const left = () =>
      Promise.all(tables.map(async (table) => (await database.log.query(`SELECT 1 FROM ${table}`)).length));
    const [{ owner }] = owned.parse(await database.log.query('SELECT owner FROM checkpoints'));
    const rebuilds = async () => (await new RebuildStore(database.log).find([projector.name])).size;
    await projector.outdated(owner);
    expect(await rebuilds()).toBe(0);
    await database.log.query('UPDATE checkpoints SET rows_version = 0');
    await projector.outdated(GONE);
    expect(await rebuilds()).toBe(0);
    await projector.outdated(owner);
    await projector.outdated(owner);
    expect(await new RebuildStore(database.log).find([projector.name])).toMatchObject(
      new Map([[projector.name, { run: 1, status: 'RUNNING' }]]),
    );
    expect(await left()).toEqual([1, 1, 1]);
  });

  it('hands on each change with the row before it and its events', async () => {
    const log = tallyLog(database);
    const tail = new LogTail(log, 0);
    const told: RowChange<TallyRow>[] = [];
    const { projector, follower } = await startProjector(log, tail, { onCommit: (changes) => told.push(...changes) });
    const events: RecordedEvent[] = [];
    for (const decidedOn of [0, 2]) {
      await log.append([unitOf({ ids: ['a', 'b'], decidedOn, count: 2 })], new Date());
      expect(await follower.reach(await tail.refresh(), 10_000)).toBe(true);
      events.push(...(await log.readAfter(decidedOn * 2, 100)));
    }
    expect(told.map(({ key, before, row }) => [key, before?.version, row.version])).toEqual([
      ['a', undefined, 2],
      ['b', undefined, 2],
      ['a', 2, 4],
      ['b', 2, 4],
    ]);
    expect(told.flatMap((change) => change.events)).toEqual(events);
    expect(projector.committedRow('a')).toEqual(told[2]?.row);
  });
});

describeServerStore('Projectors of several servers', (kind) => {
  let store: TestStore;
  let databases: readonly [Database, Database];
  const closing: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    store = await kind.create();
    databases = [await openMigrated(store), await openDatabase(store.settings)];
  });
  beforeEach(() => emptyTallyStore(databases[0]));
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });
  afterAll(async () => {
    await Promise.all(databases.map((it) => it.close()));
    await store.remove();
  });

  async function start(database: Database, projection: Projection<TallyRow>): Promise<Engine> {
    const engine = await startTallyEngine(database, { projections: [projection] });
    closing.push(() => engine.stop());
    return engine;
  }

  it('neither double nor miss an event', async () => {
    const engines = [await start(databases[0], tallyProjection()), await start(databases[1], tallyProjection())];
    const ids = Array.from({ length: 8 }, () => randomUUID());
    for (let round = 0; round < 15; round += 1) {
      await Promise.all(
        Array.from({ length: 20 }, (_, at) => {
          const engine = engines[at % 2];
          return engine && add(engine, ids[(at * 3 + round) % 8] ?? '', round * 20 + at + 1);
        }),
      );
    }
    for (const engine of engines) {
      const head = await engine.tail.refresh();
      expect(head).toBe(300);
      expect(await engine.view(tallyProjection()).follower.reach(head, 10_000)).toBe(true);
    }
    expect(await storedCheckpoint(databases[0])).toEqual({ position: 300, version: 1 });
    await expectTableToBeFold(databases[0]);
  });

  it('of an older version give way to a newer one, which has the rows rebuilt', async () => {
    const older = await start(databases[0], tallyProjection());
    await add(older, 'a', 1);
    expect(await older.view(tallyProjection()).follower.reach(1, 10_000)).toBe(true);
    await databases[0].log.query(`UPDATE tally_view SET amounts = '[99]'`);
    const newer = await start(databases[1], tallyProjection({ version: 2 }));
    const { follower } = newer.view(tallyProjection());
    await untilRebuild(newer, tallyProjection(), 'SWAPPED');
    await expectTableToBeFold(databases[0]);
    for (const amount of [2, 3, 4]) {
      await add(older, 'a', amount);
      expect(await follower.reach(await newer.tail.refresh(), 10_000)).toBe(true);
      expect((await storedCheckpoint(databases[0]))?.version).toBe(2);
    }
    await vi.waitFor(() => expect(older.view(tallyProjection()).follower.failing).toBe(true), {
      timeout: 30_000,
      interval: 1,
    });
    await expect(startTallyEngine(databases[0], { projections: [tallyProjection()] })).rejects.toThrow(
      'belongs to its version 2 now',
    );
    await expectTableToBeFold(databases[0]);
  });
});

/** Commits, and then loses the database's answer. */
class LossyRows extends ReadRows<TallyRow> {
  losesNextAnswer = false;

  override async save(rows: readonly TallyRow[], move: CheckpointMove): Promise<boolean> {
    const saved = await super.save(rows, move);
    if (!this.losesNextAnswer) return saved;
    this.losesNextAnswer = false;
    throw Object.assign(new Error('Connection terminated unexpectedly'), { code: 'ECONNRESET' });
  }
}
