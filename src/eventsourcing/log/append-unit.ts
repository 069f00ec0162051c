import type { Actor } from '../actor.ts';
import type { Json, JsonObject } from '../json.ts';
import type { RecordedEvent } from './event.ts';

/** A stream in a unit: the version that was decided on (0: not there yet) and the one after. */
export interface StreamMove {
  readonly streamId: string;
  readonly aggregateType: string;
  readonly aggregateId: string;
  readonly decidedOn: number;
  readonly version: number;
}

/** An event before it has a place in the log. */
export type NewEvent = Omit<RecordedEvent, 'position' | 'recordedAt'>;

/** A command's outcome before it is stored. */
export interface NewCommandRecord {
  readonly commandId: string;
  readonly name: string;
  readonly aggregateType: string;
  readonly aggregateId: string;
  readonly input: Json;
  /** Members of the stored input that are replaced by null as soon as the command has an end. */
  readonly secrets?: readonly string[] | undefined;
  readonly fingerprint: string;
  readonly actorKind: string;
  readonly actorId: string | null;
  readonly attempts: number;
  /** Absent for a command that succeeded. */
  readonly rejection: JsonObject | undefined;
  readonly expectedVersion: number | undefined;
  readonly version: number;
  /** A process gives it its outcome: until then it runs. */
  readonly isRunning: boolean;
  /** It is stored already, since it was queued: now it is finished. */
  readonly wasQueued: boolean;
  readonly correlationId: string;
  readonly causationId: string | null;
  readonly submittedAt: string;
}

/** What is appended whole or not at all. Units of one call do not share a stream. */
export interface AppendUnit {
  readonly streams: readonly StreamMove[];
  readonly commands: readonly NewCommandRecord[];
  readonly events: readonly NewEvent[];
  readonly work?: UnitWork | undefined;
}

/** What a unit does beside its events. */
export interface UnitWork {
  /** Queued commands that it finishes, with the node that must still have them claimed. */
  readonly claims: readonly { readonly id: string; readonly node: string }[];
  readonly cancelledTimers: readonly { readonly lane: string; readonly timer: string }[];
  readonly queue: readonly NewQueuedCommand[];
  /** Commands that a process gives their outcome. */
  readonly concluded: readonly { readonly id: string; readonly rejection: JsonObject | undefined }[];
  readonly cancelledCommands: readonly string[];
  /** Subjects whose keys are destroyed. */
  readonly forgotten: readonly string[];
  /** Ids of dead letters. */
  readonly retried: readonly string[];
  readonly dropped: readonly { readonly id: string; readonly reason: string }[];
  /** Rebuilds of projections that are begun or else cancelled, by the name of the projection's checkpoint. */
  readonly rebuilds: readonly { readonly name: string; readonly run: number; readonly begin: boolean }[];
}

/** A command that is to be run later. */
export interface NewQueuedCommand {
  readonly commandId: string;
  readonly name: string;
  readonly aggregateType: string;
  readonly aggregateId: string;
  readonly input: Json;
  /** Members of the stored input that are replaced by null as soon as the command has an end. */
  readonly secrets?: readonly string[] | undefined;
  readonly fingerprint: string;
  readonly actor: Actor;
  readonly expectedVersion?: number | undefined;
  /** Absent: at once. */
  readonly dueAt?: Date | undefined;
  readonly deadline?: Date | undefined;
  /** The name of the process timer that it is. */
  readonly timer?: string | undefined;
  readonly correlationId: string;
  readonly causationId?: string | undefined;
  /** What it waits behind; absent: the other commands of its aggregate. */
  readonly lane?: string | undefined;
  /** The process instance that sends it. */
  readonly issuer?: { readonly type: string; readonly id: string } | undefined;
}

export type AppendedUnit =
  | { readonly outcome: 'appended'; readonly events: readonly RecordedEvent[] }
  /** Another writer was first: a stream, or what the unit works on, is not as it was decided on. */
  | { readonly outcome: 'conflict' }
  /** These commandIds are stored already. */
  | { readonly outcome: 'repeated'; readonly commandIds: ReadonlySet<string> }
  /** A queued command of it is not claimed any more: another node runs it, or it was cancelled. */
  | { readonly outcome: 'unclaimed' };
