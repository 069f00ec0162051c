import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../../platform/clock.ts';
import { isDatabaseAway } from '../../platform/failures.ts';
import type { Ids } from '../../platform/ids.ts';
import type { Logger } from '../../platform/logger.ts';
import { failureText } from '../failure-text.ts';
import { NotRun, OutcomeUnknown, Overloaded, UnknownCommand } from './command.ts';
import type { CommandExecutor } from './command-executor.ts';
import type { ClaimedCommand, CommandQueue, GivenBack } from './command-queue.ts';
import { PerformerFailed } from './performer.ts';
import { pauseAfter, type RetryPolicy } from './retry-policy.ts';

const MAX_CLAIMED = 256;
/** More than these are not performed at the same time: others may have the rest. */
const MAX_PERFORMING = 256;
/** More than these are not of one kind of aggregate: they wait for the same party outside, and others need room beside. */
const MAX_OF_A_KIND = 64;
const DATABASE_PAUSE_MS = 500;
/** So long whoever is away outside is left alone by a command that has not even asked. */
const AWAY = { firstPauseMs: 5_000, longestPauseMs: 5_000 };
/** So long a command that only another version of the program knows is left for that. */
const OTHERS_TURN_MS = 2_000;

export interface SchedulerParts {
  readonly queue: CommandQueue;
  readonly executor: CommandExecutor;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
  readonly retries: RetryPolicy;
  /** How many claim and run at the same time. */
  readonly workers: number;
  /** The node that claims are made for; undefined as long as its lease is gone. */
  node(): string | undefined;
}

/** Runs what is queued when it is due: through the same executor, and in the same batches, as everything else. */
export class Scheduler {
  readonly #parts: SchedulerParts;
  readonly #stopped = new AbortController();
  #working: Promise<unknown> = Promise.resolve();
  #wakes: (() => void)[] = [];
  /** Rises with everything that may have made something due. */
  #news = 0;
  #claiming: Promise<unknown> = Promise.resolve();
  /** What was claimed and is not finished or given back yet, by id. */
  readonly #running = new Map<string, ClaimedCommand>();
  readonly #performing = new Set<Promise<void>>();
  /** The last claim left no room, of a kind or at all: more may be waiting. */
  #hasBacklog = false;

  constructor(parts: SchedulerParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#working = Promise.all(Array.from({ length: this.#parts.workers }, () => this.#work()));
  }

  /** Finishes what was claimed, and claims nothing any more. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    this.wake();
    await this.#working;
    await Promise.all(this.#performing);
  }

  /** There may be something to run. */
  wake(): void {
    this.#news += 1;
    for (const wake of this.#wakes.splice(0)) wake();
  }

  async #work(): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      try {
        const { node, now, seen, claimed } = await this.#claim();
        if (node !== undefined && claimed.length > 0) await this.#runAll(node, claimed);
        else await this.#untilDue(seen, now);
      } catch (error) {
        if (!isDatabaseAway(error)) this.#parts.logger.error({ err: error }, 'the scheduler stumbled');
        await delay(DATABASE_PAUSE_MS, undefined, { signal }).catch(() => {});
      }
    }
  }

  /** One at a time: what carries this node's id and is not known here then can only be of a lost answer. */
  #claim() {
    const claim = this.#claiming.then(async () => {
      const { queue, clock } = this.#parts;
      const node = this.#parts.node();
      const now = clock.now();
      // News of before needs no claim of its own: this one sees what it tells of.
      const seen = this.#news;
      const running = [...this.#running.keys()];
      const { room, rooms } = this.#performingRoom;
      const claimed = node === undefined ? [] : await queue.claim(node, now, MAX_CLAIMED, running, room, rooms);
      for (const command of claimed) this.#running.set(command.request.commandId, command);
      // As there was when it was claimed: what has ended since then may have left room that nobody looked at.
      const kinds = claimed.map((it) => this.#kindOf(it)).filter((it) => it !== undefined);
      const isFull = ([kind, places]: [string, number]) => kinds.filter((it) => it === kind).length >= places;
      this.#hasBacklog = kinds.length >= room || [...rooms].some(isFull);
      return { node, now, seen, claimed };
    });
    this.#claiming = claim.catch(() => {});
    return claim;
  }

  /** @param now as of when nothing was due: what has become due since then is not passed over */
  async #untilDue(seen: number, now: Date): Promise<void> {
    const next = await this.#parts.queue.next(now);
    if (this.#news !== seen || this.#stopped.signal.aborted) return;
    await new Promise<void>((resolve) => {
      const callOff = next === null ? () => {} : this.#parts.clock.wakeAt(next, () => this.wake());
      this.#wakes.push(() => {
        callOff();
        resolve();
      });
    });
  }

  get #performingRoom() {
    const rooms = new Map([...this.#parts.executor.performed.values()].map((kind) => [kind, MAX_OF_A_KIND]));
    let room = MAX_PERFORMING;
    for (const command of this.#running.values()) {
      const kind = this.#kindOf(command);
      if (kind === undefined) continue;
      room -= 1;
      rooms.set(kind, Math.max(0, (rooms.get(kind) ?? 0) - 1));
    }
    return { room: Math.max(0, room), rooms };
  }

  /** Of its aggregate, if it is performed. */
  #kindOf({ request }: ClaimedCommand): string | undefined {
    return this.#parts.executor.performed.get(request.name);
  }

  /** What is performed outside takes its time: nothing waits for it. */
  async #runAll(node: string, claimed: readonly ClaimedCommand[]): Promise<void> {
    for (const command of claimed) if (this.#kindOf(command) !== undefined) this.#perform(node, command);
    const own = claimed.filter((it) => this.#kindOf(it) === undefined);
    if (own.length > 0) await this.#run(node, own);
  }

  #perform(node: string, command: ClaimedCommand): void {
    const run = this.#run(node, [command])
      .catch((error: unknown) => {
        if (!isDatabaseAway(error)) this.#parts.logger.error({ err: error }, 'the scheduler stumbled');
      })
      .finally(() => {
        this.#performing.delete(run);
        if (this.#hasBacklog) this.wake();
      });
    this.#performing.add(run);
  }

  async #run(node: string, claimed: readonly ClaimedCommand[]): Promise<void> {
    const lanes = new Map(claimed.map(({ lane }) => [lane, { isBroken: false }]));
    const runs = claimed.map((command) => this.#runOne(node, command, lanes.get(command.lane) ?? { isBroken: false }));
    const failures = (await Promise.all(runs)).filter((it) => it !== undefined);
    try {
      if (failures.length > 0) await this.#giveBack(node, failures);
    } finally {
      for (const command of claimed) {
        const { commandId } = command.request;
        if (this.#running.get(commandId) === command) this.#running.delete(commandId);
      }
    }
  }

  /** However long the database is away: what was not tried would count as tried once its claim is forgotten. */
  async #giveBack(node: string, failures: readonly GivenBack[]): Promise<void> {
    for (;;) {
      try {
        return await this.#parts.queue.giveBack(node, failures);
      } catch (error) {
        if (!(error instanceof OutcomeUnknown) || this.#stopped.signal.aborted) throw error;
      }
    }
  }

  async #runOne(node: string, command: ClaimedCommand, lane: { isBroken: boolean }): Promise<GivenBack | undefined> {
    const { attempts, deadline, request } = command;
    const id = request.commandId;
    try {
      if (attempts > this.#parts.retries.maxAttempts) {
        throw new DiedWhileRunning(`It was begun ${attempts - 1} times, and the process that ran it died or broke.`);
      }
      await this.#parts.executor.runClaimed(command, { node, attempts, deadline, lane });
      return undefined;
    } catch (error) {
      // Also where it never came as far as to be decided: those behind it are only about to be.
      lane.isBroken = true;
      if (error instanceof UnknownCommand) return { id, isUntried: true, retryAt: this.#in(OTHERS_TURN_MS) };
      if (error instanceof PerformerFailed) {
        if (error.wasTried) return this.#afterFault(command, error);
        return { id, isUntried: true, retryAt: this.#in(pauseAfter(1, AWAY)) };
      }
      const isUntried = [NotRun, Overloaded, OutcomeUnknown].some((it) => error instanceof it) || isDatabaseAway(error);
      return isUntried ? { id, isUntried } : this.#afterFault(command, error);
    }
  }

  #in(milliseconds: number): Date {
    return new Date(this.#parts.clock.now().getTime() + milliseconds);
  }

  #afterFault(command: ClaimedCommand, error: unknown): GivenBack {
    const { ids, logger } = this.#parts;
    const { attempts, request, lane } = command;
    const retries = this.#parts.retries;
    const id = request.commandId;
    const about = { err: error, commandId: id, name: request.name, lane, attempts };
    if (attempts < retries.maxAttempts) {
      logger.warn(about, 'a queued command broke, and will be tried again');
      return { id, retryAt: this.#in(pauseAfter(attempts, retries)) };
    }
    logger.error(about, 'a queued command failed for good');
    return { id, isUntried: error instanceof DiedWhileRunning, letter: ids.ordered(), ...failureText(error) };
  }
}

/** The process died while it ran the command, or said nothing of it, too often. */
class DiedWhileRunning extends Error {
  override readonly name = 'DiedWhileRunning';
}
