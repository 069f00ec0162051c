import { z } from 'zod';
import type { SqlClient } from '../../platform/database.ts';
import type { RecordedEvent } from '../log/event.ts';
import type { EventLog } from '../log/event-log.ts';
import { EventReads } from '../log/event-reads.ts';
import { column } from '../projections/read-table.ts';

/** `stream_version_at` looks for it by key: see the migration. */
const VERSIONS_AT = `SELECT id AS "streamId", stream_version_at(id, $2::bigint) AS version
  FROM streams WHERE id = ANY ($1::text[])`;
// In one statement: an event that is just being archived is in either place.
const POSITION_OF = `SELECT position FROM events WHERE stream_id = $1 AND version = $2::int
  UNION ALL SELECT positions[$2::int] FROM archived_streams
  WHERE stream_id = $1 AND cardinality(positions) >= $2::int`;
const NEWEST = 'SELECT version FROM streams WHERE id = $1';

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
  readonly #reads: EventReads;

  constructor(client: SqlClient, log: EventLog) {
    this.#client = client;
    this.#log = log;
    this.#reads = new EventReads(client);
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
    return this.#log.open(await this.#reads.versions(streamId, after, upTo));
  }

  /** The same, read page by page. */
  async *events(streamId: string, after: number, upTo: number): AsyncGenerator<RecordedEvent> {
    for (let from = after; from < upTo; from += PAGE) {
      yield* await this.read(streamId, from, Math.min(from + PAGE, upTo));
    }
  }
}
