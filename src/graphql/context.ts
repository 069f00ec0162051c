import type { Actor } from '../eventsourcing/actor.ts';
import type { Engine } from '../eventsourcing/engine.ts';
import type { ReadAudit } from '../eventsourcing/reads/read-audit.ts';
import type { Ids } from '../platform/ids.ts';

/** What resolvers work with. */
export interface RequestContext {
  readonly actor: Actor;
  readonly engine: Engine;
  readonly ids: Ids;
  /** Who read what. */
  readonly readAudit: ReadAudit;
  /** How long an answer waits for a read table, in milliseconds. */
  readonly readWaitMs: number;
  /** The currency of a cart that names none. */
  readonly defaultCurrency: string;
  /** What the caller wants its commands to be found by. */
  readonly correlationId: string | undefined;
}
