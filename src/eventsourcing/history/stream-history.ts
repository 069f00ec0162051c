import { z } from 'zod';
import type { SqlClient } from '../../platform/database.ts';
import type { RecordedEvent } from '../log/event.ts';
import { EVENT_COLUMNS, type EventLog } from '../log/event-log.ts';
import { column } from '../projections/read-table.ts';

// Positions of one stream grow with its versions: so its newest event by a position is found in as many look-ups of its
// index as the number of its events has binary digits.
const VERSIONS_AT = `
  WITH RECURSIVE search AS (
    SELECT id AS stream_id, 0 AS low, version AS high FROM streams WHERE id = ANY ($1::text[])
    UNION ALL
    SELECT step.stream_id,
      CASE WHEN event.position <= $2::bigint THEN middle ELSE low END,
      CASE WHEN event.position <= $2::bigint THEN high ELSE middle - 1 END
    FROM (SELECT stream_id, low, high, (low + high + 1) / 2 AS middle FROM search WHERE low < high) AS step
    CROSS JOIN LATERAL (
      SELECT position FROM events WHERE events.stream_id = step.stream_id AND events.version = step.middle OFFSET 0
    ) AS event
  )
  SELECT stream_id AS "streamId", low AS version FROM search WHERE low = high`;
const POSITION_OF = 'SELECT position FROM events WHERE stream_id = $1 AND version = $2::int';
const NEWEST = 'SELECT version FROM streams WHERE id = $1';
const READ = `SELECT ${EVENT_COLUMNS} FROM events
  WHERE stream_id = $1 AND version > $2::int AND version <= $3::int ORDER BY version`;

const versionRows = z.array(z.object({ streamId: z.string(), version: z.number() }));
const positionRows = z.array(z.object({ position: column.safeInt() }));
const newestRows = z.array(z.object({ version: z.number() }));

/** The largest number that the column holds. */
const MAX_VERSION = 2_147_483_647;
/** Events that are read at a time: what is folded need not all be in memory. */
const PAGE = 1_000;

/** One stream at any time: how its versions and the positions of the one log go together, and its events up to there. */
export class StreamHistory {
  readonly #client: SqlClient;
  readonly #log: EventLog;

  constructor(client: SqlClient, log: EventLog) {
    this.#client = client;
    this.#log = log;
  }

  /** How many events each stream had by a position; of one that there is not, nothing. */
  async versionsAt(streamIds: readonly string[], position: number): Promise<Map<string, number>> {
    if (streamIds.length === 0) return new Map();
    const rows = versionRows.parse(await this.#client.query(VERSIONS_AT, streamIds, position));
    return new Map(rows.map(({ streamId, version }) => [streamId, version]));
  }

  /** Where in the log an event of a stream is; undefined where the stream has no such version. */
  async positionOf(streamId: string, version: number): Promise<number | undefined> {
    if (version < 1 || version > MAX_VERSION) return undefined;
    const [row] = positionRows.parse(await this.#client.query(POSITION_OF, streamId, version));
    return row?.position;
  }

  /** How many events a stream has; 0 where there is none. */
  async newestVersion(streamId: string): Promise<number> {
    const [row] = newestRows.parse(await this.#client.query(NEWEST, streamId));
    return row?.version ?? 0;
  }

  /** Events of a stream after a version, up to and with another, in order, all at once. */
  async read(streamId: string, after: number, upTo: number): Promise<RecordedEvent[]> {
    return this.#log.parse(await this.#client.query(READ, streamId, after, upTo));
  }

  /** The same, read page by page. */
  async *events(streamId: string, after: number, upTo: number): AsyncGenerator<RecordedEvent> {
    for (let from = after; from < upTo; from += PAGE) {
      yield* await this.read(streamId, from, Math.min(from + PAGE, upTo));
    }
  }
}
