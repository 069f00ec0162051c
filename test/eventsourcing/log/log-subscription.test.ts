import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Engine } from '../../../src/eventsourcing/engine.ts';
import type { RecordedEvent } from '../../../src/eventsourcing/log/event.ts';
import type { EventFilter } from '../../../src/eventsourcing/log/event-filter.ts';
import type { EventHistory } from '../../../src/eventsourcing/log/event-history.ts';
import type { EventLog } from '../../../src/eventsourcing/log/event-log.ts';
import { type EventsAppended, LogSubscription } from '../../../src/eventsourcing/log/log-subscription.ts';
import { LogTail } from '../../../src/eventsourcing/log/log-tail.ts';
import type { Database } from '../../../src/platform/database.ts';
import { recorded } from '../../support/recorded.ts';
import { describeEachStore, openMigrated, type TestStore } from '../../support/stores.ts';
import { request, startTallyEngine } from '../../support/tally-engine.ts';

type Payload = IteratorResult<EventsAppended, undefined>;

const positionsIn = (payload: Payload) => payload.value?.events.map(({ position }) => position);
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at);

describe('A subscription to the log', () => {
  const all = recorded(
    'tally',
    'a',
    range(1, 20_000).map((it) => ({ type: it % 5_000 === 0 ? 'Rare' : 'Frequent', data: {} })),
  );
  let tail: LogTail;
  let reads: string[];
  let failure: Error | undefined;

  const log: Pick<EventLog, 'readAfter'> = {
    async readAfter(position, limit) {
      reads.push(`log after ${position}`);
      if (failure !== undefined) throw failure;
      return all.slice(position, Math.min(position + limit, tail.head));
    },
  };
  const passes = (event: RecordedEvent, { types }: EventFilter) => types?.includes(event.type) ?? true;
  /** Looks through no more than 4,000 at a time. */
  const history: Pick<EventHistory, 'page' | 'passes'> = {
    passes,
    async page(filter, { after, limit }) {
      const from = after?.[0] ?? 0;
      reads.push(`history after ${from}`);
      const end = Math.min(from + 4_000, tail.head);
      const events = all.slice(from, end).filter((event) => passes(event, filter));
      const isFull = events.length >= limit;
      return { events: events.slice(0, limit), stoppedAt: !isFull && end < tail.head ? end : undefined };
    },
  };

  beforeEach(() => {
    reads = [];
    failure = undefined;
    tail = new LogTail(log as EventLog, 0);
  });

  const subscribe = (after: number, filter: EventFilter = {}) =>
    new LogSubscription({ tail, history: history as EventHistory, filter, after });

  it('begins at once, and then waits for what happens', async () => {
    tail.advance(10);
    const subscription = subscribe(10);
    expect(await subscription.next()).toEqual({ done: false, value: { events: [], position: 10 } });
    const next = subscription.next();
    tail.beginAppend()(all.slice(10, 12));
    expect(positionsIn(await next)).toEqual([11, 12]);
    expect(reads).toEqual([]);
    await subscription.return();
  });

  it('gives a reader that is slow what there is by then: at most 500 at once, none missed, none twice', async () => {
    tail.advance(20_000);
    const subscription = subscribe(0);
    const seen: number[] = [];
    while (seen.length < 20_000) {
      const payload = await subscription.next();
      expect(payload.value?.events.length).toBeLessThanOrEqual(500);
      seen.push(...(positionsIn(payload) ?? []));
      expect(payload.value?.position).toBe(seen.at(-1));
    }
    expect(seen).toEqual(range(1, 20_000));
    await subscription.return();
  });

  it('looks for what is rare where that is quick, and follows from memory once it is near', async () => {
    tail.advance(20_000);
    const subscription = subscribe(0, { types: ['Rare'] });
    const payloads = [await subscription.next(), await subscription.next(), await subscription.next()];
    expect(payloads.map(positionsIn)).toEqual([[5_000], [10_000], [15_000]]);
    expect(payloads.map(({ value }) => value?.position)).toEqual([8_000, 12_000, 15_000]);
    expect(reads.filter((it) => it.startsWith('history'))).toEqual([
      'history after 0',
      'history after 4000',
      'history after 8000',
    ]);
    await subscription.return();
  });

  it('says how far it has read where nothing passes, not more than once a second', async () => {
    const subscription = subscribe(0, { types: ['Rare'] });
    await subscription.next();
    const began = performance.now();
    const next = subscription.next();
    tail.advance(10);
    await Promise.resolve();
    tail.advance(20);
    expect(await next).toEqual({ done: false, value: { events: [], position: 20 } });
    expect(performance.now() - began).toBeGreaterThan(900);
    await subscription.return();
  });

  it('hands out at once what passes, with all progress until then', async () => {
    const subscription = subscribe(4_990, { types: ['Rare'] });
    tail.advance(4_990);
    await subscription.next();
    const next = subscription.next();
    tail.advance(4_995);
    await Promise.resolve();
    const began = performance.now();
    tail.advance(5_001);
    const payload = await next;
    expect([positionsIn(payload), payload.value?.position]).toEqual([[5_000], 5_001]);
    expect(performance.now() - began).toBeLessThan(900);
    await subscription.return();
  });

  it('ends for whoever waits, and leaves nothing behind', async () => {
    const subscription = subscribe(0);
    await subscription.next();
    expect(tail.followerCount).toBe(1);
    const waiting = [subscription.next(), subscription.next()];
    expect(await subscription.return()).toEqual({ done: true, value: undefined });
    expect(await Promise.all(waiting)).toEqual([
      { done: true, value: undefined },
      { done: true, value: undefined },
    ]);
    expect(tail.followerCount).toBe(0);
    tail.advance(10);
    expect(await subscription.next()).toEqual({ done: true, value: undefined });
    expect(reads).toEqual([]);
  });

  it('ends though it is just reading', async () => {
    tail.advance(10);
    const subscription = subscribe(0);
    const next = subscription.next();
    await subscription.return();
    expect((await next).done).toBe(true);
    expect(tail.followerCount).toBe(0);
  });

  it('answers calls that are made at once one after the other', async () => {
    tail.advance(1_200);
    const subscription = subscribe(0);
    const payloads = await Promise.all([subscription.next(), subscription.next(), subscription.next()]);
    expect(payloads.flatMap(positionsIn)).toEqual(range(1, 1_200));
    await subscription.return();
  });

  it('is over once it broke: whoever asks is told, and nothing is left behind', async () => {
    tail.advance(10);
    failure = new Error('It broke.');
    const subscription = subscribe(0);
    await expect(subscription.next()).rejects.toThrow('It broke.');
    expect(tail.followerCount).toBe(0);
    expect((await subscription.next()).done).toBe(true);
  });

  it('does not ask again and again for what is said to be there and is not', async () => {
    vi.useFakeTimers();
    try {
      tail.advance(10);
      const empty: Pick<EventLog, 'readAfter'> = {
        async readAfter() {
          reads.push('nothing');
          return [];
        },
      };
      const odd = new LogTail(empty as EventLog, 10);
      const subscription = new LogSubscription({
        tail: odd,
        history: history as EventHistory,
        filter: {},
        after: 5,
      });
      const next = subscription.next();
      await vi.advanceTimersByTimeAsync(3_500);
      expect(reads.length).toBeLessThan(6);
      await subscription.return();
      await vi.advanceTimersByTimeAsync(1_000);
      await next;
    } finally {
      vi.useRealTimers();
    }
  });
});

describeEachStore('The log, followed live,', (kind) => {
  let store: TestStore;
  let database: Database;
  let engine: Engine;

  beforeAll(async () => {
    store = await kind.create();
    database = await openMigrated(store);
    engine = await startTallyEngine(database);
  });
  afterAll(async () => {
    await engine.stop();
    await database.close();
    await store.remove();
  });

  it('has every event once, in order, for readers that begin and end while it grows', async () => {
    const { tail, history, executor } = engine;
    const ids = range(1, 6).map(() => randomUUID());
    const growing = ids.map(async (tallyId) => {
      for (let at = 0; at < 20; at += 1) await executor.execute(request('Add', { tallyId, amount: 1 }));
    });
    const filters: EventFilter[] = [
      {},
      { aggregateId: ids[0] },
      { types: ['TallyAdded'], aggregateType: 'tally' },
      { types: ['None'] },
    ];
    const reading = filters.map(async (filter) => {
      const seen: RecordedEvent[] = [];
      for (let after = 0; after < 120; ) {
        // A few payloads, and it is gone; the next goes on from there.
        const subscription = new LogSubscription({ tail, history, filter, after });
        for (let payloads = 0; payloads < 3 && after < 120; payloads += 1) {
          const { value } = await subscription.next();
          seen.push(...(value?.events ?? []));
          after = value?.position ?? after;
        }
        await subscription.return();
      }
      return seen;
    });
    await Promise.all(growing);
    const found = await Promise.all(reading);
    const whole = await engine.log.readAfter(0, 1_000);
    expect(whole).toHaveLength(120);
    for (const [at, filter] of filters.entries()) {
      expect(found[at]?.map(({ position }) => position)).toEqual(
        whole.filter((event) => history.passes(event, filter)).map(({ position }) => position),
      );
    }
  });
});
