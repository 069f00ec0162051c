import { ReadAudit, type ReadAuditParts } from '../../src/eventsourcing/reads/read-audit.ts';
import { ReadRecords } from '../../src/eventsourcing/reads/read-records.ts';
import { systemClock } from '../../src/platform/clock.ts';
import type { Database } from '../../src/platform/database.ts';
import { randomIds } from '../../src/platform/ids.ts';
import { createLogger } from '../../src/platform/logger.ts';
import type { Shop } from './shop.ts';

/** Records reads in a store, as far as it is asked to. */
export function newAudit(database: Database, parts: Partial<ReadAuditParts> = {}): ReadAudit {
  const logger = createLogger('silent');
  const records = new ReadRecords(database.derived);
  return new ReadAudit({ records, isOn: true, keptDays: 90, clock: systemClock, ids: randomIds, logger, ...parts });
}

/** One that records nothing. */
export function silentAudit(database: Database): ReadAudit {
  return newAudit(database, { isOn: false });
}

/** A recorded read, as admins are shown it. */
export interface ReadView {
  readonly at: string;
  readonly actor: { readonly kind: string; readonly id: string | null };
  readonly operation: string | null;
  readonly field: string;
  readonly outcome: string;
  readonly aggregateType: string | null;
  readonly aggregateId: string | null;
  readonly correlationId: string;
}

export interface ReadPage {
  readonly totalCount: number | null;
  readonly nodes: readonly ReadView[];
  readonly pageInfo: {
    readonly hasNextPage: boolean;
    readonly hasPreviousPage: boolean;
    readonly startCursor: string | null;
    readonly endCursor: string | null;
  };
}

export const READ_AUDIT = `query Audit($filter: ReadFilter, $first: Int, $after: String, $last: Int, $before: String) {
  readAudit(filter: $filter, first: $first, after: $after, last: $last, before: $before) {
    totalCount
    nodes { at actor { kind id } operation field outcome aggregateType aggregateId correlationId }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}`;

/** What was read, newest first. */
export async function readsOf(
  admin: Shop,
  filter: Readonly<Record<string, unknown>> = {},
  paging: Readonly<Record<string, unknown>> = { first: 100 },
): Promise<ReadPage> {
  return (await admin.read<{ readAudit: ReadPage }>(READ_AUDIT, { filter, ...paging })).readAudit;
}
