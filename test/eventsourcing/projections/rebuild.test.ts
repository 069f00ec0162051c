import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { Engine } from '../../../src/eventsourcing/engine.ts';
import type { LiveChange } from '../../../src/eventsourcing/live/live-subscription.ts';
import { StorageCodec } from '../../../src/eventsourcing/log/codec.ts';
import type { Projection } from '../../../src/eventsourcing/projections/projection.ts';
import { ReadRows } from '../../../src/eventsourcing/projections/read-table.ts';
import { type Database, openDatabase } from '../../../src/platform/database.ts';
import { unitOf } from '../../support/append-units.ts';
import { caughtUp, lettersOf, type Poison, parkedOf, poisonedProjection, SOON } from '../../support/poison.ts';
import {
  beginRebuild,
  operate,
  operations,
  rebuildOf,
  rebuilt,
  shadowTables,
  structureOf,
  untilRebuild,
  withoutShadows,
} from '../../support/rebuilds.ts';
import { describeEachStore, describeServerStore, openMigrated, type TestStore } from '../../support/stores.ts';
import { byKey, foldLog } from '../../support/tables.ts';
import { emptyTallyStore, type TallyRow, tallyProjection } from '../../support/tally.ts';
import { request, startTallyEngine, succeeded, type TallyEngineOptions, tallyLog } from '../../support/tally-engine.ts';
import { within } from '../../support/within.ts';

const projection = tallyProjection();
const rowsOf = (database: Database) => new ReadRows(projection.table, database.derived, new StorageCodec());
const add = async (engine: Engine, tallyId: string, amount = 1, note = '') =>
  succeeded(await engine.executor.execute(request('Add', { tallyId, amount, note })));
const meddle = ({ log }: Database, sql: string) => log.query(sql);
const versions = z.tuple([z.object({ version: z.number(), rows_version: z.number(), generation: z.number() })]);
const versionsOf = async ({ log }: Database) =>
  versions.parse(
    await log.query(
      'SELECT version, rows_version, generation FROM checkpoints WHERE name = $1',
      `projection:${projection.name}`,
    ),
  )[0];
const expectFold = async (database: Database, of: Projection<TallyRow> = projection) => {
  expect(byKey(of, await rowsOf(database).find(''))).toEqual(await foldLog(of, tallyLog(database)));
};
/** Amounts are shown as ten times as much. */
const tenfold = (changes: Parameters<typeof tallyProjection>[0] = {}): Projection<TallyRow> =>
  tallyProjection({
    version: 2,
    evolveRow: (row, event) => {
      const after = projection.evolveRow(row, event);
      const added = (after?.amounts.length ?? 0) - (row?.amounts.length ?? 0);
      return (
        after && { ...after, amounts: after.amounts.map((it, at, { length }) => (at >= length - added ? it * 10 : it)) }
      );
    },
    ...changes,
  });

describeEachStore('A rebuild of a projection', (kind) => {
  let store: TestStore;
  let database: Database;
  const closing: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    store = await kind.create();
    database = await openMigrated(store);
  });
  beforeEach(() => emptyTallyStore(database));
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });
  afterAll(async () => {
    await database.close();
    await store.remove();
  });

  async function start(
    projections: readonly Projection<TallyRow>[] = [projection],
    options: Omit<TallyEngineOptions, 'projections' | 'aggregates'> = {},
  ): Promise<Engine> {
    const engine = await startTallyEngine(database, { ...options, projections, aggregates: operations });
    closing.push(() => engine.stop());
    return engine;
  }

  /** So many tallies with one amount each. */
  async function fill(count: number): Promise<void> {
    const log = tallyLog(database);
    for (let at = 0; at < count; at += 1_000) {
      const ids = Array.from({ length: Math.min(1_000, count - at) }, (_, n) => `tally-${at + n}`);
      await log.append([unitOf({ ids })], new Date());
    }
  }

  it('puts right what was wrong, says what differed, and leaves a table that is made as it was', async () => {
    const engine = await start();
    for (const id of ['a', 'b', 'c', 'd']) await add(engine, id, 3);
    await caughtUp(engine, projection);
    await meddle(database, `CREATE INDEX tally_by_version ON tally_view (version) WHERE is_locked`);
    await meddle(database, 'GRANT SELECT ON tally_view TO PUBLIC');
    const before = await structureOf(database, 'tally_view');
    await meddle(database, `UPDATE tally_view SET amounts = '[99]' WHERE id = 'a'`);
    await meddle(database, `DELETE FROM tally_view WHERE id = 'b'`);
    await meddle(database, `INSERT INTO tally_view VALUES ('stray', '[]', false, 1, 1)`);

    const row = await rebuilt(engine, projection);
    expect(row).toMatchObject({ run: 1, differences: 3, toVersion: 1, error: null });
    expect(row.differentKeys.toSorted()).toEqual(['a', 'b', 'stray']);
    expect(row.position).toBe(row.total);
    await expectFold(database);
    expect(await structureOf(database, 'tally_view')).toEqual(before);
    expect(await shadowTables(database)).toEqual([]);
    // What this process knew of the rows is forgotten as well: it goes on from the rebuilt ones.
    await add(engine, 'a', 4);
    await caughtUp(engine, projection);
    await expectFold(database);
    expect(await rebuilt(engine, projection)).toMatchObject({ run: 2, differences: 0, differentKeys: [] });
    await meddle(database, 'DROP INDEX tally_by_version');
  });

  it('lets commands and readers go on: nobody ever sees a part of the table, and nothing is missing', async () => {
    await fill(1_200);
    const engine = await start();
    await caughtUp(engine, projection);
    let isOver = false;
    const fewest = { rows: Number.POSITIVE_INFINITY };
    const reading = (async () => {
      while (!isOver) {
        fewest.rows = Math.min(fewest.rows, (await rowsOf(database).find('')).length);
        // An embedded database answers without letting anybody else have a turn.
        await nextTurn();
      }
    })();
    const adding = (async () => {
      for (let n = 0; !isOver; n += 1) {
        await add(engine, `tally-${(n * 7) % 40}`, n + 1);
        await nextTurn();
      }
    })();
    try {
      for (const run of [1, 2]) expect(await rebuilt(engine, projection)).toMatchObject({ run, differences: 0 });
    } finally {
      isOver = true;
    }
    await Promise.all([reading, adding]);
    expect(fewest.rows).toBe(1_200);
    await caughtUp(engine, projection);
    await expectFold(database);
  });

  it('that is cancelled changes nothing; what is not under way cannot be cancelled, and what is, not begun', async () => {
    const engine = await start();
    await add(engine, 'a');
    await caughtUp(engine, projection);
    await meddle(database, `UPDATE tally_view SET amounts = '[99]'`);
    const { name } = projection;
    expect(await operate(engine, 'CancelRebuild', { name })).toMatchObject({ rejection: { state: 'NONE' } });
    // All in one batch, each decided on what those before it did.
    const outcomes = await Promise.all(
      ['RebuildProjection', 'RebuildProjection', 'CancelRebuild', 'CancelRebuild'].map((it) =>
        operate(engine, it, { name }),
      ),
    );
    expect(outcomes.map((it) => (it.outcome === 'rejected' ? it.rejection['state'] : it.outcome))).toEqual([
      'succeeded',
      'RUNNING',
      'succeeded',
      'CANCELLED',
    ]);
    expect(await rebuildOf(engine, projection)).toMatchObject({ run: 1, status: 'CANCELLED' });
    expect(await rowsOf(database).find('')).toMatchObject([{ amounts: [99] }]);
    expect(await rebuilt(engine, projection)).toMatchObject({ run: 2, differences: 1 });
    await withoutShadows(database);
    expect(await operate(engine, 'RebuildProjection', { name: 'nobody.knows' })).toMatchObject({
      rejection: { code: 'NOT_FOUND' },
    });
  });

  it('can be cancelled until the very last moment', async () => {
    const engine = await start();
    await add(engine, 'a');
    await caughtUp(engine, projection);
    await meddle(database, `UPDATE tally_view SET amounts = '[99]'`);
    const { follower } = engine.view(projection);
    const replace = follower.replace.bind(follower);
    follower.replace = async (swap) => {
      succeeded(await operate(engine, 'CancelRebuild', { name: projection.name }));
      return replace(swap);
    };
    await beginRebuild(engine, projection);
    await untilRebuild(engine, projection, 'CANCELLED');
    await withoutShadows(database);
    expect(await rowsOf(database).find('')).toMatchObject([{ amounts: [99] }]);
    follower.replace = replace;
    expect(await rebuilt(engine, projection)).toMatchObject({ run: 2, differences: 1 });
    await expectFold(database);
  });

  it('fails where an event cannot be folded: the live rows stay. Once that is mended, it frees what was parked', async () => {
    const broken = new Map<string, Poison>([['bad', 'fold']]);
    const poisoned = poisonedProjection(broken);
    const engine = await start([poisoned], { eventRetries: SOON });
    await add(engine, 'a', 1);
    await add(engine, 'a', 2, 'bad');
    await add(engine, 'a', 3);
    await caughtUp(engine, poisoned);
    expect(await parkedOf(database, poisoned)).toHaveLength(2);

    await beginRebuild(engine, poisoned);
    const { error, position } = await untilRebuild(engine, poisoned, 'FAILED');
    expect(error).toMatch(/TallyAdded at position 2 .* The fold of bad is broken/);
    expect(position).toBe(0);
    await withoutShadows(database);
    expect((await rowsOf(database).find('')).map(({ amounts }) => amounts)).toEqual([[1]]);
    expect((await engine.projections.find([poisoned.name])).get(poisoned.name)?.status).toBe('PARKED');

    broken.clear();
    expect(await rebuilt(engine, poisoned)).toMatchObject({ differences: 1 });
    expect((await rowsOf(database).find('')).map(({ amounts }) => amounts)).toEqual([[1, 2, 3]]);
    expect(await parkedOf(database, poisoned)).toEqual([]);
    expect(await lettersOf(database)).toMatchObject([{ status: 'RETRIED' }]);
    expect(await engine.view(poisoned).isParked('a')).toBe(false);
    expect((await engine.projections.find([poisoned.name])).get(poisoned.name)?.status).toBe('LIVE');
  });

  it('leaves out what an operator gave up, if it still breaks', async () => {
    const broken = new Map<string, Poison>([['bad', 'key']]);
    const poisoned = poisonedProjection(broken);
    const engine = await start([poisoned], { eventRetries: SOON });
    await add(engine, 'a', 1);
    await add(engine, 'a', 2, 'bad');
    await caughtUp(engine, poisoned);
    const [letter] = await lettersOf(database);
    expect(await operate(engine, 'DropDeadLetter', { deadLetterId: letter?.id, reason: 'no use' })).toMatchObject({
      outcome: 'succeeded',
    });
    await add(engine, 'a', 3);
    await vi.waitFor(async () => expect((await rowsOf(database).find(''))[0]?.amounts).toEqual([1, 3]));
    expect(await rebuilt(engine, poisoned)).toMatchObject({ differences: 0 });
    expect((await rowsOf(database).find(''))[0]?.amounts).toEqual([1, 3]);
  });

  it('begins by itself where the code is newer: until it ends, the rows there are, are served and kept up', async () => {
    const first = await startTallyEngine(database, { projections: [projection], aggregates: operations });
    await add(first, 'a', 1);
    await caughtUp(first, projection);
    await first.stop();
    // The newer code cannot fold what is old as long as this is here.
    const newer = tenfold();
    const second = await start([newer]);
    await add(second, 'a', 2);
    await caughtUp(second, newer);
    const row = await untilRebuild(second, newer, 'SWAPPED');
    expect(row).toMatchObject({ run: 1, toVersion: 2, differences: 1 });
    expect((await rowsOf(database).find(''))[0]?.amounts).toEqual([10, 20]);
    expect(await versionsOf(database)).toEqual({ version: 2, rows_version: 2, generation: 1 });
    expect(await rebuilt(second, newer)).toMatchObject({ run: 2, differences: 0 });
  });

  it('is not needed where nothing was folded yet', async () => {
    const first = await startTallyEngine(database, { projections: [projection] });
    await first.stop();
    const second = await start([tenfold()]);
    expect(await rebuildOf(second, projection)).toBeNull();
    expect(await versionsOf(database)).toEqual({ version: 2, rows_version: 2, generation: 0 });
  });

  it('goes on where it was when its process stops, in the next one', async () => {
    const count = kind.engine === 'pglite' ? 4_000 : 20_000;
    await fill(count);
    let stopAt = Number.POSITIVE_INFINITY;
    let stopped: Promise<void> | undefined;
    const seen: number[] = [];
    const watched = (onEvent: (position: number) => void) =>
      tallyProjection({
        evolveRow: (row, event) => {
          onEvent(event.position);
          return projection.evolveRow(row, event);
        },
      });
    const stopping = watched((position) => {
      if (position === stopAt) stopped = first.stop();
    });
    const first: Engine = await startTallyEngine(database, { projections: [stopping], aggregates: operations });
    await caughtUp(first, stopping);
    stopAt = count / 8;
    await beginRebuild(first, stopping);
    await vi.waitFor(() => expect(stopped).toBeDefined(), { timeout: 10_000 });
    await stopped;

    const second = await start([watched((position) => seen.push(position))]);
    const row = await untilRebuild(second, projection, 'SWAPPED');
    expect(row).toMatchObject({ run: 1, differences: 0 });
    // It did not begin from the first event again.
    expect(seen[0]).toBeGreaterThan(400);
    expect(seen.length).toBeGreaterThanOrEqual(100);
    await expectFold(database);
  });

  it('that another version of the code began is begun anew', async () => {
    const engine = await startTallyEngine(database, { projections: [projection], aggregates: operations });
    await add(engine, 'a', 1);
    await add(engine, 'a', 2);
    await caughtUp(engine, projection);
    await engine.stop();
    await meddle(database, `CREATE TABLE tally_view_rebuild (id TEXT)`);
    await meddle(
      database,
      `INSERT INTO rebuilds (name, run, status, position, total, to_version, shadow, started_at)
       VALUES ('projection:${projection.name}', 7, 'COMPARING', 1, 2, 1, 'tally_view_rebuild', now())`,
    );
    const second = await start([tenfold()]);
    expect(await untilRebuild(second, projection, 'SWAPPED')).toMatchObject({ run: 7, toVersion: 2, differences: 1 });
    expect((await rowsOf(database).find(''))[0]?.amounts).toEqual([10, 20]);
  });

  it('that ends its process each time is given up', async () => {
    const engine = await startTallyEngine(database, { projections: [projection], aggregates: operations });
    await add(engine, 'a', 1);
    await caughtUp(engine, projection);
    await engine.stop();
    await meddle(
      database,
      `INSERT INTO rebuilds (name, run, status, position, total, attempts, started_at)
       VALUES ('projection:${projection.name}', 1, 'RUNNING', 0, 1, 5, now())`,
    );
    const second = await start();
    expect((await untilRebuild(second, projection, 'FAILED')).error).toMatch(/The process died/);
    expect(await rebuilt(second, projection)).toMatchObject({ run: 2 });
  });

  it('tells who watches a row only if that is another then', async () => {
    const engine = await start();
    await add(engine, 'same', 1);
    await add(engine, 'other', 1);
    await caughtUp(engine, projection);
    await meddle(database, `UPDATE tally_view SET amounts = '[99]' WHERE id = 'other'`);
    // As another process would have it, which never committed that row itself.
    engine.view(projection).projector.forget();
    const { live } = engine.view(projection);
    const [same, other] = await Promise.all(['same', 'other'].map((key) => live.subscribe(key)));
    if (same === undefined || other === undefined) throw new Error('There is nothing to watch.');
    closing.push(async () => Promise.all([same.return(), other.return()]));
    const next = async (it: typeof same): Promise<LiveChange<TallyRow>> => {
      const { value } = await within(5_000, 'a payload', it.next());
      if (value === undefined) throw new Error('It is over.');
      return value;
    };
    expect((await next(same)).row.amounts).toEqual([1]);
    expect((await next(other)).row.amounts).toEqual([99]);
    expect(await rebuilt(engine, projection)).toMatchObject({ differences: 1 });
    expect(await next(other)).toMatchObject({ row: { amounts: [1] }, position: 2, events: [] });
    await add(engine, 'same', 5);
    expect(await next(same)).toMatchObject({ row: { amounts: [1, 5] }, events: [{ version: 2 }] });
  });

  it('is shown as it goes to who watches the projection, and to nobody once they have left', async () => {
    const engine = await start();
    await add(engine, 'a', 1);
    const watcher = await engine.projectionWatch.watch(projection.name);
    if (watcher === undefined) throw new Error('There is nothing to watch.');
    expect(await engine.projectionWatch.watch('nobody.knows')).toBeUndefined();
    expect((await watcher.next()).value).toMatchObject({ name: projection.name, version: 1, rebuild: null });
    await beginRebuild(engine, projection);
    const seen: string[] = [];
    for (let status = ''; status !== 'SWAPPED'; ) {
      const { value } = await within(10_000, 'a state', watcher.next());
      status = value?.rebuild?.status ?? '';
      seen.push(status);
    }
    expect(seen.at(-1)).toBe('SWAPPED');
    const waiting = watcher.next();
    await watcher.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(engine.projectionWatch.watchers).toBe(0);
    await engine.stop();
    expect((await engine.projections.find()).get(projection.name)).toMatchObject({ status: 'STOPPED', lag: 0 });
  });
});

describeServerStore('A rebuild beside other processes', (kind) => {
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

  async function start(database: Database, options: TallyEngineOptions = {}): Promise<Engine> {
    const engine = await startTallyEngine(database, { projections: [projection], aggregates: operations, ...options });
    closing.push(() => engine.stop());
    return engine;
  }

  it('is done by the node that owns the projection, whoever asks for it; all nodes show the new rows', async () => {
    const owner = await start(databases[0]);
    const other = await start(databases[1]);
    await add(owner, 'a', 1);
    await other.tail.refresh();
    await caughtUp(other, projection);
    await meddle(databases[0], `UPDATE tally_view SET amounts = '[99]'`);
    const watching = await other.view(projection).live.subscribe('a');
    if (watching === undefined) throw new Error('There is nothing to watch.');
    closing.push(() => watching.return());
    expect((await watching.next()).value?.row.amounts).toEqual([99]);
    expect(await rebuilt(other, projection)).toMatchObject({ differences: 1 });
    const { value } = await within(5_000, 'the new row', watching.next());
    expect(value).toMatchObject({ row: { amounts: [1] }, events: [] });
    await add(other, 'a', 2);
    await caughtUp(other, projection);
    await expectFold(databases[0]);
  });

  it('is gone on with by the node that takes over; the one that lost it swaps nothing any more', async () => {
    const log = tallyLog(databases[0]);
    for (let at = 0; at < 5; at += 1) {
      const ids = Array.from({ length: 1_000 }, (_, n) => `tally-${at * 1_000 + n}`);
      await log.append([unitOf({ ids })], new Date());
    }
    const owner = await start(databases[0], { leaseSeconds: 60 });
    await caughtUp(owner, projection);
    await meddle(databases[0], `UPDATE tally_view SET amounts = '[99]' WHERE id = 'tally-7'`);
    const seen: number[] = [];
    const watched = tallyProjection({
      evolveRow: (row, event) => {
        seen.push(event.position);
        return projection.evolveRow(row, event);
      },
    });
    const other = await start(databases[1], { projections: [watched], leaseSeconds: 1 });
    const { follower } = owner.view(projection);
    const replace = follower.replace.bind(follower);
    let attempt: Promise<boolean> | undefined;
    follower.replace = async (swap) => {
      // All is folded and compared; then this node is taken for dead.
      await meddle(databases[1], 'DELETE FROM nodes WHERE id = (SELECT DISTINCT owner FROM checkpoints)');
      await vi.waitFor(() => expect(other.view(watched).follower.isOwner).toBe(true), { timeout: 60_000 });
      attempt = replace(swap);
      return attempt;
    };
    await beginRebuild(owner, projection);
    expect(await untilRebuild(other, watched, 'SWAPPED')).toMatchObject({ run: 1, differences: 1 });
    expect(await attempt).toBe(false);
    // It had nothing left to fold.
    expect(seen).toEqual([]);
    await expectFold(databases[0]);
  });

  it('waits for whoever reads the table at length, while everybody else goes on', async () => {
    const engine = await start(databases[0]);
    await add(engine, 'a', 1);
    await caughtUp(engine, projection);
    await databases[1].log.prisma.$transaction(
      async (reader) => {
        await reader.$queryRawUnsafe('SELECT count(*)::int FROM tally_view');
        await beginRebuild(engine, projection);
        await untilRebuild(engine, projection, 'COMPARING');
        for (let n = 0; n < 20; n += 1) {
          await add(engine, 'a', n + 1);
          await within(3_000, 'a read', rowsOf(databases[0]).find(''));
        }
        expect(await rebuildOf(engine, projection)).toMatchObject({ status: 'COMPARING' });
      },
      { timeout: 20_000 },
    );
    expect(await untilRebuild(engine, projection, 'SWAPPED')).toMatchObject({ differences: 0 });
    await caughtUp(engine, projection);
    await expectFold(databases[0]);
  });

  it('by newer code takes the projection from older code, which writes nothing any more', async () => {
    const older = await start(databases[0]);
    await add(older, 'a', 1);
    await caughtUp(older, projection);
    const newer = tenfold();
    const engine = await start(databases[1], { projections: [newer] });
    await untilRebuild(engine, newer, 'SWAPPED');
    await add(older, 'a', 2);
    await add(engine, 'a', 3);
    expect(await engine.view(newer).follower.reach(3, 10_000)).toBe(true);
    expect((await rowsOf(databases[0]).find(''))[0]?.amounts).toEqual([10, 20, 30]);
  });
});
