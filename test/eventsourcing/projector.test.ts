import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { StorageCodec } from '../../src/eventsourcing/codec.ts';
import type { Engine } from '../../src/eventsourcing/engine.ts';
import type { RecordedEvent } from '../../src/eventsourcing/event.ts';
import { LogTail } from '../../src/eventsourcing/log-tail.ts';
import type { Projection } from '../../src/eventsourcing/projection.ts';
import { Projector, type RowChange } from '../../src/eventsourcing/projector.ts';
import { type CheckpointMove, column, ReadRows } from '../../src/eventsourcing/read-table.ts';
import { type Database, openDatabase } from '../../src/platform/database.ts';
import { createLogger } from '../../src/platform/logger.ts';
import { unitOf } from '../support/append-units.ts';
import { describeEachStore, openMigrated, type TestStore } from '../support/stores.ts';
import { byKey, foldLog } from '../support/tables.ts';
import { emptyTallyStore, type TallyRow, tallyProjection } from '../support/tally.ts';
import { request, startTallyEngine, tallyLog } from '../support/tally-engine.ts';

const logger = createLogger('silent');
const checkpoint = z.array(z.object({ position: column.safeInt(), version: z.number() }));

describeEachStore('A projector', (kind) => {
  let store: TestStore;
  let database: Database;
  /** Another server's, on the same store: on PostgreSQL with connections of its own. */
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

  async function start(database: Database, ...projections: Projection<TallyRow>[]): Promise<Engine> {
    const engine = await startTallyEngine(database, { projections });
    closing.push(() => engine.stop());
    return engine;
  }

  const add = (engine: Engine, tallyId: string, amount = 1) =>
    engine.executor.execute(request('Add', { tallyId, amount }));
  const rowsOf = (database: Database) => new ReadRows(tallyProjection().table, database.derived, new StorageCodec());
  const storedCheckpoint = async ({ log }: Database, name = tallyProjection().name) =>
    checkpoint.parse(await log.query('SELECT position, version FROM checkpoints WHERE projection = $1', name))[0];
  const expectTableToBeFold = async (database: Database) => {
    const projection = tallyProjection();
    const rows = await rowsOf(database).find('');
    expect(byKey(projection, rows)).toEqual(await foldLog(projection, tallyLog(database)));
  };

  it('keeps its table equal to a fold of the log, with its checkpoint at the last event that changed a row', async () => {
    const engine = await start(database, tallyProjection());
    const ids = Array.from({ length: 10 }, () => randomUUID());
    await Promise.all(Array.from({ length: 300 }, (_, at) => add(engine, ids[at % 10] ?? '', at + 1)));
    const { projector } = engine.view(tallyProjection());
    expect(await projector.reach(engine.tail.head, 10_000)).toBe(true);
    expect(projector.position).toBe(300);
    expect(await storedCheckpoint(database)).toEqual({ position: 300, version: 1 });
    await expectTableToBeFold(database);
  });

  it('writes rows and checkpoint in one statement: neither without the other', async () => {
    const rows = rowsOf(database);
    await database.log.query(
      `INSERT INTO checkpoints (projection, version, position, updated_at) VALUES ('p', 1, 5, now())`,
    );
    const row: TallyRow = { id: 'a', amounts: [1], isLocked: false, version: 1, position: 6 };
    const move: CheckpointMove = { projection: 'p', version: 1, from: 5, to: 6 };
    for (const wrong of [{ from: 4 }, { version: 2 }, { projection: 'q' }]) {
      expect(await rows.save([row], { ...move, ...wrong })).toBe(false);
      expect(await rows.find('')).toEqual([]);
    }
    expect(await rows.save([row], move)).toBe(true);
    expect(await rows.save([{ ...row, amounts: [1, 1] }], move)).toBe(false);
    expect(await rows.find('')).toEqual([row]);
    expect(await storedCheckpoint(database, 'p')).toEqual({ position: 6, version: 1 });
    const broken = { ...row, id: 'nul \u0000' };
    await expect(rows.save([row, broken], { ...move, from: 6, to: 7 })).rejects.toThrow();
    expect(await storedCheckpoint(database, 'p')).toEqual({ position: 6, version: 1 });
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
    const second = await start(database, watched);
    await add(second, tallyId, 3);
    expect(await second.view(watched).projector.reach(3, 10_000)).toBe(true);
    expect(seen).toEqual([2, 3]);
    await expectTableToBeFold(database);
  });

  it('of another version of the code folds everything anew', async () => {
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
    const second = await start(database, doubling);
    expect(await second.view(doubling).projector.reach(2, 10_000)).toBe(true);
    expect((await rowsOf(database).find('')).map(({ amounts }) => amounts)).toEqual([[2, 4]]);
    expect(await storedCheckpoint(database)).toEqual({ position: 2, version: 2 });
  });

  it('that begins anew loses to nobody who still writes the old rows', async () => {
    const log = tallyLog(database);
    await log.append([unitOf({ ids: ['a'] }), unitOf({ ids: ['b'] })], new Date());
    await database.log.query(
      `INSERT INTO checkpoints (projection, version, position, updated_at) VALUES ($1, 1, 1, now())`,
      tallyProjection().name,
    );
    const old = rowsOf(anothers);
    const rowB: TallyRow = { id: 'b', amounts: [1], isLocked: false, version: 1, position: 2 };
    const move: CheckpointMove = { projection: tallyProjection().name, version: 1, from: 1, to: 2 };
    let engine: Engine | undefined;
    if (kind.engine === 'pglite') {
      await old.save([rowB], move);
      engine = await start(database, tallyProjection({ version: 2 }));
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
    const projector = engine?.view(tallyProjection()).projector;
    expect(await projector?.reach(2, 10_000)).toBe(true);
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
      { timeout: 5_000, interval: 5 },
    );
  }

  it('beside others on the same store neither doubles nor misses an event', async () => {
    const engines = [await start(database, tallyProjection()), await start(anothers, tallyProjection())];
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
      expect(await engine.view(tallyProjection()).projector.reach(head, 10_000)).toBe(true);
    }
    expect(await storedCheckpoint(database)).toEqual({ position: 300, version: 1 });
    await expectTableToBeFold(database);
  });

  it('of an older version gives way to a newer one, once that has begun anew', async () => {
    const older = await start(database, tallyProjection());
    await add(older, 'a', 1);
    expect(await older.view(tallyProjection()).projector.reach(1, 10_000)).toBe(true);
    const newer = await start(anothers, tallyProjection({ version: 2 }));
    const { projector } = newer.view(tallyProjection());
    expect(await projector.reach(1, 10_000)).toBe(true);
    const rebuilt: number[] = [];
    for (const amount of [2, 3, 4]) {
      await add(older, 'a', amount);
      expect(await projector.reach(await newer.tail.refresh(), 10_000)).toBe(true);
      rebuilt.push((await storedCheckpoint(database))?.version ?? 0);
    }
    expect(rebuilt).toEqual([2, 2, 2]);
    await expectTableToBeFold(database);
  });

  it('that throws is tried again until it works, while the others go on; who waits for it is told in time', async () => {
    let isBroken = true;
    const broken = tallyProjection({
      evolveRow: (row, event) => {
        if (isBroken) throw new Error('This fold is broken.');
        return tallyProjection().evolveRow(row, event);
      },
    });
    const sound = tallyProjection({ tableName: 'tally_other' });
    const engine = await start(database, broken, sound);
    await add(engine, 'a', 7);
    expect(await engine.view(sound).projector.reach(1, 10_000)).toBe(true);
    const { projector } = engine.view(broken);
    expect(await projector.reach(1, 20)).toBe(false);
    expect(await engine.reachAll(['TallyAdded'], 1, 20)).toBe(false);
    await vi.waitFor(() => expect(projector.failing).toBe(true));
    expect([engine.tail.head - projector.position, engine.tail.head - engine.view(sound).projector.position]).toEqual([
      1, 0,
    ]);
    expect(await storedCheckpoint(database)).toEqual({ position: 0, version: 1 });
    isBroken = false;
    expect(await projector.reach(1, 10_000)).toBe(true);
    await vi.waitFor(() => expect(projector.failing).toBe(false));
    await expectTableToBeFold(database);
  });

  it('that is stopped lets nobody wait on', async () => {
    const engine = await startTallyEngine(database, { projections: [tallyProjection()] });
    const { projector } = engine.view(tallyProjection());
    const waiting = projector.reach(1, 60_000);
    await engine.stop();
    expect(await waiting).toBe(false);
    expect(await projector.reach(1, 60_000)).toBe(false);
  });

  it('passes over what does not concern it, and writes its checkpoint when it stops', async () => {
    const deaf = tallyProjection({ eventTypes: ['TallyLocked'] });
    const engine = await startTallyEngine(database, { projections: [deaf] });
    await Promise.all([1, 2, 3].map((amount) => add(engine, 'a', amount)));
    expect(await engine.view(deaf).projector.reach(3, 10_000)).toBe(true);
    expect(await storedCheckpoint(database)).toEqual({ position: 0, version: 1 });
    await engine.stop();
    expect(await storedCheckpoint(database)).toEqual({ position: 3, version: 1 });
  });

  it('tells of every commit, also where its answer was lost on the way', async () => {
    const projection = tallyProjection();
    const log = tallyLog(database);
    const tail = new LogTail(log, 0);
    const told: RowChange<TallyRow>[] = [];
    let overtaken = 0;
    const rows = new LossyRows(projection.table, database.derived, new StorageCodec());
    const projector = new Projector({
      projection,
      rows,
      client: database.derived,
      tail,
      logger,
      onCommit: (changes) => told.push(...changes),
      onOvertaken: () => {
        overtaken += 1;
      },
    });
    await projector.start();
    closing.push(() => projector.stop());
    rows.losesNextAnswer = true;
    await log.append([unitOf({ ids: ['a'] })], new Date());
    await tail.refresh();
    expect(await projector.reach(1, 10_000)).toBe(true);
    expect(await rows.find('')).toHaveLength(1);
    expect(told.length + overtaken).toBeGreaterThan(0);
  });

  it('loses no change while its cache forgets rows in the middle of a fold', async () => {
    const projection = tallyProjection();
    const log = tallyLog(database);
    const tail = new LogTail(log, 0);
    const rows = rowsOf(database);
    const projector = new Projector({
      projection,
      rows,
      client: database.derived,
      tail,
      logger,
      onCommit: () => {},
      onOvertaken: () => {},
    });
    await projector.start();
    closing.push(() => projector.stop());
    const appended = async (units: Parameters<typeof log.append>[0]) => {
      await log.append(units, new Date());
      expect(await projector.reach(await tail.refresh(), 10_000)).toBe(true);
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

  it('hands on each change with the row before it and its events', async () => {
    const projection = tallyProjection();
    const log = tallyLog(database);
    const tail = new LogTail(log, 0);
    const told: RowChange<TallyRow>[] = [];
    const projector = new Projector({
      projection,
      rows: rowsOf(database),
      client: database.derived,
      tail,
      logger,
      onCommit: (changes) => told.push(...changes),
      onOvertaken: () => {},
    });
    await projector.start();
    closing.push(() => projector.stop());
    const events: RecordedEvent[] = [];
    for (const decidedOn of [0, 2]) {
      await log.append([unitOf({ ids: ['a', 'b'], decidedOn, count: 2 })], new Date());
      expect(await projector.reach(await tail.refresh(), 10_000)).toBe(true);
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
