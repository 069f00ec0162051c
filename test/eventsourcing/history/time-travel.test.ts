import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Engine } from '../../../src/eventsourcing/engine.ts';
import { StreamHistory } from '../../../src/eventsourcing/history/stream-history.ts';
import {
  type Fold,
  TimeTravel,
  TooManyDifferences,
  UnknownAggregate,
  UnknownAggregateType,
  UnknownVersion,
} from '../../../src/eventsourcing/history/time-travel.ts';
import { type RecordedEvent, type RecordedEventOf, UnreadableEvent } from '../../../src/eventsourcing/log/event.ts';
import type { Projection } from '../../../src/eventsourcing/projections/projection.ts';
import type { Database } from '../../../src/platform/database.ts';
import { applied } from '../../support/apply-differences.ts';
import { describeEachStore, openMigrated, type TestStore } from '../../support/stores.ts';
import {
  emptyTallyStore,
  evolveTally,
  type TallyRow,
  type TallyState,
  tally,
  tallyDecider,
  type tallyEvents,
  tallyProjection,
  tallyStream,
} from '../../support/tally.ts';
import { readWholeLog, request, startTallyEngine, succeeded, tallyLog } from '../../support/tally-engine.ts';

type RecordedTallyEvent = RecordedEventOf<(typeof tallyEvents)[number]>;

const tallyFold: Fold<TallyState> = {
  initialState: tallyDecider.initialState,
  evolve: (state, event) => tallyDecider.evolve(state, event as RecordedTallyEvent),
};

describeEachStore('The past', (kind) => {
  let store: TestStore;
  let database: Database;
  let engine: Engine;

  beforeAll(async () => {
    store = await kind.create();
    database = await openMigrated(store);
  });
  beforeEach(async () => {
    await emptyTallyStore(database);
    engine = await startTallyEngine(database);
    return () => engine.stop();
  });
  afterAll(async () => {
    await database.close();
    await store.remove();
  });

  const add = async (tallyId: string, amount = 1) =>
    succeeded(await engine.executor.execute(request('Add', { tallyId, amount }))).receipt;
  const projection = tallyProjection();
  const rowAsOf = (id: string, position: number) =>
    engine.timeTravel.rowAsOf(projection, id, [tallyStream(id)], position);
  const folded = (events: readonly RecordedEvent[]) =>
    events.reduce<TallyRow | undefined>((row, event) => projection.evolveRow(row, event), undefined);

  test('of a row is the fold of its first events, of whatever was done to whichever', async () => {
    const step = fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('Add', 'Lock', 'Unlock'), fc.nat(9));
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        await engine.stop();
        await emptyTallyStore(database);
        engine = await startTallyEngine(database);
        for (const [tallyId, name, amount] of steps) {
          const data = name === 'Add' ? { tallyId, amount } : { tallyId };
          await engine.executor.execute(request(name as 'Add', data as { tallyId: string; amount: number }));
        }
        const log = await readWholeLog(engine.log);
        for (const id of ['a', 'b', 'c']) {
          const own = log.filter((event) => event.aggregateId === id);
          for (const position of [0, ...log.map((event) => event.position)]) {
            const before = own.filter((event) => event.position <= position);
            expect(await rowAsOf(id, position)).toEqual(folded(before));
            expect(
              (await engine.timeTravel.streams.versionsAt([tallyStream(id)], position)).get(tallyStream(id)) ?? 0,
            ).toBe(before.length);
            const known = await engine.timeTravel.stateAsOf(tallyFold, tallyStream(id), before.length);
            expect(known).toEqual({
              version: before.length,
              state: before.reduce(tallyFold.evolve, tallyFold.initialState),
            });
          }
          for (const [at, event] of own.entries()) {
            expect(await engine.timeTravel.positionOf(tallyStream(id), { version: at + 1 })).toBe(event.position);
          }
        }
      }),
      { numRuns: 5 },
    );
  });

  test('has instants: what was recorded by then, nothing before the beginning, and now in the future', async () => {
    await add('a');
    await add('a', 2);
    const events = await readWholeLog(engine.log);
    const stream = tallyStream('a');
    const { timeTravel } = engine;
    expect(await timeTravel.positionOf(stream, { at: new Date('2000-01-01T00:00:00Z') })).toBe(0);
    expect(await timeTravel.positionOf(stream, { at: new Date('2999-01-01T00:00:00Z') })).toBe(2);
    for (const { recordedAt } of events) {
      const expected = events.filter((it) => it.recordedAt <= recordedAt).length;
      expect(await timeTravel.positionOf(stream, { at: recordedAt })).toBe(expected);
    }
  });

  test('has no version that there was not', async () => {
    await add('a');
    const { timeTravel } = engine;
    expect(await timeTravel.positionOf(tallyStream('a'), { version: 0 })).toBe(0);
    for (const version of [2, 2 ** 31 - 1, 2 ** 31, 2 ** 53, -1]) {
      expect(await timeTravel.positionOf(tallyStream('a'), { version })).toBeUndefined();
    }
    expect(await timeTravel.positionOf(tallyStream('nobody'), { version: 1 })).toBeUndefined();
    expect(await rowAsOf('nobody', 1)).toBeUndefined();
    expect(await timeTravel.streams.newestVersion(tallyStream('nobody'))).toBe(0);
  });

  test('of a row of several streams holds what happened in any of them by then', async () => {
    // A row of two tallies: that of `b` is learnt of from the newest row, or from a row that was made without it.
    const pair = (second: (row: TallyRow) => readonly string[]): Projection<TallyRow> => ({
      ...projection,
      name: 'test.pair',
      keyOf: () => 'a',
      evolveRow: (row, event) => evolveTally(row, event as RecordedTallyEvent),
      streamsOf: (row) => [tallyStream('a'), ...second(row)],
    });
    const positions: (number | null)[] = [];
    for (const [id, amount] of [
      ['a', 1],
      ['b', 10],
      ['a', 2],
      ['b', 20],
    ] as const)
      positions.push((await add(id, amount)).position);
    const amountsAt = async (it: Projection<TallyRow>, streams: string[], position: number) =>
      (await engine.timeTravel.rowAsOf(it, 'a', streams, position))?.amounts;
    const [first = 0, second = 0, third = 0] = positions.map(Number);
    const both = [tallyStream('a'), tallyStream('b')];
    expect(
      await amountsAt(
        pair(() => []),
        both,
        first,
      ),
    ).toEqual([1]);
    expect(
      await amountsAt(
        pair(() => []),
        both,
        second,
      ),
    ).toEqual([1, 10]);
    expect(
      await amountsAt(
        pair(() => [tallyStream('b')]),
        [tallyStream('a')],
        third,
      ),
    ).toEqual([1, 10, 2]);
    expect(
      await amountsAt(
        pair(({ amounts }) => (amounts.length > 1 ? [tallyStream('b')] : [])),
        [tallyStream('a')],
        third,
      ),
    ).toEqual([1, 10, 2]);
  });

  test('of a stream whose newest event says it all takes that one event, also where a newer one is not for the row', async () => {
    await add('a', 5);
    await add('a', 6);
    await engine.executor.execute(request('Lock', { tallyId: 'a' }));
    const seen: number[] = [];
    const newest: Projection<TallyRow> = {
      ...projection,
      eventTypes: ['TallyAdded'],
      isSaidByNewest: () => true,
      evolveRow(row, event) {
        seen.push(event.position);
        return projection.evolveRow(row, event);
      },
    };
    expect(await engine.timeTravel.rowAsOf(newest, 'a', [tallyStream('a')], 3)).toMatchObject({ amounts: [6] });
    expect(seen).toEqual([2]);
  });

  test('of a long stream is read page by page', { timeout: 60_000 }, async () => {
    const outcomes = Array.from({ length: 1_200 }, (_, at) => add('long', at + 1));
    await Promise.all(outcomes);
    const row = await rowAsOf('long', 1_150);
    expect(row).toMatchObject({ version: 1_150 });
    expect(row?.amounts).toHaveLength(1_150);
    const { version } = await engine.timeTravel.stateAsOf(tallyFold, tallyStream('long'), 10 ** 9);
    expect(version).toBe(1_200);
  });

  test('is compared: what differs, applied to the older state, gives the newer one, from either side', async () => {
    await add('a', 5);
    await engine.executor.execute(request('Lock', { tallyId: 'a' }));
    const compare = (from: number, to?: number) =>
      engine.timeTravel.compare(
        { aggregateType: 'tally', aggregateId: 'a' },
        { version: from },
        to === undefined ? undefined : { version: to },
        10,
      );
    expect(await compare(0)).toEqual([
      { path: '/isLocked', from: false, to: true },
      { path: '/total', from: 0, to: 5 },
    ]);
    expect(await compare(2, 1)).toEqual([{ path: '/isLocked', from: true, to: false }]);
    expect(await compare(1, 1)).toEqual([]);
    expect(applied({ total: 0, isLocked: false }, await compare(0, 2))).toEqual({ total: 5, isLocked: true });
    const at = { at: new Date('2999-01-01T00:00:00Z') };
    const since = await engine.timeTravel.compare({ aggregateType: 'tally', aggregateId: 'a' }, { version: 1 }, at, 10);
    expect(since).toEqual(await compare(1));
  });

  test('is not compared of what there is not, and not without end', async () => {
    await add('a', 5);
    const compare = (aggregateType: string, aggregateId: string, version = 0, limit = 10) =>
      engine.timeTravel.compare({ aggregateType, aggregateId }, { version }, undefined, limit);
    await expect(compare('tallies', 'a')).rejects.toThrow(UnknownAggregateType);
    await expect(compare('x'.repeat(1_000), 'a')).rejects.toThrow(/^.{1,200}$/);
    for (const id of ['b', '', 'nul \u0000', 'half \ud800', 'x'.repeat(10_000)]) {
      await expect(compare('tally', id)).rejects.toThrow(UnknownAggregate);
    }
    await expect(compare('tally', 'a', 2)).rejects.toThrow(UnknownVersion);
    await expect(compare('tally', 'a', 0, 0)).rejects.toThrow(TooManyDifferences);
  });

  test('is not made up where an event cannot be read', async () => {
    await add('a');
    await add('a');
    await database.log.query(`UPDATE events SET type = 'TallyForetold' WHERE position = 2`);
    const { timeTravel } = engine;
    await expect(timeTravel.stateAsOf(tallyFold, tallyStream('a'), 2)).rejects.toThrow(UnreadableEvent);
    // What a row never took does not matter to it.
    expect(await rowAsOf('a', 2)).toMatchObject({ amounts: [1], version: 1 });
  });

  test('is looked into by a few at a time', async () => {
    await add('a');
    let open = 0;
    let most = 0;
    class CountedHistory extends StreamHistory {
      override async versionsAt(...wanted: Parameters<StreamHistory['versionsAt']>) {
        open += 1;
        most = Math.max(most, open);
        const found = await super.versionsAt(...wanted);
        open -= 1;
        return found;
      }
    }
    const log = tallyLog(database);
    const timeTravel = new TimeTravel(log, new CountedHistory(database.log, log), [tally]);
    const looks = Array.from({ length: 50 }, () => timeTravel.rowAsOf(projection, 'a', [tallyStream('a')], 1));
    expect((await Promise.all(looks)).every((row) => row?.version === 1)).toBe(true);
    expect(most).toBeLessThanOrEqual(4);
  });
});
