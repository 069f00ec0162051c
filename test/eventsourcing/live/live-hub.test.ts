import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Engine } from '../../../src/eventsourcing/engine.ts';
import { LiveHub, type LiveRows } from '../../../src/eventsourcing/live/live-hub.ts';
import type { LiveChange, LiveSubscription } from '../../../src/eventsourcing/live/live-subscription.ts';
import type { RecordedEvent } from '../../../src/eventsourcing/log/event.ts';
import type { EventLog } from '../../../src/eventsourcing/log/event-log.ts';
import type { RowChange } from '../../../src/eventsourcing/projections/projector.ts';
import { type Database, openDatabase } from '../../../src/platform/database.ts';
import { unitOf } from '../../support/append-units.ts';
import { describeServerStore, embeddedStores, openMigrated, type TestStore } from '../../support/stores.ts';
import { foldEvents } from '../../support/tables.ts';
import { emptyTallyStore, type TallyRow, tallyProjection, tallyStream } from '../../support/tally.ts';
import { request, startTallyEngine, tallyLog } from '../../support/tally-engine.ts';
import { within } from '../../support/within.ts';

type Change = LiveChange<TallyRow>;
type Subscription = LiveSubscription<TallyRow>;

const projection = tallyProjection();
const positionsOf = (events: readonly RecordedEvent[]) => events.map(({ position }) => position);
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at);

async function nextOf(subscription: Subscription | undefined): Promise<Change> {
  const result = await subscription?.next();
  if (result === undefined || result.done === true) throw new Error('It is over.');
  return result.value;
}

/** Takes payloads until one is at a position. */
async function takeUntil(subscription: Subscription, position: number): Promise<Change[]> {
  const changes: Change[] = [];
  while ((changes.at(-1)?.position ?? 0) < position) {
    if (changes.length > 100) throw new Error('Payload after payload, and none comes to the end.');
    changes.push(await nextOf(subscription));
  }
  return changes;
}

/**
 * The projector and the read table in small, whose every step the test takes itself: events are appended to a real log,
 * then committed to the table, and then told to the hub, by this process or by another.
 */
class Stage implements LiveRows<TallyRow> {
  readonly table = new Map<string, TallyRow>();
  readonly ownRows = new Map<string, TallyRow>();
  readonly hub: LiveHub<TallyRow>;
  readonly #log: EventLog;
  /** Loads wait here if set. */
  gate: Promise<void> | undefined;

  constructor(log: EventLog) {
    this.#log = log;
    this.hub = new LiveHub(projection, this, log);
  }

  committed(key: string): TallyRow | undefined {
    return this.ownRows.get(key);
  }

  async load(keys: readonly string[]): Promise<ReadonlyMap<string, TallyRow>> {
    await this.gate;
    const found = new Map(keys.flatMap((key) => [[key, this.table.get(key)] as const]));
    await nextTurn();
    return new Map([...found].flatMap(([key, row]) => (row === undefined ? [] : [[key, row] as const])));
  }

  /** Appends events for a key and commits them to the table; nobody is told yet. */
  async commit(key: string, count = 1): Promise<RowChange<TallyRow>> {
    const before = this.table.get(key);
    const [unit] = await this.#log.append([unitOf({ ids: [key], decidedOn: before?.version ?? 0, count })], new Date());
    if (unit?.outcome !== 'appended') throw new Error('It was not appended.');
    const row = unit.events.reduce<TallyRow | undefined>(
      (current, event) => projection.evolveRow(current, event),
      before,
    );
    if (row === undefined) throw new Error('There is no row.');
    this.table.set(key, row);
    return { key, before, row, events: unit.events };
  }

  tell(change: RowChange<TallyRow>): void {
    this.ownRows.set(change.key, change.row);
    this.hub.committed([change]);
  }

  async change(key: string, count = 1): Promise<RowChange<TallyRow>> {
    const change = await this.commit(key, count);
    this.tell(change);
    return change;
  }

  /** Another process wrote: what was committed here is no longer trusted. */
  async changeElsewhere(key: string, count = 1): Promise<RowChange<TallyRow>> {
    const change = await this.commit(key, count);
    this.ownRows.clear();
    return change;
  }
}

describe('The live hub', () => {
  let store: TestStore;
  let database: Database;
  let log: EventLog;
  let stage: Stage;
  let key: string;

  beforeAll(async () => {
    store = await embeddedStores.create();
    database = await openMigrated(store);
    log = tallyLog(database);
  });
  beforeEach(async () => {
    stage = new Stage(log);
    key = randomUUID();
    await stage.change(key, 3);
  });
  afterAll(async () => {
    await database.close();
    await store.remove();
  });

  const subscribe = async (after?: number): Promise<Subscription> => {
    const subscription = await stage.hub.subscribe(key, after);
    if (subscription === undefined) throw new Error('There is no such row.');
    return subscription;
  };

  it('begins with the row as it stands, without events', async () => {
    const first = await nextOf(await subscribe());
    expect(first).toEqual({ row: stage.table.get(key), position: stage.table.get(key)?.position, events: [] });
  });

  it('begins without events also where the row changed before it was read', async () => {
    const subscription = await subscribe();
    await stage.change(key);
    expect(await nextOf(subscription)).toMatchObject({ row: stage.table.get(key), events: [] });
  });

  it('asks the log for nothing where all keep up', async () => {
    const reading = vi.spyOn(log, 'readStreamsBetween');
    const subscription = await subscribe();
    await nextOf(subscription);
    for (let at = 0; at < 5; at += 1) {
      await stage.change(key);
      await nextOf(subscription);
    }
    expect(reading).not.toHaveBeenCalled();
    reading.mockRestore();
  });

  it('then gives one payload for each change, with its events', async () => {
    const subscription = await subscribe();
    await nextOf(subscription);
    for (const count of [1, 4, 2]) {
      const { row, events } = await stage.change(key, count);
      expect(await nextOf(subscription)).toEqual({ row, position: row.position, events });
    }
  });

  it('wakes who waits already', async () => {
    const subscription = await subscribe();
    await nextOf(subscription);
    const waiting = nextOf(subscription);
    await nextTurn();
    const { row, events } = await stage.change(key);
    expect(await waiting).toEqual({ row, position: row.position, events });
  });

  it('resumes after a position: nothing missed, nothing twice', async () => {
    const { events } = await stage.change(key, 4);
    const after = (events[0]?.position ?? 0) - 2;
    const subscription = await subscribe(after);
    expect(positionsOf((await nextOf(subscription)).events)).toEqual(range(after + 1, after + 5));
    await stage.change(key);
    expect(positionsOf((await nextOf(subscription)).events)).toEqual([after + 6]);
  });

  it('resumes from the newest position with the row and no events', async () => {
    const position = stage.table.get(key)?.position;
    expect(await nextOf(await subscribe(position))).toMatchObject({ position, events: [] });
  });

  it('gives a slow client fewer payloads, each with every event since the one before', async () => {
    const subscription = await subscribe();
    const { position } = await nextOf(subscription);
    for (let at = 0; at < 50; at += 1) await stage.change(key);
    const merged = await nextOf(subscription);
    expect(merged.row).toEqual(stage.table.get(key));
    expect(positionsOf(merged.events)).toEqual(range(position + 1, position + 50));
  });

  it('gives all who stand at the same place the same payload object, so that what they share is made once', async () => {
    const subscriptions = await Promise.all(Array.from({ length: 5 }, () => subscribe()));
    for (const subscription of subscriptions) await nextOf(subscription);
    await stage.change(key);
    const payloads = await Promise.all(subscriptions.map((it) => nextOf(it)));
    expect(new Set(payloads).size).toBe(1);
  });

  it('serves a client that is further behind than the kept events from the log', async () => {
    const subscription = await subscribe();
    const { position } = await nextOf(subscription);
    for (let at = 0; at < 3; at += 1) await stage.change(key, 600);
    expect(positionsOf((await nextOf(subscription)).events)).toEqual(range(position + 1, position + 1_800));
    await stage.change(key);
    expect(positionsOf((await nextOf(subscription)).events)).toEqual([position + 1_801]);
  });

  it('hands out more than 5,000 events over several payloads', async () => {
    const subscription = await subscribe();
    const { position } = await nextOf(subscription);
    for (let at = 0; at < 3; at += 1) await stage.change(key, 4_000);
    const payloads = await takeUntil(subscription, position + 12_000);
    expect(payloads.map(({ events }) => events.length)).toEqual([5_000, 5_000, 2_000]);
    expect(positionsOf(payloads.flatMap(({ events }) => events))).toEqual(range(position + 1, position + 12_000));
    for (const payload of payloads) expect(payload.position).toBe(payload.events.at(-1)?.position);
  });

  it('knows nothing of a row that is not there, and keeps nothing of the attempt', async () => {
    expect(await stage.hub.subscribe(randomUUID())).toBeUndefined();
    expect(stage.hub.watched).toEqual({ topics: 0, subscribers: 0 });
  });

  it('ends a subscription that waits when it is returned, and leaves nothing behind', async () => {
    const subscription = await subscribe();
    const other = await subscribe();
    await nextOf(subscription);
    const waiting = subscription.next();
    await nextTurn();
    expect(stage.hub.watched).toEqual({ topics: 1, subscribers: 2 });
    await subscription.return();
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(await subscription.next()).toEqual({ done: true, value: undefined });
    expect(stage.hub.watched).toEqual({ topics: 1, subscribers: 1 });
    await other.throw();
    await other.return();
    expect(stage.hub.watched).toEqual({ topics: 0, subscribers: 0 });
  });

  it('ends every call of next() that waits, should there be several', async () => {
    const subscription = await subscribe();
    await nextOf(subscription);
    const waiting = [subscription.next(), subscription.next()];
    await nextTurn();
    await subscription.return();
    for (const { done } of await within(1_000, 'both end', Promise.all(waiting))) expect(done).toBe(true);
  });

  it('leaves nothing behind of a subscription whose row could not be read', async () => {
    stage.ownRows.clear();
    stage.gate = Promise.reject(new Error('The table is away.'));
    await expect(stage.hub.subscribe(key)).rejects.toThrow('The table is away.');
    expect(stage.hub.watched).toEqual({ topics: 0, subscribers: 0 });
  });

  it('leaves nothing behind of a subscription whose events could not be read: an iterator that threw is over', async () => {
    const failing = vi.spyOn(log, 'readStreamsBetween').mockRejectedValueOnce(new Error('The log is away.'));
    const subscription = await subscribe((stage.table.get(key)?.position ?? 0) - 2);
    // As `for await` does it: after an error it calls neither next() nor return().
    await expect(subscription.next()).rejects.toThrow('The log is away.');
    failing.mockRestore();
    expect(stage.hub.watched).toEqual({ topics: 0, subscribers: 0 });
  });

  it('wakes its subscribers also where a new one was the first to see the changed row', async () => {
    const early = await subscribe();
    const { position } = await nextOf(early);
    stage.ownRows.clear();
    const change = await stage.commit(key);
    const late = await subscribe();
    stage.tell(change);
    expect(await nextOf(late)).toMatchObject({ position: position + 1, events: [] });
    expect(await within(1_000, 'the early one is woken', nextOf(early))).toMatchObject({ position: position + 1 });
  });

  it('shows what another process wrote, with its events, also to who saw events of this process before', async () => {
    const subscription = await subscribe();
    await nextOf(subscription);
    await stage.change(key);
    const { position } = await nextOf(subscription);
    await stage.changeElsewhere(key, 2);
    await stage.hub.refresh();
    expect(positionsOf((await nextOf(subscription)).events)).toEqual([position + 1, position + 2]);
    await stage.change(key);
    expect(positionsOf((await nextOf(subscription)).events)).toEqual([position + 3]);
  });

  it('misses nothing of another process for who is slow, or for who comes between', async () => {
    const slow = await subscribe();
    const { position } = await nextOf(slow);
    await stage.change(key);
    await stage.changeElsewhere(key, 2);
    const resumed = await subscribe(position);
    await stage.hub.refresh();
    await stage.change(key);
    for (const subscription of [slow, resumed]) {
      const payloads = await within(1_000, 'the newest position', takeUntil(subscription, position + 4));
      expect(positionsOf(payloads.flatMap(({ events }) => events))).toEqual(range(position + 1, position + 4));
    }
  });

  it('never gives an old payload again after a new one', async () => {
    const first = await subscribe();
    const { position } = await nextOf(first);
    await stage.changeElsewhere(key);
    const second = await subscribe(position);
    expect(await nextOf(second)).toMatchObject({ position: position + 1 });
    expect(await within(1_000, 'the first one is woken', nextOf(first))).toMatchObject({ position: position + 1 });
  });

  it('lets nobody miss or repeat an event, however changes, subscriptions and reads fall together (property)', async () => {
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.constant('commit' as const) },
      { weight: 3, arbitrary: fc.constant('tell' as const) },
      { weight: 2, arbitrary: fc.constant('subscribe' as const) },
      { weight: 2, arbitrary: fc.constant('resume' as const) },
      { weight: 2, arbitrary: fc.constant('elsewhere' as const) },
      { weight: 2, arbitrary: fc.constant('refresh' as const) },
      { weight: 3, arbitrary: fc.constant('read' as const) },
      { weight: 2, arbitrary: fc.constant('turn' as const) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        stage = new Stage(log);
        key = randomUUID();
        const begun = await stage.change(key, 2);
        const origin = begun.events[0]?.position ?? 0;
        const watchers: Promise<Watcher>[] = [];
        let untold: RowChange<TallyRow>[] = [];
        const tellNext = () => {
          const [next, ...rest] = untold;
          if (next !== undefined) stage.tell(next);
          untold = rest;
        };
        /** As the projector does it: who was overtaken reads the watched rows again. */
        const refresh = async () => {
          untold = [];
          stage.ownRows.clear();
          await stage.hub.refresh();
        };
        for (const it of steps) {
          if (it === 'commit') untold = [...untold, await stage.commit(key)];
          if (it === 'tell') tellNext();
          if (it === 'elsewhere') {
            while (untold.length > 0) tellNext();
            await stage.changeElsewhere(key);
          }
          if (it === 'refresh') await refresh();
          if (it === 'subscribe') watchers.push(Watcher.begin(stage, key, undefined));
          if (it === 'resume') watchers.push(Watcher.begin(stage, key, origin));
          if (it === 'read') for (const watcher of watchers) (await watcher).read();
          if (it === 'turn') await nextTurn();
        }
        while (untold.length > 0) tellNext();
        await refresh();
        const end = stage.table.get(key)?.position ?? 0;
        const all = await log.readStreams([tallyStream(key)]);
        for (const watcher of await Promise.all(watchers)) {
          const { from, seen } = await watcher.readTo(end);
          expect(positionsOf(seen)).toEqual(positionsOf(all).filter((position) => position > from));
          expect(watcher.rows.at(-1)).toEqual(foldEvents(projection, all).get(key));
          await watcher.end();
        }
        expect(stage.hub.watched).toEqual({ topics: 0, subscribers: 0 });
      }),
      { numRuns: 150 },
    );
  });
});

/** A client that reads now and then, and remembers every event. */
class Watcher {
  readonly rows: TallyRow[] = [];
  readonly #subscription: Subscription;
  readonly #after: number | undefined;
  readonly #changes: Change[] = [];
  #reading: Promise<void> = Promise.resolve();

  static async begin(stage: Stage, key: string, after: number | undefined): Promise<Watcher> {
    const subscription = await stage.hub.subscribe(key, after);
    if (subscription === undefined) throw new Error('There is no such row.');
    return new Watcher(subscription, after);
  }

  private constructor(subscription: Subscription, after: number | undefined) {
    this.#subscription = subscription;
    this.#after = after;
  }

  /** Asks for one more payload, which may come later. */
  read(): void {
    this.#reading = this.#reading.then(async () => {
      const result = await this.#subscription.next();
      if (result.done !== true) this.#changes.push(result.value);
      if (result.done !== true) this.rows.push(result.value.row);
    });
  }

  /** Reads on to a position. Payloads that lead nowhere are an error, and so is none. */
  async readTo(position: number): Promise<{ from: number; seen: readonly RecordedEvent[] }> {
    for (let reads = 0; (this.#changes.at(-1)?.position ?? 0) < position; reads += 1) {
      if (reads > 100) throw new Error('Payload after payload, and none comes to the end.');
      this.read();
      await within(1_000, 'there is a change, and nobody was woken', this.#reading);
    }
    // A watcher that did not resume begins with the row, or with what changed between its subscribing and its reading.
    const [first] = this.#changes;
    const from = this.#after ?? (first?.events[0]?.position ?? (first?.position ?? 0) + 1) - 1;
    return { from, seen: this.#changes.flatMap(({ events }) => events) };
  }

  async end(): Promise<void> {
    await this.#subscription.return();
    await this.#reading;
  }
}

describeServerStore('Live rows of two servers on one store', (kind) => {
  let store: TestStore;
  let databases: Database[];
  let engines: Engine[];

  beforeAll(async () => {
    store = await kind.create();
    const database = await openMigrated(store);
    databases = [database, await openDatabase(store.settings)];
    await emptyTallyStore(database);
    engines = await Promise.all(databases.map((it) => startTallyEngine(it, { projections: [projection] })));
  });
  afterAll(async () => {
    await Promise.all(engines.map((it) => it.stop()));
    await Promise.all(databases.map((it) => it.close()));
    await store.remove();
  });

  it('reach every watcher of either, each event once and in order', async () => {
    const key = randomUUID();
    const add = (engine: Engine, amount: number) => engine.executor.execute(request('Add', { tallyId: key, amount }));
    const [one, two] = engines;
    if (one === undefined || two === undefined) throw new Error('There are two.');
    await add(one, 1);
    const watch = async (engine: Engine): Promise<number[]> => {
      await vi.waitFor(async () => expect(await engine.view(projection).read(key)).toBeDefined(), 30_000);
      const subscription = await engine.view(projection).live.subscribe(key, 0);
      const seen: number[] = [];
      while (subscription !== undefined && seen.length < 121) {
        const { events } = await nextOf(subscription);
        seen.push(...events.map(({ version }) => version));
      }
      await subscription?.return();
      return seen;
    };
    const watching = [one, two, one, two].map(watch);
    for (let amount = 0; amount < 120; amount += 4) {
      await Promise.all([add(one, amount + 1), add(two, amount + 2), add(one, amount + 3), add(two, amount + 4)]);
    }
    const seen = await within(10_000, 'every watcher sees every event', Promise.all(watching));
    for (const versions of seen) expect(versions).toEqual(range(1, 121));
    for (const engine of engines) {
      expect(engine.view(projection).live.watched).toEqual({ topics: 0, subscribers: 0 });
    }
  });
});
