import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../platform/clock.ts';
import type { SqlClient } from '../../platform/database.ts';
import { isDatabaseAway } from '../../platform/failures.ts';
import type { LogFollower } from '../followers/log-follower.ts';
import type { Standstill } from '../followers/owned-follower.ts';
import type { RecordedEvent } from '../log/event.ts';
import type { LogTail } from '../log/log-tail.ts';
import type { TypedEvents } from '../log/typed-events.ts';
import type { ProjectedRow, Projection } from './projection.ts';
import type { ReadRows } from './read-table.ts';
import type { RebuildPace } from './rebuild-pace.ts';
import type { ClaimedRebuild, Differences, RebuildStore, SwapOutcome } from './rebuild-store.ts';
import { RowComparison } from './row-comparison.ts';
import { RowFold } from './row-fold.ts';
import { ShadowTable } from './shadow-table.ts';

/** While others append, at least as long as a step took is left to them; never longer than this. */
const LONGEST_PAUSE_MS = 200;
/** The tables stand still only once so few rows are left to be compared then. */
const FEW_ROWS = 200;
const MAX_ROUNDS = 20;
/** How long a swap waits that somebody's long query held up. */
const BUSY_PAUSE_MS = 1_000;

export interface RebuildParts<Row extends ProjectedRow> {
  readonly projection: Projection<Row>;
  readonly live: ReadRows<Row>;
  /** The rows of another table, in which they are as they would be in the live one. */
  rowsIn(table: string): ReadRows<Row>;
  readonly follower: LogFollower;
  readonly events: TypedEvents;
  readonly tail: LogTail;
  readonly store: RebuildStore;
  readonly client: SqlClient;
  readonly clock: Clock;
  readonly pace: RebuildPace;
  readonly signal: AbortSignal;
}

/** The rebuild is not this process's any more: it was cancelled, another node has taken it on, or this one stops. */
export class RebuildGone extends Error {
  override readonly name = 'RebuildGone';
}

/**
 * One rebuild at work: folds the log anew into a table beside the live one, and puts that in its place.
 *
 * It fills the table up to where the live one is, in stretches of the log; compares the two while both go on; and then,
 * while the follower of the live one stands still, folds the last few events, compares what was written to meanwhile, and
 * swaps the tables together with the checkpoint. Nothing is published, and no process hears of it: a fold has no effects.
 *
 * What operators gave up is tried once more, for the cause may be mended. If it cannot be done with that, it is done
 * without, like the live table.
 *
 * It never goes further than the live table, so both are as of the same event when they are swapped. Every write names the
 * claim, and where the rebuild stood: whoever was overtaken writes nothing any more.
 */
export class Rebuild<Row extends ProjectedRow> {
  readonly #parts: RebuildParts<Row>;
  readonly #claimed: ClaimedRebuild;
  readonly #shadow: ShadowTable<Row>;
  #fold: RowFold<Row>;
  #comparison: RowComparison<Row>;
  /** Ids of events that are passed over. */
  #leftOut: ReadonlySet<string> = new Set();
  /** Folded up to here, and written up to there. */
  #position: number;
  #written: number;
  #isComparing = false;
  /** What is being written. */
  #saving: Promise<void> = Promise.resolve();
  /** The next stretch of the log, which is being read. */
  #ahead: { readonly after: number; readonly end: number; readonly events: Promise<RecordedEvent[]> } | undefined;

  /** @param claimed by this node, which owns the projection */
  constructor(parts: RebuildParts<Row>, claimed: ClaimedRebuild) {
    const { projection, client } = parts;
    const rows = parts.rowsIn(`${projection.table.name}_rebuild`);
    // What another version of the code has begun is of no use.
    const isBegun = claimed.shadow === rows.storedIn && claimed.toVersion === projection.version;
    this.#parts = parts;
    this.#claimed = claimed;
    this.#position = isBegun ? claimed.position : 0;
    this.#written = this.#position;
    this.#shadow = new ShadowTable(rows, client);
    this.#comparison = new RowComparison(parts.live, rows, client);
    this.#fold = this.#newFold();
  }

  /**
   * Brings it to its end.
   * @returns how the rebuilt rows differed from those that they replaced
   * @throws {RebuildGone}; or why it cannot be done
   */
  async run(): Promise<Differences> {
    try {
      return await this.#runOnce();
    } catch (error) {
      if (error instanceof RebuildGone || isDatabaseAway(error) || this.#parts.signal.aborted) throw error;
      this.#leftOut = await this.#parts.store.droppedOf(this.#claimed.name);
      if (this.#leftOut.size === 0) throw error;
      await this.#saving.catch(() => {});
      this.#beginAnew();
      return await this.#runOnce();
    } finally {
      await this.#saving.catch(() => {});
    }
  }

  /** No row stays in memory for longer than until it is written. */
  forget(): void {
    this.#fold.forget();
  }

  async #runOnce(): Promise<Differences> {
    await this.#begin();
    await this.#catchUp();
    await this.#compareAll();
    return this.#swap();
  }

  #beginAnew(): void {
    this.#saving = Promise.resolve();
    [this.#position, this.#written, this.#isComparing] = [0, 0, false];
    this.#comparison = new RowComparison(this.#parts.live, this.#shadow.rows, this.#parts.client);
    this.#fold = this.#newFold();
  }

  #newFold(): RowFold<Row> {
    const { projection, pace } = this.#parts;
    const load = async (keys: readonly string[]) => {
      // They may be among those that are just being written.
      await this.#saving;
      return this.#shadow.rows.load(keys);
    };
    return new RowFold({ projection, load, kept: pace.kept, isEmpty: this.#position === 0 });
  }

  async #begin(): Promise<void> {
    if (this.#position > 0) return;
    const { projection, store } = this.#parts;
    const { name: table } = projection.table;
    const isBegun = await store.begin(this.#claimed, projection.version, table, this.#shadow.rows.storedIn);
    if (!isBegun) throw new RebuildGone();
  }

  /** Folds and writes as far as the live table has come, but for the few events that it takes meanwhile. */
  async #catchUp(): Promise<void> {
    const { follower, pace } = this.#parts;
    for (let isNear = false; !isNear; ) {
      const { position } = follower;
      isNear = position - this.#position <= pace.stretch;
      while (this.#position < position) await this.#step(() => this.#foldOn(position));
    }
    await this.#flush();
  }

  async #foldOn(upTo: number): Promise<void> {
    const { pace } = this.#parts;
    const end = Math.min(this.#position + pace.stretch, upTo);
    const read = await this.#read(end, upTo);
    const wanted = this.#leftOut.size === 0 ? read : read.filter(({ eventId }) => !this.#leftOut.has(eventId));
    const keys = await this.#fold.take(wanted);
    if (this.#isComparing) this.#comparison.touch(keys);
    this.#position = end;
    if (this.#fold.changes >= pace.rows || end - this.#written >= pace.events) await this.#write();
  }

  /** The events up to an end; those after it, up to where it is to come, are on their way when these are there. */
  async #read(end: number, upTo: number): Promise<RecordedEvent[]> {
    const { events, pace } = this.#parts;
    const ahead = this.#ahead?.after === this.#position && this.#ahead.end === end ? this.#ahead.events : undefined;
    this.#ahead = undefined;
    const read = await (ahead ?? events.read(this.#position, end));
    if (pace.readsAhead && end < upTo) {
      const next = { after: end, end: Math.min(end + pace.stretch, upTo) };
      this.#ahead = { ...next, events: events.read(next.after, next.end) };
      // Whoever takes them is told; nobody does, if this ends before.
      this.#ahead.events.catch(() => {});
    }
    return read;
  }

  /** Begins to write what changed, once what was written before is there: meanwhile it is folded on. */
  async #write(): Promise<void> {
    if (this.#position === this.#written) return;
    await this.#saving;
    const rows = this.#fold.taken();
    const move = { from: this.#written, to: this.#position, head: this.#parts.tail.head };
    this.#written = this.#position;
    this.#saving = this.#shadow.save(rows, this.#claimed, move).then((isSaved) => {
      if (!isSaved) throw new RebuildGone();
    });
    this.#saving.catch(() => {});
  }

  /** Until everything that was folded is written. */
  async #flush(): Promise<void> {
    await this.#write();
    await this.#saving;
  }

  async #compareAll(): Promise<void> {
    const { store, pace } = this.#parts;
    if (!(await store.compare(this.#claimed))) throw new RebuildGone();
    this.#isComparing = true;
    for (let key: string | null = null; ; ) {
      key = await this.#step(() => this.#comparison.next(key, pace.compared));
      await this.#catchUp();
      if (key === null) break;
    }
    if (pace.isAnalysed) await store.analyse(this.#shadow.rows.storedIn);
  }

  async #swap(): Promise<Differences> {
    const { follower, signal } = this.#parts;
    for (;;) {
      await this.#settle();
      let outcome = 'lost' as SwapOutcome;
      const isDone = await follower.replace(async (standstill) => {
        outcome = await this.#swapAt(standstill);
        return outcome === 'swapped';
      });
      if (isDone) return this.#comparison.differences;
      if (outcome !== 'busy') throw new RebuildGone();
      await delay(BUSY_PAUSE_MS, undefined, { signal });
    }
  }

  /** Until little is left to be compared while the tables stand still: as little as the traffic allows. */
  async #settle(): Promise<void> {
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      await this.#catchUp();
      if (this.#comparison.doubtful <= FEW_ROWS) return;
      await this.#step(() => this.#comparison.settle(false));
    }
  }

  async #swapAt({ owner, from, position }: Standstill): Promise<SwapOutcome> {
    const { store, projection, clock } = this.#parts;
    if (owner !== this.#claimed.node) return 'lost';
    // The live table may have been set back, if the database crashed: it will come here again.
    if (position < this.#position) return 'busy';
    while (this.#position < position) await this.#foldOn(position);
    await this.#flush();
    await this.#comparison.settle(true);
    const at = { from, to: position, version: projection.version, table: projection.table.name };
    const { differences } = this.#comparison;
    return store.swap(this.#claimed, this.#shadow.rows.storedIn, at, differences, clock.now());
  }

  /** Does something that takes a while, and lets others have their turn: the more of it, the more they do meanwhile. */
  async #step<T>(work: () => Promise<T>): Promise<T> {
    const { signal, follower, tail } = this.#parts;
    if (signal.aborted || !follower.isOwner) throw new RebuildGone();
    const { head } = tail;
    const begun = performance.now();
    const done = await work();
    const took = performance.now() - begun;
    if (tail.head > head) await delay(Math.min(took, LONGEST_PAUSE_MS), undefined, { signal });
    else await nextTurn();
    return done;
  }
}
