import { z } from 'zod';
import type { SqlClient } from '../../platform/database.ts';
import { unpackRecord } from './archived-command.ts';

/** Columns that a command is looked up by, or listed with, where it is archived; all others are in its record. */
export const KEPT_COLUMNS = [
  'command_id',
  'name',
  'aggregate_id',
  'status',
  'actor_kind',
  'actor_id',
  'first_position',
  'event_count',
  'correlation_id',
  'submitted_at',
] as const;

const COLUMNS = `c.command_id AS "commandId", c.name, c.aggregate_id AS "aggregateId", c.status,
  c.actor_kind AS "actorKind", c.actor_id AS "actorId", c.first_position AS "firstPosition",
  c.event_count AS "eventCount", c.correlation_id AS "correlationId", c.submitted_at AS "submittedAt", c.record`;
const FIND = `SELECT ${COLUMNS} FROM archived_commands AS c WHERE c.command_id = ANY ($1::uuid[])`;
const OF_AGGREGATES = `
  SELECT ${COLUMNS} FROM unnest($1::text[]) AS wanted(id) CROSS JOIN LATERAL (
    SELECT archived_commands.* FROM archived_commands WHERE archived_commands.aggregate_id = wanted.id
    ORDER BY archived_commands.submitted_at LIMIT $2::int
  ) AS c`;

const keptRow = z.looseObject({ commandId: z.string(), record: z.instanceof(Uint8Array) });
const instant = z.coerce.date().nullable();
const record = z
  .object({
    aggregate_type: z.string(),
    input: z.unknown(),
    fingerprint: z.string(),
    attempts: z.number(),
    rejection: z.unknown(),
    error: z.string().nullable(),
    version: z.number().nullable(),
    position: z.number().nullable(),
    causation_id: z.string().nullable(),
    issuer_type: z.string().nullable(),
    issuer_id: z.string().nullable(),
    due_at: instant,
    deadline: instant,
    finished_at: instant,
  })
  .transform((it) => ({
    aggregateType: it.aggregate_type,
    input: it.input,
    fingerprint: it.fingerprint,
    attempts: it.attempts,
    rejection: it.rejection,
    error: it.error,
    version: it.version,
    position: it.position,
    causationId: it.causation_id,
    issuerType: it.issuer_type,
    issuerId: it.issuer_id,
    dueAt: it.due_at,
    deadline: it.deadline,
    finishedAt: it.finished_at,
  }));

/**
 * Reads commands that were archived, as the rows that they were in `commands`: by the names of their members. Commands only
 * ever go from there to here: whoever reads there first misses none.
 */
export class ArchivedCommands {
  readonly #client: SqlClient;

  constructor(client: SqlClient) {
    this.#client = client;
  }

  async find(commandIds: readonly string[]): Promise<object[]> {
    return commandIds.length === 0 ? [] : this.#opened(await this.#client.query(FIND, commandIds));
  }

  /** Commands for these aggregates, of each at most so many: its oldest. */
  async ofAggregates(aggregateIds: readonly string[], limitEach: number): Promise<object[]> {
    return this.#opened(await this.#client.query(OF_AGGREGATES, aggregateIds, limitEach));
  }

  /** @param clauses what comes after FROM; the table is `c`, with the columns that are kept */
  async list(clauses: string, parameters: readonly unknown[]): Promise<object[]> {
    const sql = `SELECT ${COLUMNS} FROM archived_commands AS c ${clauses}`;
    return this.#opened(await this.#client.query(sql, ...parameters));
  }

  #opened(rows: readonly unknown[]): Promise<object[]> {
    return Promise.all(
      rows.map(async (row) => {
        const { record: packed, ...kept } = keptRow.parse(row);
        return { ...kept, ...record.parse(await unpackRecord(packed)) };
      }),
    );
  }
}
