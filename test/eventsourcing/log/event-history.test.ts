import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { RecordedEvent } from '../../../src/eventsourcing/log/event.ts';
import type { EventFilter } from '../../../src/eventsourcing/log/event-filter.ts';
import { EventHistory, type FoundEvents } from '../../../src/eventsourcing/log/event-history.ts';
import type { EventLog } from '../../../src/eventsourcing/log/event-log.ts';
import type { Database } from '../../../src/platform/database.ts';
import { type LoggedCommand, writeLog } from '../../support/log-rows.ts';
import { describeEachStore, openMigrated, type TestStore } from '../../support/stores.ts';
import { readWholeLog, tallyLog } from '../../support/tally-engine.ts';

const START = Date.parse('2030-01-31T12:00:00.000Z');
const TYPES = ['TallyAdded', 'TallyLocked', 'TallyUnlocked'];
const AGGREGATES = ['tally', 'copy'];
const IDS = ['a', 'b', 'c'];
const ACTORS = ['anna', 'bob', null];
const REQUESTS = Array.from({ length: 12 }, () => randomUUID());
const SLICE = 7;
const MAX_SLICES = 3;

/** The same each time, and as mixed as it is in life: several events of one command, at one instant, in two streams. */
function mixedLog(): LoggedCommand[] {
  let seed = 42;
  const pick = <Item>(items: readonly Item[]): Item => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return items[Math.floor((seed / 2 ** 31) * items.length)] as Item;
  };
  let recordedAt = START;
  const own = [...REQUESTS];
  return Array.from({ length: 120 }, () => {
    recordedAt += pick([0, 0, 1, 1_000]);
    // Some take their id for the correlation of all that follows; most follow.
    const commandId = pick([0, 1, 2, 3]) === 0 ? (own.pop() ?? randomUUID()) : randomUUID();
    const correlationId = REQUESTS.includes(commandId) ? commandId : pick([...REQUESTS, commandId]);
    const id = pick(ACTORS);
    return {
      commandId,
      correlationId,
      actor: { kind: id === null ? 'SYSTEM' : 'STAFF', id },
      recordedAt: new Date(recordedAt),
      events: Array.from({ length: pick([0, 1, 1, 2, 5]) }, () => ({
        aggregateType: pick(AGGREGATES),
        aggregateId: pick(IDS),
        type: pick(TYPES),
        data: { amount: 1, note: '', total: 1 },
      })),
    };
  });
}

/** Whether an event is wanted, said another way than the engine says it. */
function isWanted(event: RecordedEvent, filter: EventFilter): boolean {
  const misses = [
    filter.aggregateType !== undefined && filter.aggregateType !== event.aggregateType,
    filter.aggregateId !== undefined && filter.aggregateId !== event.aggregateId,
    filter.streamId !== undefined && filter.streamId !== `${event.aggregateType}-${event.aggregateId}`,
    filter.types !== undefined && !filter.types.some((type) => type === event.type),
    filter.actorId !== undefined && filter.actorId !== event.actor.id,
    filter.correlationId !== undefined && filter.correlationId !== event.correlationId,
    filter.from !== undefined && event.recordedAt.getTime() < filter.from.getTime(),
    filter.to !== undefined && event.recordedAt.getTime() >= filter.to.getTime(),
  ];
  return !misses.includes(true);
}

const positionsOf = (events: readonly RecordedEvent[]) => events.map(({ position }) => position);

describeEachStore('The history of events', (kind) => {
  let store: TestStore;
  let database: Database;
  let log: EventLog;
  let all: RecordedEvent[];
  let history: EventHistory;

  beforeAll(async () => {
    store = await kind.create();
    database = await openMigrated(store);
    log = tallyLog(database);
    await writeLog(database.log, mixedLog());
    all = await readWholeLog(log);
    history = historyWith({ sliceSize: SLICE, maxSlices: MAX_SLICES });
  });
  afterAll(async () => {
    await database.close();
    await store.remove();
  });

  function historyWith(limits: { readonly sliceSize?: number; readonly maxSlices?: number }) {
    return new EventHistory({ client: database.derived, log, aggregateTypes: new Set(AGGREGATES), ...limits });
  }

  /** Reads on until there is no more, as a client does. */
  async function readAll(filter: EventFilter, limit: number, inverted: boolean, reader = history) {
    const found: RecordedEvent[] = [];
    const pages: FoundEvents[] = [];
    for (let from: readonly [number] | undefined; ; ) {
      const page = await reader.page(
        filter,
        inverted ? { before: from, limit, inverted } : { after: from, limit, inverted },
      );
      found.push(...page.events);
      pages.push(page);
      const next = page.stoppedAt ?? (page.events.length === limit ? page.events.at(-1)?.position : undefined);
      if (next === undefined) return { found: inverted ? found.reverse() : found, pages };
      expect(inverted ? next < (from?.[0] ?? Number.MAX_SAFE_INTEGER) : next > (from?.[0] ?? 0)).toBe(true);
      from = [next];
    }
  }

  const maybe = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined, freq: 2 });
  const instant = fc.integer({ min: -2, max: 42_000 }).map((it) => new Date(START + it));
  const filters = fc.record({
    aggregateType: maybe(fc.constantFrom(...AGGREGATES, 'nothing')),
    aggregateId: maybe(fc.constantFrom(...IDS, 'z')),
    types: maybe(fc.subarray([...TYPES, 'NothingHappened'])),
    actorId: maybe(fc.constantFrom('anna', 'bob', 'nobody')),
    correlationId: maybe(fc.constantFrom(...REQUESTS, randomUUID())),
    from: maybe(instant),
    to: maybe(instant),
  });

  it('finds what a filter wants: all of it, once, in order, forward and backward, whatever the pages', async () => {
    expect(all.length).toBeGreaterThan(150);
    const run = async (filter: EventFilter, limit: number) => {
      const wanted = positionsOf(all.filter((event) => isWanted(event, filter)));
      for (const inverted of [false, true])
        expect(positionsOf((await readAll(filter, limit, inverted)).found)).toEqual(wanted);
      expect(positionsOf(all.filter((event) => history.passes(event, filter)))).toEqual(wanted);
      expect(await historyWith({}).count(filter, 1_000)).toBe(wanted.length);
    };
    await fc.assert(fc.asyncProperty(filters, fc.integer({ min: 3, max: 60 }), run), { numRuns: 30 });
  });

  it('finds each event between two others', async () => {
    const between = { after: [20], before: [31], limit: 100 } as const;
    for (const inverted of [false, true]) {
      const { events, stoppedAt } = await history.page({}, { ...between, inverted });
      const positions = Array.from({ length: 10 }, (_, it) => 21 + it);
      expect(positionsOf(events)).toEqual(inverted ? positions.reverse() : positions);
      expect(stoppedAt).toBeUndefined();
    }
    expect((await history.page({}, { after: [31], before: [20], limit: 10, inverted: false })).events).toEqual([]);
  });

  it('says how far it looked where that was too much for one page, and costs no more however much there is', async () => {
    const nobody = { actorId: 'nobody' };
    const { found, pages } = await readAll(nobody, 10, false);
    expect(found).toEqual([]);
    expect(pages.slice(0, 2)).toEqual([
      { events: [], stoppedAt: SLICE * MAX_SLICES },
      { events: [], stoppedAt: SLICE * MAX_SLICES * 2 },
    ]);
    expect(pages.at(-1)?.stoppedAt).toBeUndefined();
    const [first] = (await readAll(nobody, 10, true)).pages;
    expect(first?.stoppedAt).toBe(all.length + 1 - SLICE * MAX_SLICES);
    expect(await history.count(nobody, 1_000)).toBeNull();
    expect(await historyWith({}).count(nobody, 1_000)).toBe(0);
  });

  it('is not held up where it can be read along an index', async () => {
    const { streamId } = all[0] ?? { streamId: '' };
    for (const filter of [{}, { streamId }, { aggregateId: 'a' }, { correlationId: all[50]?.correlationId }])
      expect((await history.page(filter, { limit: 1_000, inverted: false })).stoppedAt).toBeUndefined();
  });

  it('counts no further than it is asked to', async () => {
    expect(await history.count({}, all.length)).toBe(all.length);
    expect(await history.count({}, all.length - 1)).toBeNull();
    expect(await history.count({ aggregateId: 'a' }, 3)).toBeNull();
    expect(await history.count({ types: [] }, 10)).toBe(0);
  });

  it('knows the stream of an instance by its name', async () => {
    const wanted = all.filter(({ streamId }) => streamId === 'copy-b');
    expect((await readAll({ streamId: 'copy-b' }, 5, false)).found).toEqual(wanted);
    expect((await readAll({ streamId: 'copy-b', aggregateType: 'tally' }, 5, false)).found).toEqual([]);
  });

  it('finds one event by its id', async () => {
    const [event] = all;
    expect(await history.find(event?.eventId ?? '')).toEqual(event);
    expect(await history.find((event?.eventId ?? '').toUpperCase())).toEqual(event);
    for (const id of [randomUUID(), 'nope', '', '\u0000']) expect(await history.find(id)).toBeUndefined();
  });

  it('is not confused by what no column can hold', async () => {
    const bad = '\u0000';
    const page = { limit: 10, inverted: false };
    const filters = [
      { aggregateType: bad },
      { aggregateId: bad },
      { streamId: bad },
      { actorId: bad },
      { types: [bad] },
    ];
    for (const filter of [...filters, { correlationId: 'x' }, { types: [bad], correlationId: randomUUID() }])
      expect(await history.page(filter, page)).toEqual({ events: [], stoppedAt: undefined });
    const some = { types: [bad, '\ud800', 'TallyAdded'] };
    expect((await readAll(some, 50, false)).found).toEqual(all.filter(({ type }) => type === 'TallyAdded'));
    expect(
      (await history.page({ from: new Date(-8e15), to: new Date(8e15) }, { limit: 1_000, inverted: false })).events,
    ).toHaveLength(all.length);
  });

  describe('knows where the log was', () => {
    it('at every instant', async () => {
      for (const at of [...new Set(all.map(({ recordedAt }) => recordedAt.getTime()))]) {
        const upTo = (instant: number) => all.filter(({ recordedAt }) => recordedAt.getTime() <= instant).length;
        expect(await log.positionAt(new Date(at))).toBe(upTo(at));
        expect(await log.positionAt(new Date(at - 1))).toBe(upTo(at - 1));
      }
      expect(await log.positionAt(new Date('1970-01-01T00:00:00Z'))).toBe(0);
      expect(await log.positionAt(new Date('9999-12-31T00:00:00Z'))).toBe(all.length);
    });

    it('and the version of a stream at every position', async () => {
      const versionRow = z.array(z.object({ position: z.number(), version: z.number() }));
      for (const streamId of ['tally-a', 'copy-c', 'tally-nobody']) {
        const rows = versionRow.parse(
          await database.log.query(
            'SELECT position, stream_version_at($1, position::bigint) AS version FROM generate_series(-1, $2::int) AS position ORDER BY 1',
            streamId,
            all.length + 1,
          ),
        );
        expect(rows.map(({ version }) => version)).toEqual(
          rows.map(({ position }) => all.filter((it) => it.streamId === streamId && it.position <= position).length),
        );
      }
    });
  });
});
