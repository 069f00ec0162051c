import { setImmediate as nextTurn } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import type { z } from 'zod';
import type { Clock } from '../platform/clock.ts';
import { isDatabaseAway } from '../platform/failures.ts';
import type { Ids } from '../platform/ids.ts';
import { isAudience } from './actor.ts';
import { type Aggregate, streamIdOf } from './aggregate.ts';
import { BatchNeeds } from './batch-needs.ts';
import type { StorageCodec } from './codec.ts';
import { type CommandOutcome, type CommandRequest, Contended, fingerprintOf, Overloaded } from './command.ts';
import { type CommandStore, replay } from './command-store.ts';
import { outcomeUnknown, retryWhileAway } from './database-away.ts';
import { type AcceptedCommand, DecisionBatch, type StreamState, type Unit } from './decision-batch.ts';
import type { RecordedEvent } from './event.ts';
import type { AppendedUnit, EventLog } from './event-log.ts';
import type { LogTail } from './log-tail.ts';
import type { ReadRows } from './read-table.ts';
import { forbidden, type Rejection, validationFailed } from './rejection.ts';
import { WaitingCommands } from './waiting-commands.ts';

const MAX_BATCH = 256;
/** A second batch is begun beside the first for at least so many commands. */
const SHARED_BATCH = 24;
const MAX_WAITING = 20_000;
const MAX_ATTEMPTS = 20;
/** A state weighs about as much as the events it was folded from. */
const CACHED_EVENTS = 400_000;
/** More than these are not listed in a version conflict. */
const MAX_EVENTS_SINCE = 500;

interface Waiting extends AcceptedCommand {
  attempts: number;
  answered: boolean;
  settle(outcome: CommandOutcome): void;
  fail(error: unknown): void;
}

export interface ExecutorParts {
  readonly aggregates: readonly Aggregate[];
  readonly log: EventLog;
  readonly commands: CommandStore;
  readonly tail: LogTail;
  readonly facts: ReadonlyMap<Aggregate, ReadRows<unknown>>;
  readonly codec: StorageCodec;
  readonly clock: Clock;
  readonly ids: Ids;
  /** How many batches may be under way: more than one where the database runs beside this process, not within it. */
  readonly batchesAtOnce: number;
}

/**
 * Runs commands: received, validated, decided, stored. Commands that arrive while others are being written are taken
 * together next (group commit): the more there are at once, the cheaper each becomes.
 */
export class CommandExecutor {
  readonly #parts: ExecutorParts;
  readonly #aggregates: ReadonlyMap<string, Aggregate>;
  readonly #needs: BatchNeeds;
  readonly #states = new LRUCache<string, StreamState>({
    maxSize: CACHED_EVENTS,
    sizeCalculation: ({ version }) => version + 1,
  });
  /** The last request of each commandId that is under way; one with the same id waits for it. */
  readonly #underWay = new Map<string, Promise<unknown>>();
  readonly #waiting = new WaitingCommands<Waiting>();
  #wake: (() => void) | undefined;
  #running: Promise<void> | undefined;
  #appending = 0;

  constructor(parts: ExecutorParts) {
    this.#parts = parts;
    this.#aggregates = new Map(parts.aggregates.flatMap((it) => it.commands.map(({ name }) => [name, it] as const)));
    this.#needs = new BatchNeeds(parts.log, this.#aggregates, parts.facts);
    for (const { name, input } of parts.aggregates.flatMap((it) => it.commands)) parts.codec.admit(name, input);
  }

  /**
   * Runs one command to its end.
   * @throws {Overloaded} @throws {OutcomeUnknown} @throws {Contended} or what broke inside
   */
  async execute(request: CommandRequest): Promise<CommandOutcome> {
    const { commandId } = request;
    const before = this.#underWay.get(commandId);
    const run = before === undefined ? this.#accept(request) : before.then(() => this.#acceptRepeat(request));
    const settled = run.catch(() => {});
    this.#underWay.set(commandId, settled);
    try {
      return await run;
    } finally {
      if (this.#underWay.get(commandId) === settled) this.#underWay.delete(commandId);
    }
  }

  /** Waits until everything that was taken has been answered. */
  async drain(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #acceptRepeat(request: CommandRequest): Promise<CommandOutcome> {
    const stored = (await this.#parts.commands.find([request.commandId])).get(request.commandId);
    return stored === undefined ? this.#accept(request) : replay(stored, fingerprintOf(request));
  }

  async #accept(request: CommandRequest): Promise<CommandOutcome> {
    const aggregate = this.#aggregates.get(request.name);
    const definition = aggregate?.commands.find((it) => it.name === request.name);
    if (aggregate === undefined || definition === undefined) throw new Error(`There is no command ${request.name}.`);
    if (!isAudience(request.actor, definition.audience)) {
      return { outcome: 'rejected', rejection: forbidden(`${request.name} is for ${definition.audience} only.`) };
    }
    const input = definition.input.safeParse(request.data);
    if (!input.success)
      return { outcome: 'rejected', rejection: validationFailed(input.error.issues.map(fieldProblem)) };
    if (this.#waiting.length >= MAX_WAITING)
      throw new Overloaded('Too many commands are waiting: send it again later.');
    const aggregateId = definition.aggregateId(input.data);
    const streamId = streamIdOf(aggregate.type, aggregateId);
    return new Promise((settle, fail) => {
      this.#waiting.add({
        request,
        definition,
        aggregate,
        aggregateId,
        streamId,
        data: input.data,
        streamIds: [streamId, ...this.#needs.companionStreams(definition, input.data)],
        encoded: this.#parts.codec.encodeValid(input.data),
        fingerprint: fingerprintOf(request),
        submittedAt: this.#parts.clock.now(),
        attempts: 0,
        answered: false,
        settle(outcome) {
          this.answered = true;
          settle(outcome);
        },
        fail(error) {
          this.answered = true;
          fail(error);
        },
      });
      if (this.#waiting.length >= SHARED_BATCH) this.#wake?.();
      this.#running ??= this.#runWaiting();
    });
  }

  /**
   * Keeps batches going while commands wait. One batch decides while the other is being written, if there is work for
   * both: a batch that is too small costs more than it gains.
   */
  async #runWaiting(): Promise<void> {
    // What arrives in the same turn of the event loop shares the first batch.
    await nextTurn();
    const underWay = new Set<Promise<void>>();
    for (;;) {
      const waiting = this.#waiting.length;
      const mayShare = this.#parts.batchesAtOnce > 1 && waiting >= 2 * SHARED_BATCH;
      const isWorthIt = underWay.size === 0 || (underWay.size < this.#parts.batchesAtOnce && waiting >= SHARED_BATCH);
      const limit = mayShare ? Math.min(Math.ceil(waiting / 2), MAX_BATCH) : MAX_BATCH;
      const batch = isWorthIt ? this.#waiting.take(limit) : [];
      if (batch.length > 0) {
        const run = this.#runBatch(batch).finally(() => {
          this.#waiting.release(batch);
          underWay.delete(run);
        });
        underWay.add(run);
      } else if (underWay.size > 0) {
        await Promise.race([...underWay, this.#arrival()]);
      } else {
        break;
      }
    }
    this.#running = undefined;
  }

  /** Resolves when so many commands wait that another batch is worth it. */
  #arrival(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Runs commands together; those that break something run in ever smaller company, so that each fails for itself. */
  async #runBatch(batch: readonly Waiting[]): Promise<void> {
    try {
      await this.#decideAndAppend(batch);
    } catch (error) {
      for (const { streamId } of batch) this.#states.delete(streamId);
      const open = batch.filter(({ answered }) => !answered);
      if (open.length <= 1 || isDatabaseAway(error)) {
        for (const command of open) command.fail(isDatabaseAway(error) ? outcomeUnknown(error) : error);
        return;
      }
      const half = Math.ceil(open.length / 2);
      await this.#runBatch(open.slice(0, half));
      await this.#runBatch(open.slice(half));
    }
  }

  async #decideAndAppend(batch: readonly Waiting[]): Promise<void> {
    const { clock, ids } = this.#parts;
    const [{ states, doubtful }, facts] = await Promise.all([
      retryWhileAway(() => this.#needs.states(batch, this.#states)),
      retryWhileAway(() => this.#needs.facts(batch)),
    ]);
    const decisions = new DecisionBatch<Waiting>(states, this.#aggregates, facts, clock.now(), ids);
    for (const command of batch) {
      command.attempts += 1;
      decisions.decide(command);
    }
    const { units, unstored, failed } = decisions;
    for (const { command, error } of failed) command.fail(error);
    const appended = await this.#appendAndPublish(units);

    const lost = new Set<string>();
    for (const [at, unit] of units.entries()) {
      const result = appended[at];
      if (result?.outcome === 'appended') this.#settleAppended(unit, result.events, states);
      else for (const { streamId } of unit.streams) lost.add(streamId);
    }
    for (const streamId of lost) this.#states.delete(streamId);
    const again = units.filter((_, at) => appended[at]?.outcome !== 'appended').flatMap((unit) => unit.decided);
    await this.#settleUnstored(
      unstored.filter(({ command }) => !lost.has(command.streamId) && !doubtful.has(command.streamId)),
    );
    const uncertain = unstored.filter(({ command }) => lost.has(command.streamId) || doubtful.has(command.streamId));
    for (const { command } of uncertain) this.#states.delete(command.streamId);
    await this.#runAgain([...again, ...uncertain].map(({ command }) => command));
  }

  async #appendAndPublish(units: readonly Unit<Waiting>[]): Promise<AppendedUnit[]> {
    if (units.length === 0) return [];
    let appended: AppendedUnit[] = [];
    this.#appending += 1;
    try {
      appended = await this.#append(units);
      return appended;
    } finally {
      this.#appending -= 1;
      const events = appended.flatMap((unit) => (unit.outcome === 'appended' ? unit.events : []));
      this.#parts.tail.publish(events, this.#appending === 0);
    }
  }

  #settleAppended(
    unit: Unit<Waiting>,
    events: readonly RecordedEvent[],
    states: ReadonlyMap<string, StreamState>,
  ): void {
    for (const { streamId } of unit.streams) {
      const state = states.get(streamId);
      if (state !== undefined) this.#states.set(streamId, state);
    }
    let end = 0;
    for (const { command, rejection, version, eventCount } of unit.decided) {
      end += eventCount;
      const position = eventCount === 0 ? null : (events[end - 1]?.position ?? null);
      const { commandId, correlationId } = command.request;
      const receipt = { commandId, correlationId, version, position, replayed: false };
      if (rejection === undefined) {
        const { aggregateId } = command;
        command.settle({ outcome: 'succeeded', aggregateId, receipt: { ...receipt, status: 'SUCCEEDED' } });
      } else {
        command.settle({ outcome: 'rejected', rejection, receipt: { ...receipt, status: 'REJECTED' } });
      }
    }
  }

  /** Rejections that are not stored: the same command may have been stored before, and then that is the answer. */
  async #settleUnstored(unstored: readonly { command: Waiting; rejection: Rejection }[]): Promise<void> {
    if (unstored.length === 0) return;
    const stored = await this.#parts.commands.find(unstored.map(({ command }) => command.request.commandId));
    for (const { command, rejection } of unstored) {
      const { request, fingerprint, streamId } = command;
      const known = stored.get(request.commandId);
      if (known !== undefined) {
        command.settle(replay(known, fingerprint));
      } else if (rejection.code === 'VERSION_CONFLICT') {
        const since = await this.#parts.log.readStreams([streamId], request.expectedVersion);
        command.settle({ outcome: 'rejected', rejection, eventsSince: since.slice(0, MAX_EVENTS_SINCE) });
      } else {
        command.settle({ outcome: 'rejected', rejection });
      }
    }
  }

  /** Commands that lost to another writer are decided again; those that are stored already are answered. */
  async #runAgain(commands: readonly Waiting[]): Promise<void> {
    if (commands.length === 0) return;
    const stored = await this.#parts.commands.find(commands.map(({ request }) => request.commandId));
    const again: Waiting[] = [];
    for (const command of commands) {
      const known = stored.get(command.request.commandId);
      if (known !== undefined) command.settle(replay(known, command.fingerprint));
      else if (command.attempts >= MAX_ATTEMPTS)
        command.fail(new Contended('Others were first too often: send it again.'));
      else again.push(command);
    }
    this.#waiting.putBack(again);
  }

  /** Appends; after a lost connection only what a look at the stored commandIds shows to be missing. */
  async #append(units: readonly Unit<Waiting>[]): Promise<AppendedUnit[]> {
    const { log, clock } = this.#parts;
    try {
      return await log.append(units, clock.now());
    } catch (error) {
      if (!isDatabaseAway(error)) throw error;
    }
    // Whether the append was committed is unknown. The stored ids tell, and what is missing may be sent again, for an
    // id that an append still under way brings in meanwhile is refused, not doubled.
    return retryWhileAway(async () => {
      const ids = units.flatMap((unit) => unit.commands.map(({ commandId }) => commandId));
      const stored = await this.#parts.commands.find(ids);
      for (const { command, rejection } of units.flatMap((unit) => unit.decided)) {
        const known = stored.get(command.request.commandId);
        if (known !== undefined) command.settle(replay(known, command.fingerprint, rejection === undefined));
      }
      await this.#parts.tail.refresh();
      return log.append(units, clock.now());
    });
  }
}

function fieldProblem({ path, message }: z.core.$ZodIssue) {
  return { path: path.map(String), message };
}
