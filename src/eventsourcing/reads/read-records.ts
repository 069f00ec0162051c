import { z } from 'zod';
import { isColumnText } from '../../platform/column-values.ts';
import type { SqlClient } from '../../platform/database.ts';
import { Conditions, type KeysetOrder, type KeysetPage, keysetClauses } from '../../platform/keyset.ts';
import { ACTOR_KINDS, type Actor } from '../actor.ts';

/** One aggregate, as the log names it: `cart` and its raw id. */
export interface AggregateName {
  readonly type: string;
  readonly id: string;
}

/**
 * `SHOWN`: it was shown, or at least a part of it. `NOTHING`: there was nothing, or nothing for them. `REFUSED`: they may
 * not ask for that. `FAILED`: it could not be answered. `MORE`: of one operation, more was shown than is recorded.
 */
export const READ_OUTCOMES = ['SHOWN', 'NOTHING', 'REFUSED', 'FAILED', 'MORE'] as const;
export type ReadOutcome = (typeof READ_OUTCOMES)[number];

/** Somebody read something. */
export interface ReadRecord {
  readonly id: string;
  readonly at: Date;
  readonly actor: Actor;
  /** The name that the client gave its operation. */
  readonly operation: string | null;
  /** The field that was asked for: `Query.order`. */
  readonly field: string;
  readonly outcome: ReadOutcome;
  /** Null where a field is about no single aggregate, and showed none. */
  readonly aggregate: AggregateName | null;
  readonly correlationId: string;
}

/** Which reads; all of what is given must hold. */
export interface ReadFilter {
  readonly aggregateType?: string | undefined;
  readonly aggregateId?: string | undefined;
  readonly actorId?: string | undefined;
  /** Then or later. */
  readonly from?: Date | undefined;
  /** Earlier. */
  readonly to?: Date | undefined;
}

/** Where a read lies in the list, newest first. */
export type ReadKey = readonly [at: Date, id: string];

export function keyOfRead({ at, id }: ReadRecord): ReadKey {
  return [at, id];
}

const ORDER: KeysetOrder = {
  columns: [
    { name: 'at', type: 'timestamptz' },
    { name: 'id', type: 'uuid' },
  ],
  descending: true,
};

const COLUMNS = `
  id, at, actor_kind AS "actorKind", actor_id AS "actorId", operation, field, outcome, aggregate_type AS "aggregateType",
  aggregate_id AS "aggregateId", correlation_id AS "correlationId"`;
// Written again, since the answer was lost, it is there once.
const INSERT = `
  INSERT INTO read_audit (id, at, actor_kind, actor_id, operation, field, outcome, aggregate_type, aggregate_id, correlation_id)
  SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                       $8::text[], $9::text[], $10::uuid[])
  ON CONFLICT DO NOTHING`;
const OF_AGGREGATES = `
  SELECT ${COLUMNS} FROM (
    SELECT few.* FROM unnest($1::text[], $2::text[]) AS wanted(type, id) CROSS JOIN LATERAL (
      SELECT read_audit.* FROM read_audit
      WHERE read_audit.aggregate_id = wanted.id AND read_audit.aggregate_type = wanted.type AND read_audit.outcome = 'SHOWN'
      ORDER BY read_audit.aggregate_id, read_audit.at DESC, read_audit.id DESC LIMIT $3::int
    ) AS few
  ) AS found ORDER BY at DESC, id DESC LIMIT $3::int`;
const DELETE_OLD = 'SELECT delete_old_reads($1::timestamptz, $2::int) AS deleted';

const readRow = z
  .object({
    id: z.string(),
    at: z.date(),
    actorKind: z.enum(ACTOR_KINDS),
    actorId: z.string().nullable(),
    operation: z.string().nullable(),
    field: z.string(),
    outcome: z.enum(READ_OUTCOMES),
    aggregateType: z.string().nullable(),
    aggregateId: z.string().nullable(),
    correlationId: z.string(),
  })
  .transform(
    ({ actorKind, actorId, aggregateType: type, aggregateId: id, ...read }): ReadRecord => ({
      ...read,
      actor: { kind: actorKind, id: actorId },
      aggregate: type === null || id === null ? null : { type, id },
    }),
  );
const counted = z.tuple([z.object({ count: z.number() })]);
const deletedRow = z.tuple([z.object({ deleted: z.number().nullable() })]);

/** The recorded reads of a store. */
export class ReadRecords {
  readonly #client: SqlClient;

  constructor(client: SqlClient) {
    this.#client = client;
  }

  async insert(reads: readonly ReadRecord[]): Promise<void> {
    const column = <Value>(value: (read: ReadRecord) => Value) => reads.map(value);
    await this.#client.query(
      INSERT,
      column(({ id }) => id),
      column(({ at }) => at),
      column(({ actor }) => actor.kind),
      column(({ actor }) => actor.id),
      column(({ operation }) => operation),
      column(({ field }) => field),
      column(({ outcome }) => outcome),
      column(({ aggregate }) => aggregate?.type ?? null),
      column(({ aggregate }) => aggregate?.id ?? null),
      column(({ correlationId }) => correlationId),
    );
  }

  /** One page, newest first. */
  async list(filter: ReadFilter, page: KeysetPage<ReadKey>): Promise<ReadRecord[]> {
    const conditions = conditionsOf(filter);
    const order = keysetClauses(ORDER, page, conditions);
    const sql = `SELECT ${COLUMNS} FROM read_audit ${conditions.where()} ${order}`;
    return parse(await this.#client.query(sql, ...conditions.parameters));
  }

  /** How many there are. @returns null beyond a limit, where counting on would cost too much */
  async count(filter: ReadFilter, limit: number): Promise<number | null> {
    const conditions = conditionsOf(filter);
    const atMost = `LIMIT ${conditions.placeholder(limit + 1)}::int`;
    const sql = `SELECT count(*)::int AS count FROM (SELECT 1 FROM read_audit ${conditions.where()} ${atMost}) AS found`;
    const [{ count }] = counted.parse(await this.#client.query(sql, ...conditions.parameters));
    return count > limit ? null : count;
  }

  /** Whom these aggregates were shown to, the newest reads first; at most so many. */
  async shown(aggregates: readonly AggregateName[], limit: number): Promise<ReadRecord[]> {
    const possible = aggregates.filter(({ type, id }) => isColumnText(type) && isColumnText(id));
    if (possible.length === 0) return [];
    const [types, ids] = [possible.map(({ type }) => type), possible.map(({ id }) => id)];
    return parse(await this.#client.query(OF_AGGREGATES, types, ids, limit));
  }

  /** Deletes reads from before an instant, at most so many. @returns how many; null if another process is at it */
  async deleteBefore(instant: Date, limit: number): Promise<number | null> {
    const [{ deleted }] = deletedRow.parse(await this.#client.query(DELETE_OLD, instant, limit));
    return deleted;
  }
}

function parse(rows: readonly unknown[]): ReadRecord[] {
  return rows.map((row) => readRow.parse(row));
}

function conditionsOf({ aggregateType, aggregateId, actorId, from, to }: ReadFilter): Conditions {
  const conditions = new Conditions();
  const equal = (name: string, text: string | undefined) => {
    if (text === undefined) return;
    if (isColumnText(text)) conditions.add((at) => `${name} = ${at}::text`, text);
    else conditions.addNever();
  };
  equal('aggregate_type', aggregateType);
  equal('aggregate_id', aggregateId);
  equal('actor_id', actorId);
  if (from !== undefined) conditions.add((at) => `at >= ${at}::timestamptz`, from);
  if (to !== undefined) conditions.add((at) => `at < ${at}::timestamptz`, to);
  return conditions;
}
