import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../../platform/clock.ts';
import type { SqlClient } from '../../platform/database.ts';
import type { Ids } from '../../platform/ids.ts';
import type { Logger } from '../../platform/logger.ts';
import { pauseAfter, type RetryPolicy } from '../commands/retry-policy.ts';
import type { EventLog } from '../log/event-log.ts';
import type { LogTail } from '../log/log-tail.ts';
import { PositionWaiters } from '../log/position-waiters.ts';
import { type CheckpointRow, Checkpoints } from './checkpoints.ts';
import type { FollowerTask } from './follower-task.ts';
import { OwnedFollower, type Standstill } from './owned-follower.ts';
import { ParkingLot } from './parking-lot.ts';

const MAX_BATCH = 1_000;
/** From the same position: one more, and events are handled one by one. */
const CARELESS_STARTS = 2;

export const EVENT_RETRIES: RetryPolicy = { maxAttempts: 5, firstPauseMs: 20, longestPauseMs: 1_000 };

export interface FollowerParts {
  readonly task: FollowerTask;
  readonly log: EventLog;
  readonly tail: LogTail;
  readonly client: SqlClient;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
  readonly retries: RetryPolicy;
  /** Called where the checkpoint turned out to be another's: to look whose it is. */
  onLost(): void;
}

/**
 * Follows the log from its checkpoint. One node owns it and handles events; on all others it stands by and watches how
 * far the owner has come.
 *
 * What fails is tried again, alone, with its attempts counted in the database before each: so a handler that kills the
 * process is recognised, too. In the end the event is parked, and everything else goes on.
 */
export class LogFollower {
  readonly task: FollowerTask;
  readonly parking: ParkingLot;
  readonly #parts: FollowerParts;
  readonly #checkpoints: Checkpoints;
  readonly #waiters = new PositionWaiters();
  readonly #stopped = new AbortController();
  #position = 0;
  /** Present where this node owns the checkpoint. */
  #owned: OwnedFollower | undefined;
  #news: { row: CheckpointRow; node: string | undefined } | undefined;
  /** Of what was made, as far as this node knows. */
  #generation: number | undefined;
  #replacing: ((owned: OwnedFollower | undefined) => Promise<void>) | undefined;
  #observed = 0;
  /** Where the log ended when what another node handles was last looked at. */
  #lookedUpTo = 0;
  #wake: (() => void) | undefined;
  #loop: Promise<void> | undefined;
  #failing = false;
  #isDoubtful = false;

  constructor(parts: FollowerParts) {
    this.#parts = parts;
    this.task = parts.task;
    this.#checkpoints = new Checkpoints(parts.client, parts.task.name, parts.task.version);
    this.parking = new ParkingLot(parts.client, parts.task.name);
  }

  /** The position up to which every event was handled or parked. */
  get position(): number {
    return this.#position;
  }

  /** Its last attempt to go on failed; it tries again. */
  get failing(): boolean {
    return this.#failing || this.#owned?.isRetrying === true;
  }

  get isOwner(): boolean {
    return this.#owned !== undefined;
  }

  /** Begins as the checkpoint stands. */
  async start(row: CheckpointRow, node: string | undefined): Promise<void> {
    await this.#take(row, node);
    const unfollow = this.#parts.tail.follow(() => this.#wake?.());
    this.#loop = this.#run().finally(unfollow);
  }

  /** Learns how the checkpoint stands, and which node this is. */
  update(row: CheckpointRow, node: string | undefined): void {
    this.#news = { row, node };
    this.#wake?.();
  }

  /** Another node says how far it has come. */
  hear(position: number): void {
    if (this.isOwner || position <= this.#observed) return;
    this.#observed = position;
    this.#wake?.();
  }

  /**
   * The database was away: if it crashed, what was made and the checkpoint may be older than they were, for they are
   * committed without waiting for the disk. With the next update it goes on from where the checkpoint is.
   */
  doubt(): void {
    this.#isDoubtful = true;
  }

  /** Dead letters may have been retried or dropped. */
  lookAtParking(): void {
    if (this.parking.isEmpty) return;
    this.parking.isOutdated = true;
    this.#wake?.();
  }

  /**
   * Has all that was made replaced, between two batches, by the node that owns the follower.
   * @param replace is called while nothing else is under way; what it throws is thrown on to the caller alone
   * @returns whether it did; false where this node is not the owner, or stops
   */
  replace(replace: (standstill: Standstill) => Promise<boolean>): Promise<boolean> {
    if (this.#stopped.signal.aborted || this.#replacing !== undefined) return Promise.resolve(false);
    return new Promise((resolve, reject) => {
      this.#replacing = (owned) => this.#replace(owned, replace).then(resolve, reject);
      this.#wake?.();
    });
  }

  /** Waits until a position was reached. @returns false if it has not been, in time */
  reach(position: number, timeoutMs: number): Promise<boolean> {
    if (position <= this.#position) return Promise.resolve(true);
    if (this.#stopped.signal.aborted) return Promise.resolve(false);
    return this.#waiters.wait(position, timeoutMs);
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#wake?.();
    await this.#loop;
    this.#waiters.giveUp();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped;
    for (let failures = 0; !signal.aborted; ) {
      try {
        const advanced = await this.#step();
        this.#failing = false;
        failures = 0;
        if (!advanced) await this.#untilWoken();
      } catch (error) {
        failures += 1;
        this.#failing = true;
        const about = { err: error, follower: this.task.name, position: this.#position };
        this.#parts.logger.error(about, 'a follower of the log failed');
        this.#lose();
        await this.#pause(failures);
      }
    }
    await this.#replacing?.(undefined);
    await this.#owned?.leave().catch(() => {});
  }

  async #untilWoken(): Promise<void> {
    if (this.#stopped.signal.aborted || this.#news !== undefined || this.parking.isOutdated) return;
    if (this.#replacing !== undefined) return;
    const { head } = this.#parts.tail;
    const isBehind = this.isOwner || this.#observed > this.#position || head > this.#lookedUpTo;
    if (head > this.#position && isBehind) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
  }

  /** @returns false if there was nothing to do */
  async #step(): Promise<boolean> {
    const news = this.#news;
    this.#news = undefined;
    if (news !== undefined) await this.#take(news.row, news.node);
    if (this.parking.isOutdated) await this.#loadParking();
    const replacing = this.#replacing;
    this.#replacing = undefined;
    if (replacing !== undefined) {
      await replacing(this.#owned);
      if (this.#owned?.isLost) this.#lose();
      return true;
    }
    if (this.#owned === undefined) return this.#standBy();
    const advanced = await this.#owned.step();
    if (this.#owned.isLost) this.#lose();
    return advanced;
  }

  async #take(row: CheckpointRow, node: string | undefined): Promise<void> {
    const { task } = this.#parts;
    if (row.version > task.version && row.owner !== node) {
      throw new Error(`${task.name} belongs to its version ${row.version} now.`);
    }
    const isReplaced = this.#generation !== undefined && row.generation > this.#generation;
    this.#generation = Math.max(row.generation, this.#generation ?? 0);
    if (isReplaced) task.replaced();
    const owner = node !== undefined && row.owner === node ? node : undefined;
    // The owner knows better how far it has come than a row that was read a moment ago.
    const isAgain = owner !== undefined && owner === this.#owned?.owner;
    if (isAgain && !this.#isDoubtful) return;
    // What its owner said meanwhile is newer than such a row, too, unless it may be gone.
    const isNews = this.isOwner || this.#isDoubtful || row.position > this.#observed;
    this.#isDoubtful = false;
    if (this.isOwner || owner !== undefined) task.forget();
    this.#owned = undefined;
    if (row.parkedChanges !== this.parking.changes) await this.#loadParking(row.parkedChanges);
    if (owner === undefined) {
      if (!isNews) return;
      this.#observed = row.position;
      if (row.position < this.#position) this.#moveTo(row.position);
      return;
    }
    if (row.rowsVersion < task.version) await task.outdated(owner);
    const { position } = row;
    // Whoever was at work here before died in the middle of an event, or again and again before it had come further.
    const isSuspicious =
      row.attempted > position ||
      (!isAgain && ((await this.#checkpoints.attempt(owner, position)) ?? 0) > CARELESS_STARTS);
    const { parking } = this;
    const { signal } = this.#stopped;
    const moveTo = (to: number) => this.#moveTo(to);
    const parts = { ...this.#parts, parking, checkpoints: this.#checkpoints, owner, signal, moveTo };
    this.#moveTo(position);
    this.#parts.logger.info({ follower: task.name, position, isSuspicious }, 'this process follows the log now');
    this.#owned = new OwnedFollower(parts, position, isSuspicious);
  }

  /** Goes as far as the owner has come, and through events that concern nobody here. */
  async #standBy(): Promise<boolean> {
    const { task, tail } = this.#parts;
    tail.announce(this.#observed);
    this.#lookedUpTo = tail.head;
    const events = await tail.read(this.#position, MAX_BATCH);
    const open = events.findIndex((event) => event.position > this.#observed && task.concerns(event));
    const passed = open === -1 ? events : events.slice(0, open);
    const last = passed.at(-1);
    if (last === undefined) return false;
    const concerned = passed.filter((event) => task.concerns(event));
    // Whoever is told that a position was reached looks at once whether its row is parked.
    if (concerned.length > 0 && (await this.parking.hasChanged())) await this.#loadParking();
    this.#moveTo(last.position);
    task.observe(concerned);
    return true;
  }

  async #replace(
    owned: OwnedFollower | undefined,
    replace: (standstill: Standstill) => Promise<boolean>,
  ): Promise<boolean> {
    if (owned === undefined || !(await owned.replace(replace))) return false;
    this.#generation = (this.#generation ?? 0) + 1;
    this.#parts.task.replaced();
    await this.#loadParking();
    return true;
  }

  /** The checkpoint is another's, or nobody knows: stands by until it is told. */
  #lose(): void {
    this.#owned = undefined;
    this.#parts.task.forget();
    this.#parts.onLost();
  }

  async #loadParking(changes?: number): Promise<void> {
    const added = await this.parking.load(changes);
    if (added.length > 0) this.#parts.task.parked(added);
  }

  #moveTo(position: number): void {
    this.#position = position;
    this.#waiters.reached(position);
  }

  async #pause(failures: number): Promise<void> {
    const { signal } = this.#stopped;
    await delay(pauseAfter(failures, this.#parts.retries), undefined, { signal }).catch(() => {});
  }
}
