import { z } from 'zod';
import type { SqlClient } from '../../platform/database.ts';
import { ArchivedEvents } from '../archive/archived-events.ts';
import { column } from '../projections/read-table.ts';
import { EVENT_COLUMNS, type EventRow, inOrderOfPosition, parseEventRows } from './event-row.ts';
import { skipFrom } from './next-position.ts';

// The newest event of all is never archived: seen in the same statement, it tells whether there is more.
const READ_AFTER = `SELECT newest.newest, found.* FROM (SELECT coalesce(max(position), 0) AS newest FROM events) AS newest
  LEFT JOIN LATERAL (
    SELECT ${EVENT_COLUMNS} FROM events WHERE position > $1 AND position <= $2 ORDER BY position
  ) AS found ON true`;
const READ_STREAMS = `SELECT ${EVENT_COLUMNS} FROM events WHERE stream_id = ANY ($1::text[]) AND version > $2 ORDER BY stream_id, version LIMIT $3`;
// The upper bound says to the planner that few are wanted: of a stream that is most of the log, it would read all of it.
const READ_STREAMS_AFTER = `SELECT newer.* FROM unnest($1::text[], $2::int[]) AS known(stream_id, version) CROSS JOIN LATERAL (
  SELECT ${EVENT_COLUMNS} FROM events
  WHERE events.stream_id = known.stream_id AND events.version > known.version AND events.version <= 2147483647
  ORDER BY events.version LIMIT $3) AS newer`;
// Newest first, so that it costs what it returns however long the stream is.
const READ_STREAM_BACK = `SELECT ${EVENT_COLUMNS} FROM events WHERE stream_id = $1 AND version < $2 ORDER BY version DESC LIMIT $3`;
const READ_VERSIONS = `SELECT ${EVENT_COLUMNS} FROM events
  WHERE stream_id = $1 AND version > $2::int AND version <= $3::int ORDER BY version`;
const READ_RANGE = `SELECT ${EVENT_COLUMNS} FROM events WHERE position >= $1 AND position < $2 ORDER BY position`;
const READ_AT = `SELECT ${EVENT_COLUMNS} FROM events WHERE position = ANY ($1::bigint[]) ORDER BY position`;
const READ_NEWEST = `SELECT newest.* FROM unnest($1::text[]) AS wanted(stream_id) CROSS JOIN LATERAL (
  SELECT ${EVENT_COLUMNS} FROM events WHERE events.stream_id = wanted.stream_id AND type = ANY ($2::text[])
  ORDER BY version DESC LIMIT 1) AS newest`;

/**
 * Reads events as they are stored: from `events`, and what is missing there from the archive. Where nothing is missing the
 * archive is not asked at all.
 */
export class EventReads {
  readonly #client: SqlClient;
  readonly #archive: ArchivedEvents;

  constructor(client: SqlClient, archive = new ArchivedEvents(client)) {
    this.#client = client;
    this.#archive = archive;
  }

  /** Events after a position, in order; fewer than are asked for only where there are no more. */
  async after(position: number, limit: number): Promise<EventRow[]> {
    const found: EventRow[] = [];
    for (let after = position; ; ) {
      const upTo = after + limit - found.length;
      const answer = await this.#client.query(READ_AFTER, after, upTo);
      const { newest, position: first } = endRow.parse(answer[0]);
      const rows = first === null ? [] : parseEventRows(answer);
      found.push(...(await this.#withArchived(rows, after, Math.min(newest, upTo))));
      if (found.length >= limit || newest <= upTo) return found;
      after = await skipFrom(this.#client, upTo);
    }
  }

  /** So many events in a row. */
  async range(firstPosition: number, count: number): Promise<EventRow[]> {
    const end = firstPosition + count;
    const rows = parseEventRows(await this.#client.query(READ_RANGE, firstPosition, end));
    return this.#withArchived(rows, firstPosition - 1, end - 1);
  }

  /** The events at these positions, in order. */
  async at(positions: readonly number[]): Promise<EventRow[]> {
    if (positions.length === 0) return [];
    const rows = parseEventRows(await this.#client.query(READ_AT, positions));
    const found = new Set(rows.map(({ position }) => position));
    const missing = positions.filter((position) => !found.has(position));
    return missing.length === 0 ? rows : inOrderOfPosition([...rows, ...(await this.#archive.at(missing))]);
  }

  /** The newest event of each stream that is of one of these types. */
  async newest(streamIds: readonly string[], types: readonly string[]): Promise<EventRow[]> {
    if (streamIds.length === 0) return [];
    const rows = parseEventRows(await this.#client.query(READ_NEWEST, streamIds, types));
    const found = new Set(rows.map(({ streamId }) => streamId));
    const missing = streamIds.filter((streamId) => !found.has(streamId));
    for (const positions of (await this.#archive.positionsOf(missing)).values()) {
      const last = await this.#lastOf(positions, types);
      if (last !== undefined) rows.push(last);
    }
    return rows;
  }

  /** Events of some streams after a version of each, stream by stream, in order; all, or the first so many. */
  async streams(streamIds: readonly string[], afterVersion: number, limit: number | null): Promise<EventRow[]> {
    if (streamIds.length === 0) return [];
    const rows = parseEventRows(await this.#client.query(READ_STREAMS, streamIds, afterVersion, limit));
    const found = byStream(rows);
    const known = new Map([...found.keys()].map((streamId) => [streamId, afterVersion]));
    const whole = await this.#withBeginnings(found, known, limit ?? Number.POSITIVE_INFINITY);
    return limit === null ? whole.flat() : whole.flat().slice(0, limit);
  }

  /** Events of some streams, each after a version of its own, in order within each; of each at most so many. */
  async streamsAfter(versions: ReadonlyMap<string, number>, limitEach: number): Promise<EventRow[]> {
    if (versions.size === 0) return [];
    const known = [[...versions.keys()], [...versions.values()]];
    const rows = parseEventRows(await this.#client.query(READ_STREAMS_AFTER, ...known, limitEach));
    const whole = await this.#withBeginnings(byStream(rows), versions, limitEach);
    return whole.flatMap((events) => events.slice(0, limitEach));
  }

  /** Events of a stream after a version, up to and with another, in order, all at once. */
  async versions(streamId: string, after: number, upTo: number): Promise<EventRow[]> {
    const rows = parseEventRows(await this.#client.query(READ_VERSIONS, streamId, after, upTo));
    if (upTo <= after || rows[0]?.version === after + 1) return rows;
    const positions = (await this.#archive.positionsOf([streamId])).get(streamId) ?? [];
    const missing = positions.slice(after, Math.min(upTo, (rows[0]?.version ?? upTo + 1) - 1));
    return [...(await this.#archive.at(missing)), ...rows];
  }

  /**
   * The events of a stream after a position, newest first.
   * @param page how many rows are read at a time
   */
  async streamSince(streamId: string, after: number, page: number): Promise<EventRow[]> {
    const found: EventRow[] = [];
    let below = 2 ** 31 - 1;
    for (;;) {
      const rows = parseEventRows(await this.#client.query(READ_STREAM_BACK, streamId, below, page));
      const newer = rows.filter(({ position }) => position > after);
      found.push(...newer);
      if (newer.length < rows.length) return found;
      if (rows.length < page) break;
      below = rows.at(-1)?.version ?? 0;
    }
    const oldest = found.at(-1)?.version ?? 1;
    if (oldest === 1) return found;
    const positions = (await this.#archive.positionsOf([streamId])).get(streamId) ?? [];
    const missing = positions.slice(0, oldest - 1).filter((position) => position > after);
    return [...found, ...(await this.#archive.at(missing)).reverse()];
  }

  /** Rows of a stretch of the log, with those of it that are archived. */
  async #withArchived(rows: EventRow[], after: number, upTo: number): Promise<EventRow[]> {
    if (rows.length >= upTo - after) return rows;
    const archived: EventRow[] = [];
    for await (const some of this.#archive.rows({ after, upTo })) archived.push(...some);
    return archived.length === 0 ? rows : inOrderOfPosition([...rows, ...archived]);
  }

  /**
   * Streams with what was read of each, and before that what of it is archived.
   * @param known the version of each that was asked from
   * @param limit more than so many of one stream are not wanted
   */
  async #withBeginnings(
    found: ReadonlyMap<string, readonly EventRow[]>,
    known: ReadonlyMap<string, number>,
    limit: number,
  ): Promise<(readonly EventRow[])[]> {
    const gaps = [...found].flatMap(([streamId, events]) => {
      const from = known.get(streamId) ?? 0;
      const first = events[0]?.version ?? 0;
      return first > from + 1 ? [{ streamId, from, to: Math.min(first - 1, from + limit) }] : [];
    });
    if (gaps.length === 0) return [...found.values()];
    const positions = await this.#archive.positionsOf(gaps.map(({ streamId }) => streamId));
    const wanted = gaps.flatMap(({ streamId, from, to }) => positions.get(streamId)?.slice(from, to) ?? []);
    const archived = byStream(await this.#archive.at(wanted));
    return [...found].map(([streamId, events]) => [...(archived.get(streamId) ?? []), ...events]);
  }

  async #lastOf(positions: readonly number[], types: readonly string[]): Promise<EventRow | undefined> {
    for (let end = positions.length; end > 0; end -= LOOKED_THROUGH) {
      const events = await this.#archive.at(positions.slice(Math.max(0, end - LOOKED_THROUGH), end));
      const last = events.findLast(({ type }) => types.includes(type));
      if (last !== undefined) return last;
    }
    return undefined;
  }
}

/** Events of a stream that are looked through at a time. */
const LOOKED_THROUGH = 200;

const endRow = z.object({ newest: column.safeInt(), position: column.safeInt().nullable() });

function byStream(rows: readonly EventRow[]): Map<string, EventRow[]> {
  const streams = new Map<string, EventRow[]>();
  for (const row of rows) {
    const events = streams.get(row.streamId);
    if (events === undefined) streams.set(row.streamId, [row]);
    else events.push(row);
  }
  return streams;
}
