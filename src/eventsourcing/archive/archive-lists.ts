import { z } from 'zod';
import type { SqlClient } from '../../platform/database.ts';
import { isDatabaseAway } from '../../platform/failures.ts';
import { failureText } from '../failure-text.ts';
import { type EventRow, parseStoredLine } from '../log/event-row.ts';
import { column } from '../projections/read-table.ts';
import type { Stretch } from './archived-events.ts';
import { SEGMENT_SIZE, segmentOf, unpackSegment } from './segment.ts';

const BEGINNING_IN = `SELECT number, CASE WHEN isfinite(recorded_from) THEN recorded_from END AS "recordedFrom", count, types, events
  FROM archive_segments
  WHERE number >= $1::bigint AND number <= $2::bigint ORDER BY number`;
const LISTED = `SELECT it.id, listed.position, listed.correlation_id AS "correlationId"
  FROM unnest($1::uuid[]) AS it(id) JOIN archived_events AS listed ON listed.event_id = it.id`;
const PLACED = `SELECT stream_id AS "streamId", aggregate_type AS "aggregateType", positions[it.first:it.last] AS positions
  FROM jsonb_to_recordset($1::jsonb) AS it(stream text, first int, last int) JOIN archived_streams ON stream_id = it.stream`;
// Read after the segment: what is moved is in one of the two places then, and never behind the end of the log.
const FORGED = `SELECT position, 'beside it in the log' AS place FROM events WHERE position = ANY ($1::bigint[])
  UNION SELECT it.position, 'behind the end of the log' FROM unnest($1::bigint[]) AS it(position)
  WHERE it.position > (SELECT position FROM log_head WHERE id = 1) ORDER BY position`;
// In one statement: so that what is archived just now counts in all of them, or in none.
const COUNTS = `SELECT
    (SELECT coalesce(sum(count), 0) FROM archive_segments) AS events,
    (SELECT count(*) FROM archived_events) AS listed,
    (SELECT coalesce(sum(cardinality(positions)), 0) FROM archived_streams) AS placed,
    ARRAY(
      SELECT number::text FROM archive_segments WHERE number < 0 OR number > (position - 1) / ${SEGMENT_SIZE}
      ORDER BY number LIMIT 3
    ) AS beyond, least(position, ${Number.MAX_SAFE_INTEGER}) AS "end"
  FROM log_head WHERE id = 1`;

const forgedRows = z.array(z.object({ position: column.safeInt(), place: z.string() }));
const segmentRows = z.array(
  z.object({
    number: column.safeInt(),
    recordedFrom: column.instant().nullable(),
    count: z.number(),
    types: z.array(z.string()).nullable(),
    events: z.instanceof(Uint8Array),
  }),
);
const listedRows = z.array(
  z.object({ id: z.string(), position: column.safeInt(), correlationId: z.string().nullable() }),
);
const placedRows = z.array(
  z.object({ streamId: z.string(), aggregateType: z.string(), positions: z.array(column.safeInt()).nullable() }),
);
const counts = z.tuple([
  z.object({
    events: column.safeInt(),
    listed: column.safeInt(),
    placed: column.safeInt(),
    beyond: z.array(z.string()),
    end: column.safeInt(),
  }),
]);

type Segment = z.output<typeof segmentRows>[number];

/** Something in the archive that does not lead to an archived event, or leads to one that is none. */
export interface WrongList {
  /** Of the event. */
  readonly position: number;
  /** For people: what is wrong, as a sentence. */
  readonly message: string;
}

/**
 * What archived events are found by: the columns of their segments, and the lists of events and of streams. All of it can be
 * told from the events themselves. Where it says something else, somebody changed it: a reader of a stream, or a rebuild,
 * would pass over events that are there.
 */
export class ArchiveLists {
  readonly #client: Pick<SqlClient, 'query'>;

  constructor(client: Pick<SqlClient, 'query'>) {
    this.#client = client;
  }

  /** What is wrong of the segments that begin in a stretch of the log. What is archived meanwhile is looked at or not. */
  async wrongIn({ after, upTo }: Pick<Stretch, 'after' | 'upTo'>): Promise<WrongList[]> {
    const wrong: WrongList[] = [];
    try {
      const first = Math.ceil(after / SEGMENT_SIZE);
      const segments = segmentRows.parse(await this.#client.query(BEGINNING_IN, first, segmentOf(upTo)));
      for (const segment of segments) {
        const events = (await unpackSegment(segment.events)).map(parseStoredLine);
        wrong.push(...(await this.#forged(events)), ...wrongColumns(segment, events));
        wrong.push(...(await this.#wrongPlaces(events)));
      }
    } catch (error) {
      if (isDatabaseAway(error)) throw error;
      const why = failureText(error).error;
      const message = `What the events archived between ${after + 1} and ${upTo} are found by cannot be read (${why}): it was changed.`;
      wrong.push({ position: after + 1, message });
    }
    return wrong;
  }

  /** What the lists name beside the events that are archived. */
  async surplus(): Promise<WrongList[]> {
    const [{ events, listed, placed, beyond, end }] = counts.parse(await this.#client.query(COUNTS));
    const wrong: WrongList[] = beyond.map((number) => ({
      position: end,
      message: `The archive has a segment ${number}, which is not between the first and the last of the log: nobody archived it.`,
    }));
    const say = (table: string, count: number) => {
      if (count === events) return;
      const message = `${table} names ${count} events, and ${events} are archived.`;
      wrong.push({ position: end, message });
    };
    say('archived_events', listed);
    say('archived_streams', placed);
    return wrong;
  }

  /** What cannot be, for an event is at one place only. */
  async #forged(events: readonly EventRow[]): Promise<WrongList[]> {
    const positions = events.map(({ position }) => position);
    const rows = forgedRows.parse(await this.#client.query(FORGED, positions));
    return rows.map(({ position, place }) => ({
      position,
      message: `Event ${position} is in the archive, and ${place}: somebody put it there.`,
    }));
  }

  async #wrongPlaces(events: readonly EventRow[]): Promise<WrongList[]> {
    const ids = events.map(({ eventId }) => eventId);
    const listed = new Map(listedRows.parse(await this.#client.query(LISTED, ids)).map((row) => [row.id, row]));
    const versions = new Map<string, { first: number; last: number }>();
    for (const { streamId, version } of events) {
      const { first, last } = versions.get(streamId) ?? { first: version, last: version };
      versions.set(streamId, { first: Math.min(first, version), last: Math.max(last, version) });
    }
    const asked = JSON.stringify([...versions].map(([stream, its]) => ({ stream, ...its })));
    const placed = new Map(placedRows.parse(await this.#client.query(PLACED, asked)).map((row) => [row.streamId, row]));
    return events.flatMap((event) => {
      const { position, eventId, streamId, aggregateType, version, correlationId, commandId } = event;
      const named = listed.get(eventId);
      const place = placed.get(streamId);
      const cause = commandId === null || correlationId === commandId ? null : correlationId;
      const isListed = named?.position === position && named.correlationId === cause;
      const isPlaced =
        place?.aggregateType === aggregateType &&
        place.positions?.[version - (versions.get(streamId)?.first ?? 1)] === position;
      const where = [...(isListed ? [] : ['archived_events']), ...(isPlaced ? [] : ['archived_streams'])];
      if (where.length === 0) return [];
      const message = `Event ${position} (${streamId} version ${version}) is archived, and ${where.join(' and ')} does not say where: who looks for it by that does not find it.`;
      return [{ position, message }];
    });
  }
}

function wrongColumns({ number, recordedFrom, count, types }: Segment, events: readonly EventRow[]): WrongList[] {
  const has = new Set(events.map(({ type }) => type));
  const position = number * SEGMENT_SIZE + 1;
  const wrong = [
    ...(events.every((it) => segmentOf(it.position) === number) ? [] : ['some belong elsewhere']),
    ...(events.length === count ? [] : [`there are ${events.length}, not ${count}`]),
    ...(types?.length === has.size && types.every((type) => has.has(type)) ? [] : ['their types are other ones']),
    ...(recordedFrom?.getTime() === events[0]?.recordedAt.getTime() ? [] : ['the first was recorded at another time']),
  ];
  return wrong.map((what) => ({
    position,
    message: `What the events archived from ${position} on are found by was changed: ${what}.`,
  }));
}
