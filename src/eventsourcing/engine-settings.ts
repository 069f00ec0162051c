import type { Clock } from '../platform/clock.ts';
import type { Database } from '../platform/database.ts';
import type { Ids } from '../platform/ids.ts';
import type { Logger } from '../platform/logger.ts';
import type { ForgottenList } from './backup/forgotten-list.ts';
import type { Aggregate } from './commands/aggregate.ts';
import type { Performer } from './commands/performer.ts';
import type { RetryPolicy } from './commands/retry-policy.ts';
import type { ProcessManager } from './processes/process-manager.ts';
import type { Projection } from './projections/projection.ts';
import type { CheckpointPlace } from './seals/known-checkpoint.ts';

export interface EngineSettings {
  readonly database: Database;
  /** 32 bytes that protect the keys of personal data. The same for all processes of a store, and never stored in it. */
  readonly masterKey: Buffer;
  /** Also known, while the store goes over from one master key to another. */
  readonly otherMasterKeys?: readonly Buffer[];
  readonly aggregates: readonly Aggregate[];
  readonly projections: readonly Projection[];
  readonly processes?: readonly ProcessManager[];
  /** Who does the work of `performed` commands, by their names. */
  readonly performers?: ReadonlyMap<string, Performer>;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
  /** How long a process may be silent before others take over what it does, in seconds. */
  readonly leaseSeconds?: number;
  /** Of all queued commands. Unless it is given, performed ones are tried more often than others. */
  readonly commandRetries?: RetryPolicy;
  readonly eventRetries?: RetryPolicy;
  /** Where it is noted, outside of the database, who was forgotten. */
  readonly forgottenList?: ForgottenList | undefined;
  /** Where the newest seal of the log is kept outside the database. */
  readonly checkpointPlace?: CheckpointPlace | undefined;
  /** Without, nothing of the log is sealed: to measure what it costs. */
  readonly isSealing?: boolean;
  /** The store was restored, or exchanged, under a process that runs: it has to end, for what it knows is of the one before. */
  readonly onReplaced?: () => void;
  /** How many batches of queued commands run at the same time. */
  readonly workers?: number;
}
