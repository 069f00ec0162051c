import { setImmediate as nextTurn } from 'node:timers/promises';
import type { z } from 'zod';
import { isAudience } from '../actor.ts';
import type { StorageCodec } from '../log/codec.ts';
import { streamIdOf } from '../log/stream-id.ts';
import { laneOf } from '../processes/effect-work.ts';
import type { AcceptedCommand, QueuedRun } from './accepted-command.ts';
import type { Aggregate, CommandDefinition } from './aggregate.ts';
import { BatchNeeds, type FactSources } from './batch-needs.ts';
import { type BatchParts, BatchRunner, type RunningCommand } from './batch-runner.ts';
import {
  type CommandOutcome,
  type CommandRequest,
  fingerprintOf,
  Overloaded,
  type Schedule,
  UnknownCommand,
} from './command.ts';
import type { ClaimedCommand, CommandQueue } from './command-queue.ts';
import { replay } from './command-store.ts';
import type { Performers } from './performer.ts';
import { forbidden, type Rejection, validationFailed } from './rejection.ts';
import type { StreamStates } from './stream-states.ts';
import { WaitingCommands } from './waiting-commands.ts';

const MAX_BATCH = 256;
/** A second batch is begun beside the first for at least so many commands. */
const SHARED_BATCH = 24;
const MAX_WAITING = 20_000;

export interface ExecutorParts extends BatchParts {
  readonly aggregates: readonly Aggregate[];
  readonly states: StreamStates;
  readonly facts: FactSources;
  readonly codec: StorageCodec;
  readonly queue: CommandQueue;
  readonly performers: Performers;
  /** How many batches may be under way: more than one where the database runs beside this process, not within it. */
  readonly batchesAtOnce: number;
}

/**
 * Runs commands: received, validated, decided, stored. Commands that arrive while others are being written are taken
 * together next (group commit): the more there are at once, the cheaper each becomes.
 */
export class CommandExecutor {
  /** Commands that take time outside, and should not be waited for by others: the kind of aggregate, by the name. */
  readonly performed: ReadonlyMap<string, string>;
  readonly #parts: ExecutorParts;
  /** By the names of their commands. */
  readonly aggregates: ReadonlyMap<string, Aggregate>;
  readonly #needs: BatchNeeds;
  readonly #runner: BatchRunner;
  /** The last request of each commandId that was not answered yet; one with the same id waits for it. */
  readonly #unanswered = new Map<string, Promise<unknown>>();
  readonly #waiting = new WaitingCommands<RunningCommand>();
  readonly #underWay = new Set<Promise<void>>();
  #wake: (() => void) | undefined;
  #running: Promise<void> | undefined;

  constructor(parts: ExecutorParts) {
    this.#parts = parts;
    this.aggregates = new Map(parts.aggregates.flatMap((it) => it.commands.map(({ name }) => [name, it] as const)));
    const performed = parts.aggregates.map((it) => it.commands.filter((each) => each.performed === true));
    this.performed = new Map(performed.flat().map(({ name }) => [name, this.aggregates.get(name)?.type ?? '']));
    this.#needs = new BatchNeeds(parts.states, this.aggregates, parts.facts);
    this.#runner = new BatchRunner(parts, this.aggregates, this.#needs);
    for (const { name, input } of parts.aggregates.flatMap((it) => it.commands))
      parts.codec.admit(name, input, 'command');
  }

  /**
   * Runs one command to its end.
   * @throws {Overloaded} @throws {OutcomeUnknown} @throws {Contended} or what broke inside
   */
  async execute(request: CommandRequest): Promise<CommandOutcome> {
    const { commandId } = request;
    const before = this.#unanswered.get(commandId);
    const run = before === undefined ? this.#accept(request) : before.then(() => this.#acceptRepeat(request));
    const settled = run.catch(() => {});
    this.#unanswered.set(commandId, settled);
    try {
      return await run;
    } finally {
      if (this.#unanswered.get(commandId) === settled) this.#unanswered.delete(commandId);
    }
  }

  /**
   * Stores a command that is to be run later.
   * @throws {OutcomeUnknown}
   */
  async enqueue(request: CommandRequest, schedule: Schedule): Promise<CommandOutcome> {
    const { rejection, aggregate, definition, data } = this.#check(request);
    if (rejection !== undefined) return { outcome: 'rejected', rejection };
    const { commandId, name, actor, expectedVersion, correlationId, causationId } = request;
    const fingerprint = this.#fingerprint(request);
    if (this.#isTooLate(schedule)) {
      // Whoever sends it again, because an answer was lost, is told what became of it.
      const stored = (await this.#parts.commands.find([commandId])).get(commandId);
      if (stored !== undefined) return replay(stored, fingerprint);
      const message = 'must be later than dueAt, and not have passed';
      return { outcome: 'rejected', rejection: validationFailed([{ path: ['schedule', 'deadline'], message }]) };
    }
    const aggregateId = definition.aggregateId(data);
    const isNew = await this.#parts.queue.add({
      commandId,
      name,
      aggregateType: aggregate.type,
      aggregateId,
      input: this.#parts.codec.encodeValid(data),
      fingerprint,
      actor,
      expectedVersion,
      ...schedule,
      lane: laneOf(definition, streamIdOf(aggregate.type, aggregateId), commandId),
      correlationId,
      causationId,
    });
    const stored = isNew ? undefined : (await this.#parts.commands.find([commandId])).get(commandId);
    if (stored !== undefined) return replay(stored, fingerprint);
    const receipt = { commandId, correlationId, status: 'QUEUED', version: null, position: null } as const;
    return { outcome: 'accepted', aggregateId, receipt: { ...receipt, replayed: false } };
  }

  /**
   * Runs a command that was claimed from the queue to its end.
   * @throws {NotRun} it was not tried @throws what `execute` throws
   */
  async runClaimed(command: ClaimedCommand, queued: QueuedRun): Promise<CommandOutcome> {
    // Where rules became stricter since it was queued, that is its outcome, and is stored as such.
    const checked = this.#check(command.request);
    const { aggregate, definition, data, rejection } = checked;
    if (definition.performed !== true || rejection !== undefined) return this.#wait(checked, command, queued);
    const streamId = streamIdOf(aggregate.type, command.aggregateId);
    const about = { aggregate, definition, data, streamId };
    const { performers, codec } = this.#parts;
    const run = performers.perform(about, command);
    const performed = await run.catch((error: unknown) => {
      codec.conceal(definition.name, data, error);
      throw error;
    });
    return this.#wait(checked, command, queued, performed);
  }

  /** Keeps no state in memory that was read until now: somebody was forgotten. */
  forget(): void {
    this.#runner.forget();
  }

  /** Waits until everything that was taken has been answered. */
  async drain(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #acceptRepeat(request: CommandRequest): Promise<CommandOutcome> {
    const stored = (await this.#parts.commands.find([request.commandId])).get(request.commandId);
    return stored === undefined ? this.#accept(request) : replay(stored, this.#fingerprint(request));
  }

  async #accept(request: CommandRequest): Promise<CommandOutcome> {
    const checked = this.#check(request);
    const { rejection, definition } = checked;
    if (rejection !== undefined) return { outcome: 'rejected', rejection };
    if (definition.performed === true) throw new Error(`${definition.name} can only be queued.`);
    if (this.#waiting.length >= MAX_WAITING)
      throw new Overloaded('Too many commands are waiting: send it again later.');
    const aggregateId = checked.definition.aggregateId(checked.data);
    const submittedAt = this.#parts.clock.now();
    return this.#wait(
      checked,
      { request, aggregateId, fingerprint: this.#fingerprint(request), submittedAt },
      undefined,
    );
  }

  #fingerprint(request: CommandRequest): string {
    return this.#parts.codec.fingerprint(request.name, fingerprintOf(request));
  }

  #isTooLate({ dueAt, deadline }: Schedule): boolean {
    if (deadline === undefined) return false;
    return deadline <= this.#parts.clock.now() || (dueAt !== undefined && deadline <= dueAt);
  }

  /** What the command is, and why it is not taken: its actor may not send it, or its input is not valid. */
  #check({ name, actor, data }: CommandRequest): CheckedCommand {
    const aggregate = this.aggregates.get(name);
    const definition = aggregate?.commands.find((it) => it.name === name);
    if (aggregate === undefined || definition === undefined) throw new UnknownCommand(`There is no command ${name}.`);
    if (!isAudience(actor, definition.audience)) {
      const rejection = forbidden(`${name} is for ${definition.audience} only.`);
      return { aggregate, definition, data: {}, rejection };
    }
    const input = definition.input.safeParse(data);
    if (input.success) return { aggregate, definition, data: input.data, rejection: undefined };
    return { aggregate, definition, data: {}, rejection: validationFailed(input.error.issues.map(fieldProblem)) };
  }

  #wait(
    { aggregate, definition, data, rejection: refusal }: CheckedCommand,
    { request, aggregateId, fingerprint, submittedAt }: Omit<ClaimedCommand, 'lane' | 'deadline' | 'attempts'>,
    queued: QueuedRun | undefined,
    performed?: unknown,
  ): Promise<CommandOutcome> {
    const streamId = streamIdOf(aggregate.type, aggregateId);
    const streamIds =
      refusal === undefined ? [streamId, ...this.#needs.companionStreams(definition, data)] : [streamId];
    const { codec } = this.#parts;
    const encoded = codec.encodeValid(data);
    return new Promise<CommandOutcome>((settle, fail) => {
      // Every member by its name: objects that are made alike are much faster than spread ones, and this is made for
      // each command.
      this.#waiting.add({
        request,
        definition,
        aggregate,
        aggregateId,
        streamId,
        streamIds,
        data,
        encoded,
        fingerprint,
        submittedAt,
        queued,
        performed,
        refusal,
        attempts: 0,
        answered: false,
        lostAnswer: false,
        settle(outcome) {
          this.answered = true;
          settle(outcome);
        },
        fail(error) {
          this.answered = true;
          if (queued !== undefined) queued.lane.isBroken = true;
          codec.conceal(definition.name, data, error);
          fail(error);
        },
      });
      if (this.#waiting.length % SHARED_BATCH === 0) this.#wake?.();
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
    for (;;) {
      const batch = this.#nextBatch();
      if (batch.length > 0) {
        const run = this.#run(batch).finally(() => this.#underWay.delete(run));
        this.#underWay.add(run);
      } else if (this.#underWay.size > 0) {
        await Promise.race([...this.#underWay, this.#arrival()]);
      } else {
        break;
      }
    }
    this.#running = undefined;
  }

  #nextBatch(): RunningCommand[] {
    const { batchesAtOnce } = this.#parts;
    const waiting = this.#waiting.length;
    if (this.#underWay.size > 0 && (this.#underWay.size >= batchesAtOnce || waiting < SHARED_BATCH)) return [];
    const isShared = batchesAtOnce > 1 && waiting >= 2 * SHARED_BATCH;
    return this.#waiting.take(MAX_BATCH, isShared ? Math.ceil(waiting / 2) : MAX_BATCH);
  }

  async #run(batch: readonly RunningCommand[]): Promise<void> {
    const again = await this.#runner.run(batch);
    this.#waiting.release(batch);
    this.#waiting.putBack(again);
  }

  /** Resolves when so many commands wait that another batch is worth it. */
  #arrival(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

interface CheckedCommand {
  readonly aggregate: Aggregate;
  readonly definition: CommandDefinition;
  /** As parsed by the definition's schema; empty for one that is rejected. */
  readonly data: AcceptedCommand['data'];
  readonly rejection: Rejection | undefined;
}

function fieldProblem({ path, message }: z.core.$ZodIssue) {
  return { path: path.map(String), message };
}
