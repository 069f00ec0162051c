import type { Json } from '../json.ts';
import type { Aggregate, CommandDefinition } from './aggregate.ts';
import type { CommandRequest } from './command.ts';
import type { Rejection } from './rejection.ts';

/** A command that passed its schema and waits for its turn. */
export interface AcceptedCommand {
  readonly request: CommandRequest;
  readonly definition: CommandDefinition;
  readonly aggregate: Aggregate;
  readonly aggregateId: string;
  readonly streamId: string;
  /** As parsed by the definition's schema. */
  readonly data: Readonly<Record<string, unknown>>;
  /** `data` as it is stored; what of it is protected is sealed by whatever stores it. */
  readonly encoded: Json;
  readonly fingerprint: string;
  readonly submittedAt: Date;
  /** Its own stream, and those of its companions. */
  readonly streamIds: readonly string[];
  /** How often it was decided. */
  readonly attempts: number;
  /** Present where it comes from the queue. */
  readonly queued?: QueuedRun | undefined;
  /** What its performer came back with. */
  readonly performed?: unknown;
  /** What it is answered with, without being decided. */
  readonly refusal?: Rejection | undefined;
}

/** A run of a command that was claimed from the queue. */
export interface QueuedRun {
  readonly node: string;
  /** How often it was claimed. */
  readonly attempts: number;
  readonly deadline: Date | null;
  /** Shared by the commands of one stream that were claimed together: after one that broke, none of them is run. */
  readonly lane: { isBroken: boolean };
}
