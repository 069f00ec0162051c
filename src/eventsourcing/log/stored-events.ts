import { z } from 'zod';
import type { SqlClient } from '../../platform/database.ts';
import { column } from '../projections/read-table.ts';

/**
 * SQL: a row of `events` as JSON, with nothing opened, upcast or left out. The same on every engine and in every session:
 * instants are milliseconds since 1970. One that is none, which nobody but a forger writes, is null: such a row can be read.
 */
export const STORED_JSON = `json_build_array(position, event_id, stream_id, aggregate_type, aggregate_id, version, type,
  schema_version, data, actor_kind, actor_id, command_id, correlation_id, causation_id,
  CASE WHEN isfinite(recorded_at) THEN (date_part('epoch', recorded_at) * 1000)::bigint END)`;

/** SQL: the same as one line of text, so that it can be hashed, archived, exported, and put back as it was. */
export const STORED_LINE = `${STORED_JSON}::text`;

/**
 * SQL: puts lines back as they were.
 * @param lines a placeholder of type text[]
 */
export function insertStoredLines(lines: string): string {
  return `INSERT INTO events (position, event_id, stream_id, aggregate_type, aggregate_id, version, type, schema_version,
      data, actor_kind, actor_id, command_id, correlation_id, causation_id, recorded_at)
    SELECT (it->>0)::bigint, (it->>1)::uuid, it->>2, it->>3, it->>4, (it->>5)::int, it->>6, (it->>7)::int, it->8,
      it->>9, it->>10, (it->>11)::uuid, (it->>12)::uuid, (it->>13)::uuid,
      to_timestamp((it->>14)::bigint / 1000.0)
    FROM (SELECT line::jsonb AS it FROM unnest(${lines}::text[]) AS line) AS given`;
}

const members = z.custom<readonly unknown[]>(Array.isArray);

/** What `STORED_JSON` made, as `EventLog.parse` takes it. */
export function storedRow(json: unknown): unknown {
  const [position, eventId, streamId, aggregateType, aggregateId, version, type, schemaVersion, data, ...rest] =
    members.parse(json);
  const [actorKind, actorId, commandId, correlationId, causationId, recordedAt] = rest;
  return {
    ...{ position, eventId, streamId, aggregateType, aggregateId, version, type, schemaVersion, data },
    ...{ actorKind, actorId, commandId, correlationId, causationId },
    recordedAt: new Date(Number(recordedAt)),
  };
}

/** An event as it is stored. */
export interface StoredEvent {
  readonly position: number;
  /** As `STORED_LINE` makes it. */
  readonly line: string;
}

const READ_AFTER = `SELECT position, ${STORED_LINE} AS line FROM events WHERE position > $1 ORDER BY position LIMIT $2`;
const storedEvents = z.array(z.object({ position: column.safeInt(), line: z.string() }));

/** Reads the log as it is stored, wherever its events are kept: for whoever hashes it, copies it, or hands it on. */
export class StoredEvents {
  readonly #client: SqlClient;

  constructor(client: SqlClient) {
    this.#client = client;
  }

  /** The next events after a position, in order. */
  async readAfter(position: number, limit: number): Promise<StoredEvent[]> {
    return storedEvents.parse(await this.#client.query(READ_AFTER, position, limit));
  }
}
