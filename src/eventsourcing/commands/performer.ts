import { z } from 'zod';
import type { Clock } from '../../platform/clock.ts';
import type { AcceptedCommand } from './accepted-command.ts';
import type { Aggregate } from './aggregate.ts';
import type { ClaimedCommand } from './command-queue.ts';
import type { CommandRecords } from './command-records.ts';
import type { StreamStates } from './stream-states.ts';

/** A command whose work lies outside: what its performer is told. */
export interface PerformedCommand {
  readonly commandId: string;
  readonly data: unknown;
  /** Of the aggregate, just before. It may be another by the time that the command is decided. */
  readonly state: unknown;
  /** How often it was begun, this time included. */
  readonly attempts: number;
  /** When it was queued. A dead letter that is retried begins again with its attempts, but it is as old as it is. */
  readonly submittedAt: Date;
  readonly now: Date;
  /** The input of a command that is stored; secrets are in it until that command has ended. */
  inputOf(commandId: string): Promise<Record<string, unknown> | undefined>;
}

/**
 * Does what a `performed` command asks of the world: a call, a mail. It may be asked for the same commandId again, also
 * when it did it before and nobody heard of it: whatever it calls must recognise the repeat.
 * @returns what the decider is given as `context.performed`
 * @throws whatever broke: it is tried again, and a dead letter in the end. An error with `wasTried: false` is no attempt
 */
export type Performer = (command: PerformedCommand) => Promise<unknown>;

/** A performer broke: however its error looks, it tells nothing of the database. */
export class PerformerFailed extends Error {
  override readonly name = 'PerformerFailed';
  /** False: nothing was asked of anybody, since whoever is to be asked is known to be away. Then it was no attempt. */
  readonly wasTried: boolean;

  constructor(error: unknown) {
    super(error instanceof Error ? error.message : String(error));
    if (error instanceof Error && error.stack !== undefined) this.stack = error.stack;
    this.wasTried = !(error instanceof Error && 'wasTried' in error && error.wasTried === false);
  }
}

const inputs = z.record(z.string(), z.unknown());

export interface PerformerParts {
  readonly performers: ReadonlyMap<string, Performer>;
  readonly states: StreamStates;
  readonly commandRecords: CommandRecords;
  readonly clock: Clock;
}

/** Runs the performers of commands, outside of any transaction. */
export class Performers {
  readonly #parts: PerformerParts;

  /** @throws where a command has no performer */
  constructor(aggregates: readonly Aggregate[], parts: PerformerParts) {
    this.#parts = parts;
    for (const { name, performed } of aggregates.flatMap((it) => it.commands)) {
      if (performed === true && !parts.performers.has(name)) throw new Error(`Nobody performs ${name}.`);
    }
  }

  /** @throws {PerformerFailed} @throws {UnreadableEvent} nothing was asked of the performer */
  async perform(
    { definition, aggregate, streamId, data }: Pick<AcceptedCommand, 'definition' | 'aggregate' | 'streamId' | 'data'>,
    { request: { commandId }, attempts, submittedAt }: Pick<ClaimedCommand, 'request' | 'attempts' | 'submittedAt'>,
  ): Promise<unknown> {
    const performer = this.#parts.performers.get(definition.name);
    if (performer === undefined) throw new Error(`Nobody performs ${definition.name}.`);
    const loaded = (await this.#parts.states.load(new Map([[streamId, aggregate]]))).get(streamId);
    if (loaded?.unreadable !== undefined) throw loaded.unreadable;
    const state = loaded?.state ?? aggregate.decider.initialState;
    const now = this.#parts.clock.now();
    try {
      const inputOf = (id: string) => this.#inputOf(id);
      return await performer({ commandId, data, state, attempts, submittedAt, now, inputOf });
    } catch (error) {
      throw new PerformerFailed(error);
    }
  }

  async #inputOf(commandId: string): Promise<Record<string, unknown> | undefined> {
    return inputs.safeParse(await this.#parts.commandRecords.inputOf(commandId)).data;
  }
}
