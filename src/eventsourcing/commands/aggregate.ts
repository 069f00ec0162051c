import type { z } from 'zod';
import type { Audience } from '../actor.ts';
import type { DeadLetters } from '../followers/dead-letters.ts';
import type { StorageCodec } from '../log/codec.ts';
import type { EventDefinition } from '../log/event.ts';
import type { EventLog } from '../log/event-log.ts';
import type { LogTail } from '../log/log-tail.ts';
import type { Effect, EffectContext } from '../processes/effect.ts';
import type { ProjectedRow, Projection } from '../projections/projection.ts';
import type { ProjectionStates } from '../projections/projection-states.ts';
import type { ReadRows, ReadTable } from '../projections/read-table.ts';
import type { CommandRecords } from './command-records.ts';
import type { AnyCommand, AnyEvent, Decider } from './decider.ts';
import type { SnapshotPolicy } from './snapshot-policy.ts';

/** A type of command. Its schema is the single source of the rules for its input. */
export interface CommandDefinition<Name extends string = string, Input extends z.ZodObject = z.ZodObject> {
  readonly name: Name;
  readonly description: string;
  readonly audience: Audience;
  readonly input: Input;
  /** It begins its aggregate: so that there is nothing yet is taken for granted at first, not read. */
  readonly begins?: boolean;
  /** Its events only begin what a process ends: its outcome is what that process concludes, and until then it runs. */
  readonly concludedByProcess?: boolean;
  /**
   * Its work lies outside: a performer does it before it is decided, outside of any transaction. It is only ever queued,
   * waits for nothing, and nothing waits behind it.
   */
  readonly performed?: boolean;
  /** Which aggregate the command is for. */
  aggregateId(data: z.output<Input>): string;
  /** Keys of the facts that the decision needs. */
  facts?(data: z.output<Input>): readonly string[];
  /**
   * Commands for other aggregates of the same context that succeed or fail with this one, in the same append (the
   * stock that a new product begins with). Their events carry this command's id.
   */
  companions?(data: z.output<Input>): readonly AnyCommand[];
}

export function defineCommand<Name extends string, Input extends z.ZodObject>(
  definition: CommandDefinition<Name, Input>,
): CommandDefinition<Name, Input> {
  return definition;
}

/** The command that a decider works with: `{ type, data }`. */
export type CommandOf<Definition> =
  Definition extends CommandDefinition<infer Name, infer Input>
    ? { readonly type: Name; readonly data: z.output<Input> }
    : never;

/** A kind of aggregate: all that the engine must know of it. */
export interface Aggregate<
  State = unknown,
  Command extends AnyCommand = AnyCommand,
  Event extends AnyEvent = AnyEvent,
  Fact = unknown,
> {
  /** The first part of its streams' ids: `cart-<id>`. */
  readonly type: string;
  readonly decider: Decider<State, Command, Event, Fact>;
  readonly commands: readonly CommandDefinition[];
  readonly events: readonly EventDefinition[];
  /** What decisions are made from: the context's own copy of what other contexts publish, or what the engine keeps. */
  readonly facts?: ReadTable<Fact> | FactTables<Fact> | FactLoader<Fact>;
  /** Absent: never, as is right where streams stay short. */
  readonly snapshots?: SnapshotPolicy<State>;
  /**
   * Types of events that one of these comes to its end with: it is archived once its newest event is one of them and was
   * long ago. It may go on all the same, as a delivered order does that is returned. Absent: it never ends.
   */
  readonly endsWith?: readonly Event['type'][];
  /** @param state after the event */
  effectsOf?(event: Event, state: State, context: EffectContext): readonly Effect[];
  /** What of a state is compared where somebody asks what changed; all of it, if it is left out. */
  stateToCompare?(state: State): unknown;
}

/** @throws where an aggregate has no event of this type */
export function definitionOf({ type, events }: Pick<Aggregate, 'type' | 'events'>, event: AnyEvent): EventDefinition {
  const definition = events.find((it) => it.type === event.type);
  if (definition === undefined) throw new Error(`${type} has no event ${event.type}.`);
  return definition;
}

/** Where the engine keeps what happened. */
export interface EngineStores {
  readonly log: EventLog;
  readonly tail: LogTail;
  readonly commandRecords: CommandRecords;
  readonly deadLetters: DeadLetters;
  readonly projections: ProjectionStates;
  /** What follows the log: dead letters are named after it. */
  readonly followers: readonly { readonly task: { readonly name: string } }[];
  readonly codec: Pick<StorageCodec, 'knows'>;
  /** The view of a projection that runs. */
  view<Row extends ProjectedRow>(projection: Projection<Row>): { readonly rows: Pick<ReadRows<Row>, 'find'> };
}

/** Several tables: the fact under the key `coupons:X` is the row X of the table that is called coupons here. */
export interface FactTables<Fact> {
  readonly tables: Readonly<Record<string, ReadTable<Fact>>>;
}

/** Facts that are read from the engine's own stores, fresh for each decision. */
export interface FactLoader<Fact> {
  load(stores: EngineStores, keys: readonly string[]): Promise<ReadonlyMap<string, Fact>>;
}
