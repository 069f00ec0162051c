import { z } from 'zod';
import type { SqlClient } from '../../platform/database.ts';
import { type EventRow, parseStoredLine, positionOfLine } from '../log/event-row.ts';
import { column } from '../projections/read-table.ts';
import { segmentOf, unpackSegment } from './segment.ts';

/** So many segments are in memory at a time. */
const SEGMENTS_AT_ONCE = 16;

const BETWEEN = `SELECT number, events FROM archive_segments
  WHERE number >= $1::bigint AND number <= $2::bigint AND ($3::text[] IS NULL OR types && $3::text[])`;
const FORWARD = `${BETWEEN} ORDER BY number LIMIT ${SEGMENTS_AT_ONCE}`;
const BACKWARD = `${BETWEEN} ORDER BY number DESC LIMIT ${SEGMENTS_AT_ONCE}`;
const NUMBERED = 'SELECT number, events FROM archive_segments WHERE number = ANY ($1::bigint[]) ORDER BY number';
const LAST_FROM = `SELECT number, events FROM archive_segments
  WHERE recorded_from <= $1::timestamptz AND number >= $2::bigint AND number <= $3::bigint
  ORDER BY recorded_from DESC, number DESC LIMIT 1`;
const STREAMS = `SELECT stream_id AS "streamId", positions FROM archived_streams WHERE stream_id = ANY ($1::text[])`;
const FIND = 'SELECT position FROM archived_events WHERE event_id = $1::uuid';
const CAUSED = `SELECT position FROM archived_events
  WHERE correlation_id = $1::uuid AND position > $2::bigint AND position < $3::bigint`;

const segmentRows = z.array(z.object({ number: column.safeInt(), events: z.instanceof(Uint8Array) }));
const streamRows = z.array(z.object({ streamId: z.string(), positions: z.array(column.safeInt()) }));
const positionRows = z.array(z.object({ position: column.safeInt() }));

/** A stretch of the log, or of what is looked for in it. */
export interface Stretch {
  readonly after: number;
  readonly upTo: number;
  /** Newest first. */
  readonly inverted?: boolean;
  /** Only these: segments that have none of them are not opened. */
  readonly types?: readonly string[] | undefined;
}

/**
 * Reads events that were archived, as they were stored.
 *
 * Whoever reads the log reads `events` first and this after that: events only ever go from there to here, so what is moved
 * between the two reads is seen twice, and nothing is missed. Positions and the versions of a stream have no gaps, so a gap
 * in what was read is the sign that something is here; where there is none, nobody need ask.
 */
export class ArchivedEvents {
  readonly #client: Pick<SqlClient, 'query'>;

  constructor(client: Pick<SqlClient, 'query'>) {
    this.#client = client;
  }

  /** Lines of a stretch, a segment at a time; of each in the order that is asked for. Any of them may have none. */
  async *lines({ after, upTo, inverted = false, types = undefined }: Stretch): AsyncGenerator<string[]> {
    const wanted = types?.map((type) => JSON.stringify(type));
    let [first, last] = [segmentOf(after + 1), segmentOf(upTo)];
    while (first <= last) {
      const rows = await this.#client.query(inverted ? BACKWARD : FORWARD, first, last, types ?? null);
      const segments = segmentRows.parse(rows);
      for (const { events } of segments) {
        const lines = (await unpackSegment(events)).filter((line) => {
          const position = positionOfLine(line);
          return position > after && position <= upTo && (wanted?.some((type) => line.includes(type)) ?? true);
        });
        yield inverted ? lines.reverse() : lines;
      }
      const end = segments.at(-1)?.number;
      if (end === undefined || segments.length < SEGMENTS_AT_ONCE) return;
      if (inverted) last = end - 1;
      else first = end + 1;
    }
  }

  /** Events of a stretch, a segment at a time. */
  async *rows(stretch: Stretch): AsyncGenerator<EventRow[]> {
    for await (const lines of this.lines(stretch)) {
      const rows = lines.map(parseStoredLine);
      yield stretch.types === undefined ? rows : rows.filter(({ type }) => stretch.types?.includes(type));
    }
  }

  /** Whether there is anything in a stretch. */
  async hasAny({ after, upTo, types }: Stretch): Promise<boolean> {
    const sql = `SELECT 1 FROM (${BETWEEN} LIMIT 1) AS found`;
    return (await this.#client.query(sql, segmentOf(after + 1), segmentOf(upTo), types ?? null)).length > 0;
  }

  /** Those of these positions that are archived, in order. */
  async at(positions: readonly number[]): Promise<EventRow[]> {
    const wanted = new Set(positions);
    const numbers = [...new Set(positions.map(segmentOf))].sort((a, b) => a - b);
    const found: EventRow[] = [];
    for (let from = 0; from < numbers.length; from += SEGMENTS_AT_ONCE) {
      const rows = await this.#client.query(NUMBERED, numbers.slice(from, from + SEGMENTS_AT_ONCE));
      for (const { events } of segmentRows.parse(rows)) {
        const lines = await unpackSegment(events);
        found.push(...lines.filter((line) => wanted.has(positionOfLine(line))).map(parseStoredLine));
      }
    }
    return found;
  }

  /** Where the archived events of streams are: of each its versions from 1 on. */
  async positionsOf(streamIds: readonly string[]): Promise<Map<string, number[]>> {
    if (streamIds.length === 0) return new Map();
    const rows = streamRows.parse(await this.#client.query(STREAMS, streamIds));
    return new Map(rows.map(({ streamId, positions }) => [streamId, positions]));
  }

  async positionOf(eventId: string): Promise<number | undefined> {
    return positionRows.parse(await this.#client.query(FIND, eventId))[0]?.position;
  }

  /** Of what one request brought about, its first command's own events left out: where it is, in order. */
  async positionsCausedBy(correlationId: string, after: number, before: number): Promise<number[]> {
    const rows = await this.#client.query(`${CAUSED} ORDER BY position`, correlationId, after, before);
    return positionRows.parse(rows).map(({ position }) => position);
  }

  /** The last event of a stretch that was recorded at an instant or before. */
  async lastAt(instant: Date, { after, upTo }: Stretch): Promise<number | undefined> {
    const rows = await this.#client.query(LAST_FROM, instant, segmentOf(after + 1), segmentOf(upTo));
    const [segment] = segmentRows.parse(rows);
    const lines = segment === undefined ? [] : await unpackSegment(segment.events);
    return lines
      .map(parseStoredLine)
      .findLast(({ position, recordedAt }) => position > after && position <= upTo && recordedAt <= instant)?.position;
  }
}
