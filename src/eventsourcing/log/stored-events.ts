import { z } from 'zod';
import type { SqlClient } from '../../platform/database.ts';
import { ArchivedEvents } from '../archive/archived-events.ts';
import { column } from '../projections/read-table.ts';
import { positionOfLine } from './event-row.ts';
import { skipFrom } from './next-position.ts';

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

/** An event as it is stored. */
export interface StoredEvent {
  readonly position: number;
  /** As `STORED_LINE` makes it. */
  readonly line: string;
}

// The newest event of all is never archived: seen in the same statement, it tells whether there is more. All lines come as
// one text, for that takes half the time of as many rows: there is no line break in any of them.
const READ_AFTER = `SELECT
    (SELECT least(coalesce(max(position), 0), ${Number.MAX_SAFE_INTEGER}) FROM events) AS newest,
    (SELECT string_agg(found.line, E'\\n') FROM (
      SELECT ${STORED_LINE} AS line FROM events WHERE position > $1 AND position <= $2 ORDER BY position
    ) AS found) AS lines`;
const answer = z.tuple([z.object({ newest: column.safeInt(), lines: z.string().nullable() })]);

/** Reads the log as it is stored, wherever its events are kept: for whoever hashes it, copies it, or hands it on. */
export class StoredEvents {
  readonly #client: SqlClient;
  readonly #archive: ArchivedEvents;

  constructor(client: SqlClient) {
    this.#client = client;
    this.#archive = new ArchivedEvents(client);
  }

  /** The next events after a position, in order; fewer than are asked for only where there are no more. */
  async readAfter(position: number, limit: number): Promise<StoredEvent[]> {
    const found: StoredEvent[] = [];
    for (let after = position; ; ) {
      const upTo = after + limit - found.length;
      const [{ newest, lines }] = answer.parse(await this.#client.query(READ_AFTER, after, upTo));
      const stored = (lines?.split('\n') ?? []).map((line) => ({ position: positionOfLine(line), line }));
      found.push(...(await this.#withArchived(stored, after, Math.min(newest, upTo))));
      if (found.length >= limit || newest <= upTo) return found;
      after = await skipFrom(this.#client, upTo);
    }
  }

  async #withArchived(stored: readonly StoredEvent[], after: number, upTo: number): Promise<readonly StoredEvent[]> {
    if (stored.length >= upTo - after) return stored;
    // What is moved in between is read twice. Two that differ are a forgery: together they are what nobody ever sealed.
    const lines = new Map(stored.map(({ position, line }) => [position, line]));
    for await (const some of this.#archive.lines({ after, upTo })) {
      for (const line of some) {
        const position = positionOfLine(line);
        const other = lines.get(position) ?? line;
        lines.set(position, other === line ? line : `${other}\n${line}`);
      }
    }
    return [...lines].map(([position, line]) => ({ position, line })).sort((a, b) => a.position - b.position);
  }
}
