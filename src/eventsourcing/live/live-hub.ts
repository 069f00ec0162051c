import { isDeepStrictEqual } from 'node:util';
import type { RecordedEvent } from '../log/event.ts';
import type { EventLog } from '../log/event-log.ts';
import type { ProjectedRow, Projection } from '../projections/projection.ts';
import type { RowChange } from '../projections/projector.ts';
import { type LiveChange, LiveSubscription } from './live-subscription.ts';

/** More events than these since the last payload are handed out over several. */
const MAX_EVENTS = 5_000;
/** Events that are kept at hand for each watched row; a subscriber further behind is served from the log. */
const KEPT_EVENTS = 512;

/** The row is not up to date, and will not be until an operator has seen to it. */
export class RowParked extends Error {
  override readonly name = 'RowParked';

  constructor(key: string) {
    super(
      `An event of ${key} could not be applied, and waits as a dead letter: it is shown again once that is mended.`,
    );
  }
}

/** A watched row. One object for all its subscribers, so that what they share is made once. */
interface Topic<Row> {
  readonly key: string;
  readonly subscribers: Set<LiveSubscription<Row>>;
  row: Row | undefined;
  /** All rows were replaced since: whatever is read next counts, whichever position it has. */
  isReplaced: boolean;
  /** The row's newest events, complete after `keptFrom`. */
  kept: RecordedEvent[];
  keptFrom: number;
  /** Changes from a position to the present row, for all who stand there. */
  changes: Map<number, Promise<LiveChange<Row>>>;
}

/** Where the hub gets the rows of its projection from. */
export interface LiveRows<Row> {
  /** The row, as far as this process committed it itself. */
  committed(key: string): Row | undefined;
  load(keys: readonly string[]): Promise<ReadonlyMap<string, Row>>;
}

/**
 * Live rows of one projection. A subscriber is a dirty mark and the position that it was last given, never a list of
 * what it should still get: a slow one gets fewer, newer payloads, and costs nothing while it waits.
 *
 * Subscribe, then read, then drop what was read already (by position): nothing falls between snapshot and tail.
 */
export class LiveHub<Row extends ProjectedRow> {
  readonly #projection: Projection<Row>;
  readonly #rows: LiveRows<Row>;
  readonly #log: EventLog;
  readonly #topics = new Map<string, Topic<Row>>();
  /** Rises whenever all rows are replaced: what was read before is of no use. */
  #epoch = 0;

  constructor(projection: Projection<Row>, rows: LiveRows<Row>, log: EventLog) {
    this.#projection = projection;
    this.#rows = rows;
    this.#log = log;
  }

  /** How many rows are watched, and by how many. */
  get watched(): { topics: number; subscribers: number } {
    let subscribers = 0;
    for (const topic of this.#topics.values()) subscribers += topic.subscribers.size;
    return { topics: this.#topics.size, subscribers };
  }

  /**
   * Watches a row from now on.
   * @param after the events of the first payload are those since this position; without it there are none
   * @returns undefined if there is no such row
   */
  async subscribe(key: string, after?: number): Promise<LiveSubscription<Row> | undefined> {
    const topic = this.#topic(key);
    const subscription = new LiveSubscription<Row>(
      (from, isFirst) => this.#next(topic, from ?? topic.row?.position ?? 0, isFirst),
      () => this.#leave(topic, subscription),
    );
    topic.subscribers.add(subscription);
    try {
      for (let readIn = -1; readIn !== this.#epoch; ) {
        readIn = this.#epoch;
        const row = this.#rows.committed(key) ?? (await this.#rows.load([key])).get(key);
        if (row !== undefined && readIn === this.#epoch) this.#see(topic, row);
      }
    } catch (error) {
      await subscription.return();
      throw error;
    }
    if (topic.row === undefined) {
      await subscription.return();
      return undefined;
    }
    subscription.begin(after);
    return subscription;
  }

  /** Takes what the projector committed. */
  committed(changes: readonly RowChange<Row>[]): void {
    if (this.#topics.size === 0) return;
    for (const change of changes) {
      const topic = this.#topics.get(change.key);
      if (topic === undefined || !isNews(topic, change.row)) continue;
      const from = change.before?.position ?? 0;
      if (topic.row?.position !== from) [topic.kept, topic.keptFrom] = [[], from];
      topic.kept.push(...change.events);
      if (topic.kept.length > 2 * KEPT_EVENTS) {
        topic.kept = topic.kept.slice(-KEPT_EVENTS);
        topic.keptFrom = (topic.kept[0]?.position ?? 1) - 1;
      }
      this.#show(topic, change.row);
    }
  }

  /** Reads watched rows again: another process has written, and only the table knows what. @param keys which; or all */
  async refresh(keys?: readonly string[]): Promise<void> {
    const watched = keys === undefined ? [...this.#topics.keys()] : keys.filter((key) => this.#topics.has(key));
    const readIn = this.#epoch;
    const rows = await this.#rows.load(watched);
    if (readIn !== this.#epoch) return;
    for (const [key, row] of rows) {
      const topic = this.#topics.get(key);
      if (topic !== undefined) this.#see(topic, row);
    }
  }

  /** All rows were replaced. Who watches one that is another now is given it, without any event; others hear nothing. */
  async replaced(): Promise<void> {
    this.#epoch += 1;
    for (const topic of this.#topics.values()) topic.isReplaced = true;
    await this.refresh();
  }

  /**
   * Somebody is forgotten, who may be in any row and event at hand. Who watches a row that looks otherwise now is given it.
   * @param arePersonal whether rows hold what is personal; otherwise only their events may
   */
  async forget(arePersonal: boolean): Promise<void> {
    for (const topic of this.#topics.values()) {
      [topic.kept, topic.keptFrom] = [[], topic.row?.position ?? topic.keptFrom];
      topic.changes = new Map();
    }
    if (arePersonal) await this.replaced();
  }

  /** Events of rows wait as dead letters: who watches them is told, instead of shown what is not up to date. */
  park(isParked: (key: string, row: Row | undefined) => boolean): void {
    for (const { key, row, subscribers } of this.#topics.values()) {
      if (!isParked(key, row)) continue;
      for (const subscription of subscribers) subscription.fail(new RowParked(key));
    }
  }

  /** Takes a row as it was read: what led to it is not at hand, only in the log. */
  #see(topic: Topic<Row>, row: Row): void {
    if (!isNews(topic, row)) return;
    [topic.kept, topic.keptFrom] = [[], row.position];
    this.#show(topic, row);
  }

  #topic(key: string): Topic<Row> {
    const known = this.#topics.get(key);
    if (known !== undefined) return known;
    const keptFrom = Number.MAX_SAFE_INTEGER;
    const topic = {
      key,
      subscribers: new Set<LiveSubscription<Row>>(),
      row: undefined,
      isReplaced: false,
      kept: [],
      keptFrom,
      changes: new Map(),
    };
    this.#topics.set(key, topic);
    return topic;
  }

  #show(topic: Topic<Row>, row: Row): void {
    const isOther = topic.isReplaced && topic.row !== undefined && !isDeepStrictEqual(topic.row, row);
    topic.isReplaced = false;
    topic.row = row;
    topic.changes = new Map();
    for (const subscription of topic.subscribers) {
      if (isOther) subscription.showAgain();
      else subscription.wake();
    }
  }

  #next(topic: Topic<Row>, from: number, isFirst: boolean): Promise<LiveChange<Row>> | undefined {
    const { row, changes } = topic;
    if (row === undefined || (row.position <= from && !isFirst)) return undefined;
    const known = changes.get(from);
    if (known !== undefined) return known;
    const change = this.#changeSince(topic, row, from);
    changes.set(from, change);
    change.catch(() => changes.delete(from));
    return change;
  }

  async #changeSince(topic: Topic<Row>, row: Row, from: number): Promise<LiveChange<Row>> {
    const events =
      from >= row.position
        ? []
        : from >= topic.keptFrom
          ? topic.kept.filter((event) => event.position > from && event.position <= row.position)
          : await this.#log.readStreamsBetween(this.#projection.streamsOf(row), from, row.position);
    // A rebuilt row may be as of an earlier event than the one before it was.
    if (events.length <= MAX_EVENTS) return { row, position: Math.max(from, row.position), events };
    const shown = events.slice(0, MAX_EVENTS);
    return { row, position: shown.at(-1)?.position ?? row.position, events: shown };
  }

  #leave(topic: Topic<Row>, subscription: LiveSubscription<Row>): void {
    topic.subscribers.delete(subscription);
    if (topic.subscribers.size === 0 && this.#topics.get(topic.key) === topic) this.#topics.delete(topic.key);
  }
}

function isNews<Row extends ProjectedRow>(topic: Topic<Row>, row: Row): boolean {
  return topic.isReplaced || row.position > (topic.row?.position ?? 0);
}
