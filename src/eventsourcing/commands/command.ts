import { createHash } from 'node:crypto';
import type { Actor } from '../actor.ts';
import { canonicalJson } from '../json.ts';
import type { RecordedEvent } from '../log/event.ts';
import type { Rejection } from './rejection.ts';

/** A request to change one aggregate. */
export interface CommandRequest {
  /** A UUID in lower case. The same id with the same content gives the stored outcome again. */
  readonly commandId: string;
  /** Of its definition: `AddItemToCart`. */
  readonly name: string;
  /** Checked against the definition's schema. */
  readonly data: unknown;
  /** What the caller sent, where it is not `data` itself: what a repeat is compared by. */
  readonly sent?: unknown;
  readonly actor: Actor;
  /** The version that the caller saw; without it, whatever version there is. */
  readonly expectedVersion?: number | undefined;
  readonly correlationId: string;
  /** The event or command that caused this one. */
  readonly causationId?: string | undefined;
}

/** How far a command has come. */
export const COMMAND_STATUSES = [
  'QUEUED',
  'RUNNING',
  'SUCCEEDED',
  'REJECTED',
  'FAILED',
  'TIMED_OUT',
  'CANCELLED',
] as const;
export type CommandStatus = (typeof COMMAND_STATUSES)[number];

/** What became of a command. */
export interface Receipt {
  readonly commandId: string;
  readonly correlationId: string;
  readonly status: CommandStatus;
  /** Of the aggregate, after the command; null as long as it was not decided. */
  readonly version: number | null;
  /** Of the command's last event; null if it had none. */
  readonly position: number | null;
  /** It ran before, and nothing was done now. */
  readonly replayed: boolean;
}

export type CommandOutcome =
  | { readonly outcome: 'succeeded'; readonly aggregateId: string; readonly receipt: Receipt }
  /** It is stored, and has no outcome yet (QUEUED, RUNNING), or ended without one (FAILED, TIMED_OUT, CANCELLED). */
  | { readonly outcome: 'accepted'; readonly aggregateId: string; readonly receipt: Receipt }
  | {
      readonly outcome: 'rejected';
      readonly rejection: Rejection;
      /** Absent where the rejection is not kept as the command's outcome. */
      readonly receipt?: Receipt;
      /** For a version conflict: what happened since the version that was expected. */
      readonly eventsSince?: readonly RecordedEvent[];
    };

/** When to run a command instead of now. */
export interface Schedule {
  /** Absent: as soon as those before it are done. */
  readonly dueAt?: Date | undefined;
  /** If it has not been run by then, it never is. */
  readonly deadline?: Date | undefined;
}

/** The command is not known to this version of the program; perhaps to another. */
export class UnknownCommand extends Error {
  override readonly name = 'UnknownCommand';
}

/** A queued command was not tried: one before it broke, its deadline passed, or another node has it now. */
export class NotRun extends Error {
  override readonly name = 'NotRun';
}

/** Too many commands wait already. Nothing was done. */
export class Overloaded extends Error {
  override readonly name = 'Overloaded';
}

/** The database went away. The command was run or not: sending it again with the same commandId is safe, and tells. */
export class OutcomeUnknown extends Error {
  override readonly name = 'OutcomeUnknown';
}

/** Other writers were first, again and again. Nothing was done. */
export class Contended extends Error {
  override readonly name = 'Contended';
}

export function fingerprintOf({ name, data, sent, actor }: CommandRequest): string {
  return createHash('sha256')
    .update(canonicalJson([name, sent ?? data, actor.kind, actor.id]))
    .digest('base64');
}
