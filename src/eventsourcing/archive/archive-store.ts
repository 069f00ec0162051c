import { z } from 'zod';
import type { SqlClient } from '../../platform/database.ts';
import { STORED_LINE } from '../log/stored-events.ts';
import { column } from '../projections/read-table.ts';
import { KEPT_COLUMNS } from './archived-commands.ts';

const PROGRESS = 'SELECT batch, position, endings FROM archive_progress WHERE id = 1';
// Of what is archived already only the newest event is left.
const ENDED = `SELECT ended.stream_id AS "streamId", ended.version, ended.position FROM events AS ended
  WHERE ended.position > $1 AND ended.position <= $2 AND ended.type = ANY ($3::text[])
    AND EXISTS (SELECT FROM events AS before WHERE before.stream_id = ended.stream_id AND before.version = ended.version - 1)
    AND NOT EXISTS (SELECT FROM events AS after WHERE after.stream_id = ended.stream_id AND after.version > ended.version)
  ORDER BY ended.position LIMIT $4::int`;
const OLDEST = `SELECT old.position, old.stream_id AS "streamId", old.type, old.recorded_at AS "recordedAt", old.line
  FROM ROWS FROM (unnest($1::text[]), unnest($2::int[])) WITH ORDINALITY AS ended(stream_id, version, place)
  CROSS JOIN LATERAL (
    SELECT position, stream_id, version, type, recorded_at, ${STORED_LINE} AS line FROM events
    WHERE events.stream_id = ended.stream_id AND events.version < ended.version ORDER BY events.version LIMIT $3::int
  ) AS old
  ORDER BY ended.place, old.version LIMIT $3::int`;
const SEGMENTS = `SELECT number, recorded_from AS "recordedFrom", types, events FROM archive_segments
  WHERE number = ANY ($1::bigint[])`;
const MOVE_EVENTS = `SELECT archive_events($1::bigint, $2::jsonb, $3::bigint[], $4::bigint, $5, $6::timestamptz) AS done`;
const FINISHED = `SELECT c.command_id AS "commandId",
    (to_jsonb(c) - ARRAY[${KEPT_COLUMNS.map((name) => `'${name}'`).join(', ')}])::text AS record
  FROM commands AS c
  WHERE c.submitted_at < $1::timestamptz AND c.finished_at < $1::timestamptz AND c.status NOT IN ('QUEUED', 'RUNNING')
    AND NOT EXISTS (SELECT FROM command_queue AS queued WHERE queued.command_id = c.command_id)
  ORDER BY c.submitted_at, c.command_id LIMIT $2::int`;
const MOVE_COMMANDS = 'SELECT archive_commands($1::jsonb) AS moved';

const progressRow = z.tuple([z.object({ batch: column.safeInt(), position: column.safeInt(), endings: z.string() })]);
const endedRows = z.array(z.object({ streamId: z.string(), version: z.number(), position: column.safeInt() }));
const oldestRows = z.array(
  z.object({
    position: column.safeInt(),
    streamId: z.string(),
    type: z.string(),
    recordedAt: z.date(),
    line: z.string(),
  }),
);
const segmentRows = z.array(
  z.object({
    number: column.safeInt(),
    recordedFrom: z.date(),
    types: z.array(z.string()),
    events: z.instanceof(Uint8Array),
  }),
);
const finishedRows = z.array(z.object({ commandId: z.string(), record: z.string() }));
const doneRow = z.tuple([z.object({ done: z.boolean() })]);
const movedRow = z.tuple([z.object({ moved: z.number() })]);

/** How far the log was looked through. */
export type ArchiveProgress = z.output<typeof progressRow>[0];
/** A stream that has come to its end, with the version and position of its newest event. */
export type EndedStream = z.output<typeof endedRows>[number];
export type EventToArchive = z.output<typeof oldestRows>[number];
export type StoredSegment = z.output<typeof segmentRows>[number];

/** A segment as it is to be. */
export interface NewSegment {
  readonly number: number;
  readonly count: number;
  readonly from: Date;
  readonly types: readonly string[];
  /** In base64. */
  readonly events: string;
}

/** The archiver's way to the database: what is read for a batch, and the one statement that moves it. */
export class ArchiveStore {
  readonly #client: SqlClient;

  constructor(client: SqlClient) {
    this.#client = client;
  }

  async progress(): Promise<ArchiveProgress> {
    return progressRow.parse(await this.#client.query(PROGRESS))[0];
  }

  /** Streams that ended in a stretch of the log, and of which something is left to archive: the first so many. */
  async ended(after: number, upTo: number, endings: readonly string[], limit: number): Promise<EndedStream[]> {
    return endedRows.parse(await this.#client.query(ENDED, after, upTo, endings, limit));
  }

  /** The first so many events of streams, without the newest of each; stream by stream, in order. */
  async oldest(streams: readonly EndedStream[], limit: number): Promise<EventToArchive[]> {
    const [ids, versions] = [streams.map(({ streamId }) => streamId), streams.map(({ version }) => version)];
    return oldestRows.parse(await this.#client.query(OLDEST, ids, versions, limit));
  }

  async segments(numbers: readonly number[]): Promise<Map<number, StoredSegment>> {
    const rows = segmentRows.parse(await this.#client.query(SEGMENTS, numbers));
    return new Map(rows.map((segment) => [segment.number, segment]));
  }

  /** @returns false where somebody else has archived since `batch` was read: nothing is done then */
  async moveEvents(
    batch: number,
    segments: readonly NewSegment[],
    positions: readonly number[],
    progress: Pick<ArchiveProgress, 'position' | 'endings'>,
    now: Date,
  ): Promise<boolean> {
    const texts = [batch, JSON.stringify(segments), positions, progress.position, progress.endings];
    return doneRow.parse(await this.#client.query(MOVE_EVENTS, ...texts, now))[0].done;
  }

  /** Commands that came to their end before an instant, oldest first, each with what is kept of it as JSON. */
  async finished(before: Date, limit: number) {
    return finishedRows.parse(await this.#client.query(FINISHED, before, limit));
  }

  /** @param records compressed, in base64 @returns how many were moved */
  async moveCommands(records: readonly { readonly id: string; readonly record: string }[]): Promise<number> {
    return movedRow.parse(await this.#client.query(MOVE_COMMANDS, JSON.stringify(records)))[0].moved;
  }

  /** How many commands came to their end before an instant: as far as they are no more than so many. */
  async countFinished(before: Date, limit: number): Promise<number> {
    const rows = await this.#client.query(COUNT_FINISHED, before, limit);
    return movedRow.parse(rows)[0].moved;
  }

  /** Gives the room of what was moved back to the tables; for a store where nobody else does. */
  async makeRoom(): Promise<void> {
    for (const table of ['events', 'commands']) await this.#client.prisma.$executeRawUnsafe(`VACUUM ${table}`);
  }
}

const COUNT_FINISHED = `SELECT count(*)::int AS moved FROM (
  SELECT 1 FROM commands AS c
  WHERE c.submitted_at < $1::timestamptz AND c.finished_at < $1::timestamptz AND c.status NOT IN ('QUEUED', 'RUNNING')
  LIMIT $2::int) AS finished`;
