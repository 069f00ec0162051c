import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../../platform/clock.ts';
import { isDatabaseAway } from '../../platform/failures.ts';
import type { Ids } from '../../platform/ids.ts';
import type { Logger } from '../../platform/logger.ts';
import { pauseAfter, type RetryPolicy } from '../commands/retry-policy.ts';
import { storable } from '../failure-text.ts';
import type { RecordedEvent } from '../log/event.ts';
import type { EventLog } from '../log/event-log.ts';
import type { LogTail } from '../log/log-tail.ts';
import type { CheckpointMove, Checkpoints, ParkingChange } from './checkpoints.ts';
import type { FollowerTask } from './follower-task.ts';
import { ParkingLot } from './parking-lot.ts';

const MAX_BATCH = 1_000;
/** So many are looked through for the next one that concerns it, where events are handled one by one. */
const CAREFUL_BATCH = 100;
/** Where no event concerns a follower, its checkpoint is written this seldom: it only spares reading them again. */
const IDLE_EVENTS = 5_000;

export interface OwnedFollowerParts {
  readonly task: FollowerTask;
  readonly log: EventLog;
  readonly tail: LogTail;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
  readonly retries: RetryPolicy;
  readonly parking: ParkingLot;
  readonly checkpoints: Checkpoints;
  /** The node that owns it. */
  readonly owner: string;
  /** Ends pauses. */
  readonly signal: AbortSignal;
  /** Called with how far every event was handled or parked. */
  moveTo(position: number): void;
}

/** Where a follower stands while all that it made is replaced. */
export interface Standstill {
  readonly owner: string;
  /** Where the stored checkpoint is; nothing between this and `position` concerns the follower. */
  readonly from: number;
  readonly position: number;
}

/** What the owner of a follower does: handles events, tries again what fails, parks what fails for good. */
export class OwnedFollower {
  /** The checkpoint turned out to be another node's. */
  isLost = false;
  /** The last event was not handled, and is tried again. */
  isRetrying = false;
  readonly #parts: OwnedFollowerParts;
  #position: number;
  #saved: number;
  /** What was parked and what is new take turns: neither holds up the other. */
  #hasDrained = false;
  /** Up to here events are handled one by one. */
  #carefulUntil: number;

  /** @param isSuspicious whoever was at work here before died of an event, perhaps */
  constructor(parts: OwnedFollowerParts, position: number, isSuspicious: boolean) {
    this.#parts = parts;
    this.#position = position;
    this.#saved = position;
    // As far as it may have been: what concerns nobody is passed without a trace.
    this.#carefulUntil = isSuspicious ? position + IDLE_EVENTS + MAX_BATCH : 0;
  }

  get owner(): string {
    return this.#parts.owner;
  }

  /** @returns false if there was nothing to do */
  async step(): Promise<boolean> {
    const { parking, tail, task } = this.#parts;
    this.isRetrying = false;
    const drained = parking.nextLane();
    const isIdle = tail.head <= this.#position;
    if (drained !== undefined && (isIdle || !this.#hasDrained)) {
      this.#hasDrained = true;
      await this.#drain(drained);
      return true;
    }
    this.#hasDrained = false;
    if (isIdle) return false;
    const isCareful = this.#position < this.#carefulUntil;
    const events = await tail.read(this.#position, isCareful ? CAREFUL_BATCH : MAX_BATCH);
    const last = events.at(-1);
    if (last === undefined) return false;
    if (isCareful) await this.#handleOne(events.find((event) => task.concerns(event)) ?? last);
    else await this.#handleAll(events, last.position);
    return true;
  }

  /**
   * Lets all that was made be replaced: nothing else of this follower is under way.
   * @param replace puts what was made elsewhere in its place and moves the checkpoint to `position`, together
   * @returns whether it did
   */
  async replace(replace: (standstill: Standstill) => Promise<boolean>): Promise<boolean> {
    const standstill = { owner: this.owner, from: this.#saved, position: this.#position };
    // If it throws, it may have been done all the same: the checkpoint is looked at anew.
    this.isLost = true;
    const isReplaced = await replace(standstill);
    this.isLost = false;
    if (isReplaced) this.#saved = standstill.position;
    return isReplaced;
  }

  /** Gives the checkpoint back, for another node to take at once. */
  async leave(): Promise<void> {
    await this.#save();
    await this.#parts.checkpoints.release(this.owner);
  }

  async #handleAll(events: readonly RecordedEvent[], to: number): Promise<void> {
    const { task, parking } = this.#parts;
    const concerned = events.filter((event) => task.concerns(event));
    if (concerned.length === 0) return this.#pass(to);
    const waiting = parking.isEmpty ? [] : concerned.filter((event) => parking.holds(this.#laneOf(event), event));
    const handled = waiting.length === 0 ? concerned : concerned.filter((event) => !waiting.includes(event));
    const parked = waiting.map((event) => ({ position: event.position, lane: this.#laneOf(event) }));
    try {
      await this.#commit(handled, to, parked.length === 0 ? undefined : { parked });
    } catch (error) {
      if (isDatabaseAway(error)) throw error;
      this.#log('warn', error, 'a batch of events failed: they are handled one by one');
      task.forget();
      this.#carefulUntil = to;
    }
  }

  async #handleOne(event: RecordedEvent): Promise<void> {
    const { task, parking, checkpoints } = this.#parts;
    const { position } = event;
    if (!task.concerns(event)) return this.#pass(position);
    const lane = this.#laneOf(event);
    if (parking.holds(lane, event)) return this.#commit([], position, { parked: [{ position, lane }] });
    const attempts = await checkpoints.attempt(this.owner, position);
    if (attempts === undefined) this.isLost = true;
    else await this.#attempt(event, lane, position, attempts);
  }

  /** Handles the oldest event of a lane that may go on. */
  async #drain(lane: string): Promise<void> {
    const { parking, log } = this.#parts;
    const position = await parking.firstOf(lane);
    const [event] = position === undefined ? [] : await log.readAt([position]);
    if (event === undefined) {
      parking.remove(lane);
      return this.#commit([], this.#position, {});
    }
    if (await this.#isBehindOthers(event, lane)) return parking.defer(lane);
    const attempts = await parking.attempt(event.position);
    await this.#attempt(event, lane, this.#position, attempts, { unparked: [event.position] });
  }

  /** Whether older events of its row or its stream wait in another lane: of some, the row cannot be told. */
  async #isBehindOthers(event: RecordedEvent, lane: string): Promise<boolean> {
    const { parking } = this.#parts;
    const others = [this.#laneOf(event), ParkingLot.laneOfStream(event.streamId)];
    for (const other of others.filter((it) => it !== lane && parking.has(it))) {
      const first = await parking.firstOf(other);
      if (first !== undefined && first < event.position) return true;
    }
    return false;
  }

  /** Handles one event alone, after the attempt was counted; parks it, where that was one too many. */
  async #attempt(
    event: RecordedEvent,
    lane: string,
    to: number,
    attempts: number,
    change?: ParkingChange,
  ): Promise<void> {
    const { retries, task, signal } = this.#parts;
    if (attempts > retries.maxAttempts) {
      return this.#park(event, lane, to, attempts - 1, new Error('The process died whenever this was handled.'));
    }
    try {
      await this.#commit([event], to, change);
    } catch (error) {
      if (isDatabaseAway(error)) throw error;
      task.forget();
      if (attempts >= retries.maxAttempts) return this.#park(event, lane, to, attempts, error);
      this.isRetrying = change === undefined;
      this.#log('warn', error, 'an event could not be handled, and is tried again');
      await delay(pauseAfter(attempts, retries), undefined, { signal }).catch(() => {});
    }
  }

  async #park(event: RecordedEvent, lane: string, to: number, attempts: number, error: unknown): Promise<void> {
    const { parking, ids } = this.#parts;
    this.#log('error', error, 'an event failed for good: it is parked, and what comes after it in its lane waits');
    await this.#commit([], to, {
      parked: [{ position: event.position, lane }],
      letter: parking.letterOf(event, lane, attempts, error, ids.ordered()),
    });
  }

  async #commit(events: readonly RecordedEvent[], to: number, change: ParkingChange | undefined): Promise<void> {
    const { task, clock } = this.#parts;
    const { name, version } = task;
    const move: CheckpointMove = {
      name,
      version,
      owner: this.owner,
      from: this.#saved,
      to,
      parking: change,
      now: clock.now(),
    };
    const after = await task.handle(events, move);
    if (after === undefined) {
      this.isLost = true;
      return;
    }
    // Before anyone learns that this position was reached: who waits for it looks at once whether its row is parked.
    if (change !== undefined) this.#learn(change);
    this.#saved = to;
    this.#moveTo(to);
    after();
  }

  #learn({ parked = [], unparked = [], letter }: ParkingChange): void {
    const { task, parking } = this.#parts;
    parking.changes += 1;
    const lanes = [...new Set(parked.map(({ lane }) => lane))];
    const told = lanes.filter((lane) => letter !== undefined || !parking.has(lane));
    for (const lane of told) {
      if (letter === undefined) parking.defer(lane);
      else parking.block(lane);
    }
    if (told.length > 0) task.parked(told);
    if (unparked.length > 0) parking.resume();
  }

  /** Passes events that do not concern it. */
  async #pass(to: number): Promise<void> {
    this.#moveTo(to);
    if (this.#position - this.#saved >= IDLE_EVENTS) await this.#save();
  }

  async #save(): Promise<void> {
    if (this.#position === this.#saved) return;
    if (await this.#parts.checkpoints.move(this.owner, this.#saved, this.#position)) this.#saved = this.#position;
    else this.isLost = true;
  }

  #moveTo(position: number): void {
    this.#position = position;
    this.#parts.moveTo(position);
  }

  /** What throws while it is asked for its lane stays in order with its stream. */
  #laneOf(event: RecordedEvent): string {
    try {
      return storable(this.#parts.task.laneOf(event));
    } catch {
      return ParkingLot.laneOfStream(event.streamId);
    }
  }

  #log(level: 'warn' | 'error', error: unknown, message: string): void {
    const { logger, task } = this.#parts;
    logger[level]({ err: error, follower: task.name, position: this.#position }, message);
  }
}
