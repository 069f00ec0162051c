import { setImmediate as nextTurn } from 'node:timers/promises';
import type { z } from 'zod';
import { isAudience } from './actor.ts';
import { type Aggregate, streamIdOf } from './aggregate.ts';
import { BatchNeeds, type FactSources } from './batch-needs.ts';
import { type BatchParts, BatchRunner, type RunningCommand } from './batch-runner.ts';
import type { StorageCodec } from './codec.ts';
import { type CommandOutcome, type CommandRequest, fingerprintOf, Overloaded } from './command.ts';
import { replay } from './command-store.ts';
import { forbidden, validationFailed } from './rejection.ts';
import { WaitingCommands } from './waiting-commands.ts';

const MAX_BATCH = 256;
/** A second batch is begun beside the first for at least so many commands. */
const SHARED_BATCH = 24;
const MAX_WAITING = 20_000;

export interface ExecutorParts extends BatchParts {
  readonly aggregates: readonly Aggregate[];
  readonly facts: FactSources;
  readonly codec: StorageCodec;
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
  readonly #runner: BatchRunner;
  /** The last request of each commandId that was not answered yet; one with the same id waits for it. */
  readonly #unanswered = new Map<string, Promise<unknown>>();
  readonly #waiting = new WaitingCommands<RunningCommand>();
  readonly #underWay = new Set<Promise<void>>();
  #wake: (() => void) | undefined;
  #running: Promise<void> | undefined;

  constructor(parts: ExecutorParts) {
    this.#parts = parts;
    this.#aggregates = new Map(parts.aggregates.flatMap((it) => it.commands.map(({ name }) => [name, it] as const)));
    this.#needs = new BatchNeeds(parts.log, this.#aggregates, parts.facts);
    this.#runner = new BatchRunner(parts, this.#aggregates, this.#needs);
    for (const { name, input } of parts.aggregates.flatMap((it) => it.commands)) parts.codec.admit(name, input);
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
        lostAnswer: false,
        settle(outcome) {
          this.answered = true;
          settle(outcome);
        },
        fail(error) {
          this.answered = true;
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

function fieldProblem({ path, message }: z.core.$ZodIssue) {
  return { path: path.map(String), message };
}
