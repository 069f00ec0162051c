import { isColumnText, isUuid } from '../../platform/column-values.ts';
import { Conditions, type KeysetOrder } from '../../platform/keyset.ts';
import { COMMAND_STATUSES, type CommandStatus } from './command.ts';

/** Which commands; all of what is given must hold. An empty list is what no command has. */
export interface CommandFilter {
  readonly status?: readonly CommandStatus[] | undefined;
  readonly name?: readonly string[] | undefined;
  readonly aggregateId?: string | undefined;
  /** Also the command that this id was taken from. */
  readonly correlationId?: string | undefined;
  /** Sent by a customer or guest themselves. */
  readonly sentBy?: { readonly kind: 'CUSTOMER' | 'GUEST'; readonly id: string } | undefined;
  /** Submitted then or later. */
  readonly from?: Date | undefined;
  /** Submitted earlier. */
  readonly to?: Date | undefined;
}

const ORDER: KeysetOrder = {
  columns: [
    { name: 'c.submitted_at', type: 'timestamptz' },
    { name: 'c.command_id', type: 'uuid' },
  ],
  descending: true,
};

/**
 * What began with the same request is little, and sorted once it is found. Without statistics, which an embedded store
 * never has, the database would rather look for it among all commands, in their order.
 */
const ORDER_OF_FEW: KeysetOrder = {
  columns: [
    { name: "(c.submitted_at + interval '0')", type: 'timestamptz' },
    { name: 'c.command_id', type: 'uuid' },
  ],
  descending: true,
};

const CLAIMED = 'FROM command_queue AS claimed WHERE claimed.command_id = c.command_id AND claimed.owner IS NOT NULL';
const QUEUED = "c.status = 'QUEUED'";

/** Whether there is an index of archived commands for it. */
export function isLookedUp({ aggregateId, correlationId, sentBy }: CommandFilter): boolean {
  return aggregateId !== undefined || correlationId !== undefined || sentBy !== undefined;
}

/** How a list of these is sorted. */
export function orderOf({ correlationId }: CommandFilter): KeysetOrder {
  return correlationId === undefined ? ORDER : ORDER_OF_FEW;
}

/** The conditions for `archived_commands`, by the same names. */
export function archivedConditionsOf(filter: CommandFilter): Conditions {
  const conditions = conditionsOf(filter);
  for (const part of archivedPart(filter)) conditions.add(() => part);
  return conditions;
}

/** What is archived has an end, and its status says which. */
export function archivedPart({ status }: CommandFilter): string[] {
  return status === undefined ? [] : [`c.status IN (${status.map((it) => `'${it}'`).join(', ')})`];
}

/** What holds for all that is wanted. */
export function conditionsOf({ name, aggregateId, correlationId, sentBy, from, to }: CommandFilter): Conditions {
  const conditions = new Conditions();
  if (sentBy !== undefined) {
    // The kinds stand in the text, since there is an index of these alone; no other is in it.
    const kind = sentBy.kind === 'GUEST' ? "c.actor_kind = 'GUEST'" : "c.actor_kind = 'CUSTOMER'";
    if (isColumnText(sentBy.id)) conditions.add((at) => `(${kind} AND c.actor_id = ${at}::text)`, sentBy.id);
    else conditions.addNever();
  }
  if (name !== undefined) conditions.add((at) => `c.name = ANY (${at}::text[])`, name.filter(isColumnText));
  if (aggregateId !== undefined) {
    if (isColumnText(aggregateId)) conditions.add((at) => `c.aggregate_id = ${at}::text`, aggregateId);
    else conditions.addNever();
  }
  if (correlationId !== undefined) {
    // The first of a correlation has its own id as the correlation's; the index has only the others.
    const either = (at: string) =>
      `(c.command_id = ${at}::uuid OR (c.correlation_id = ${at}::uuid AND c.correlation_id <> c.command_id))`;
    if (isUuid(correlationId)) conditions.add(either, correlationId);
    else conditions.addNever();
  }
  if (from !== undefined) conditions.add((at) => `c.submitted_at >= ${at}::timestamptz`, from);
  if (to !== undefined) conditions.add((at) => `c.submitted_at < ${at}::timestamptz`, to);
  return conditions;
}

/**
 * The conditions of each part that the wanted commands are put together from: one for each status, so that each part can
 * be read in order from the index of statuses. The statuses stand in the text, since that index has not all of them.
 */
export function partsOf({ status }: CommandFilter): string[][] {
  if (status === undefined) return [[]];
  return COMMAND_STATUSES.filter((it) => status.includes(it)).flatMap((it) => {
    switch (it) {
      case 'QUEUED':
        return [[QUEUED, `NOT EXISTS (SELECT ${CLAIMED})`]];
      case 'RUNNING':
        // One that a process concludes, or one that a node has claimed.
        return [["c.status = 'RUNNING'"], [QUEUED, `EXISTS (SELECT ${CLAIMED})`]];
      default:
        return [[`c.status = '${it}'`]];
    }
  });
}
