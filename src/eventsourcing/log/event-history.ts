import { z } from 'zod';
import { isUuid } from '../../platform/column-values.ts';
import type { SqlClient } from '../../platform/database.ts';
import { Conditions, type KeysetPage } from '../../platform/keyset.ts';
import { column } from '../projections/read-table.ts';
import { ArchivedWays } from './archived-ways.ts';
import type { RecordedEvent } from './event.ts';
import { type EventFilter, passes } from './event-filter.ts';
import type { EventLog } from './event-log.ts';
import { EVENT_COLUMNS, type EventRow, inOrderOfPosition, parseEventRows } from './event-row.ts';
import { clausesOf, NO_END, type PositionRange, type Search, searchFor, type Way } from './event-ways.ts';

/** Where an event lies in the list of all: its position. */
export type EventKey = readonly [position: number];

/** A page of events, in the order that it was asked for. */
export interface FoundEvents {
  readonly events: readonly RecordedEvent[];
  /** So far was looked, and no further, though the page is not full: go on from here. Undefined where there is no more. */
  readonly stoppedAt: number | undefined;
}

export interface EventHistoryParts {
  readonly client: SqlClient;
  readonly log: EventLog;
  /** Those whose events the engine knows, processes among them. */
  readonly aggregateTypes: ReadonlySet<string>;
  /** How many events are looked through in one statement: it holds up nobody for long. */
  readonly sliceSize?: number;
  /** How many such slices a page is looked for in. */
  readonly maxSlices?: number;
}

const SLICE_SIZE = 20_000;
const MAX_SLICES = 10;

/**
 * Reads the log by what its events are: forward and backward, page by page, each from where its cursor is.
 *
 * The whole log, streams, and what began with one request are read along an index, and cost what they return. Types and
 * actors have none, for every append would pay for it: events are looked through for them, a slice of the log at a time
 * and so many slices for a page. A page that comes to its end before it is full says how far it has come.
 */
export class EventHistory {
  readonly #parts: Required<EventHistoryParts>;
  readonly #archive: ArchivedWays;

  constructor(parts: EventHistoryParts) {
    this.#parts = { sliceSize: SLICE_SIZE, maxSlices: MAX_SLICES, ...parts };
    this.#archive = new ArchivedWays(parts.client);
  }

  async find(eventId: string): Promise<RecordedEvent | undefined> {
    if (!isUuid(eventId)) return undefined;
    const { client, log } = this.#parts;
    const sql = `SELECT ${EVENT_COLUMNS} FROM events WHERE event_id = $1::uuid`;
    const [row = await this.#archive.find(eventId)] = parseEventRows(await client.query(sql, eventId));
    return row && (await log.open([row]))[0];
  }

  /** Whether an event is one that the filter wants. */
  passes(event: RecordedEvent, filter: EventFilter): boolean {
    return passes(event, filter, this.#parts.aggregateTypes);
  }

  /** A page, oldest first; newest first where it is inverted. */
  async page(filter: EventFilter, { after, before, limit, inverted }: KeysetPage<EventKey>): Promise<FoundEvents> {
    const search = searchFor(filter, this.#parts.aggregateTypes);
    const within = { after: after?.[0] ?? 0, before: before?.[0] ?? NO_END };
    const range = await this.#rangeOf(filter, within);
    const found = await Promise.all(
      search.ways.map((way) => this.#along({ way, search, filter, inverted }, range, limit)),
    );
    const { rows, stoppedAt } = together(found, limit, inverted);
    return { events: await this.#parts.log.open(rows), stoppedAt };
  }

  /** How many there are. @returns null beyond a limit, or where it would take looking through too much */
  async count(filter: EventFilter, limit: number): Promise<number | null> {
    const search = searchFor(filter, this.#parts.aggregateTypes);
    const range = await this.#rangeOf(filter, { after: 0, before: NO_END });
    const counts = await Promise.all(
      search.ways.map((way) => this.#countAlong({ way, search, filter, inverted: false }, range, limit)),
    );
    if (counts.includes(null)) return null;
    const sum = counts.reduce<number>((all, count) => all + (count ?? 0), 0);
    return sum > limit ? null : sum;
  }

  /** The positions that can be meant at all: none that is given meanwhile, so that all ways end at the same. */
  async #rangeOf({ from, to }: EventFilter, within: PositionRange): Promise<PositionRange> {
    const { log } = this.#parts;
    const [{ position: head }, first, last] = await Promise.all([
      log.head(),
      from && log.positionAt(justBefore(from)),
      to && log.positionAt(justBefore(to)),
    ]);
    return {
      after: Math.max(within.after, first ?? 0),
      before: Math.min(within.before, (last ?? head) + 1),
    };
  }

  async #along(look: Look, range: PositionRange, limit: number): Promise<FoundRows> {
    const rows: EventRow[] = [];
    const stoppedAt = await this.#slices(look, range, async (slice) => {
      rows.push(...(await this.#read(look, slice, limit - rows.length)));
      return rows.length >= limit;
    });
    return { rows, stoppedAt };
  }

  async #countAlong(look: Look, range: PositionRange, limit: number): Promise<number | null> {
    let count = 0;
    const stoppedAt = await this.#slices(look, range, async (slice) => {
      count += await this.#countIn(look, slice, limit + 1 - count);
      return count > limit;
    });
    return stoppedAt === undefined ? count : null;
  }

  /**
   * Goes through a range, slice by slice where it has to be looked through, until there is enough or it was too much.
   * @param through says whether that is enough
   * @returns how far it came, where there may be more
   */
  async #slices(
    { way, search, inverted }: Look,
    range: PositionRange,
    through: (slice: PositionRange) => Promise<boolean>,
  ): Promise<number | undefined> {
    let rest = range;
    for (let slices = 1; rest.after + 1 < rest.before; slices += 1) {
      const end = search.isSifting ? await this.#endOfSlice(way, rest, inverted) : undefined;
      if (end === undefined) {
        await through(rest);
        return undefined;
      }
      const isEnough = await through(inverted ? { ...rest, after: end - 1 } : { ...rest, before: end + 1 });
      if (isEnough) return undefined;
      if (slices >= this.#parts.maxSlices) return end;
      rest = inverted ? { ...rest, before: end } : { ...rest, after: end };
    }
    return undefined;
  }

  /** The last position of the slice that a range begins with; undefined where all of it is one slice. */
  async #endOfSlice(way: Way, range: PositionRange, inverted: boolean): Promise<number | undefined> {
    const { client, sliceSize } = this.#parts;
    if (way.kind === 'log') {
      const end = inverted ? range.before - sliceSize : range.after + sliceSize;
      return (inverted ? end > range.after + 1 : end < range.before - 1) ? end : undefined;
    }
    const conditions = new Conditions();
    const { lanes, order } = clausesOf(way, range, conditions);
    const size = conditions.placeholder(sliceSize);
    const [first, last, direction] = inverted ? ['max', 'min', 'DESC'] : ['min', 'max', 'ASC'];
    const sql = `SELECT ${first}(found.last) FILTER (WHERE found.number = ${size}::int) AS end
      FROM ${lanes} CROSS JOIN LATERAL (
        SELECT ${last}(position) AS last, count(*) AS number FROM (
          SELECT position FROM events ${conditions.where()} ORDER BY ${order} ${direction} LIMIT ${size}::int
        ) AS looked_through
      ) AS found`;
    const end = endOfSlice.parse(await client.query(sql, ...conditions.parameters))[0].end ?? undefined;
    const archived = await this.#archive.endOfSlice(way, range, inverted, sliceSize);
    if (end === undefined || archived === undefined) return end ?? archived;
    return inverted ? Math.max(end, archived) : Math.min(end, archived);
  }

  /** First what is not archived, then what is: so what is moved meanwhile is seen twice, and counted once. */
  async #read(look: Look, range: PositionRange, limit: number): Promise<EventRow[]> {
    const rows = await this.#readHot(look, range, limit);
    const { way, search, filter, inverted } = look;
    const isAll = way.kind === 'log' && !search.isSifting;
    const page = isAll ? firstOf(range, limit, inverted) : range;
    if (isAll && rows.filter(({ position }) => isWithin(position, page)).length === page.before - page.after - 1)
      return rows;
    const archived = await this.#archive.read(way, {
      range: isAll ? page : within(range, rows, limit, inverted),
      inverted,
      limit,
      types: filter.types,
      wants: (event) => this.passes(event, filter),
    });
    if (archived.length === 0) return rows;
    const all = inOrderOfPosition([...rows, ...archived]);
    return (inverted ? all.reverse() : all).slice(0, limit);
  }

  async #readHot({ way, search, inverted }: Look, range: PositionRange, limit: number): Promise<EventRow[]> {
    const conditions = new Conditions();
    // Without statistics, two bounds would make the planner believe that there is next to nothing between them, to be
    // sorted when it is found: where all that is found is wanted, the end is seen here.
    const isOpen = !search.isSifting && !inverted;
    const { lanes, order } = clausesOf(way, isOpen ? { ...range, before: NO_END } : range, conditions);
    search.sift(conditions);
    const direction = inverted ? 'DESC' : 'ASC';
    const atMost = `LIMIT ${conditions.placeholder(limit)}::int`;
    const sql = `SELECT found.* FROM ${lanes} CROSS JOIN LATERAL (
        SELECT ${EVENT_COLUMNS} FROM events ${conditions.where()} ORDER BY ${order} ${direction} ${atMost}
      ) AS found ORDER BY found.position ${direction} ${atMost}`;
    const rows = parseEventRows(await this.#parts.client.query(sql, ...conditions.parameters));
    return isOpen ? rows.filter(({ position }) => position < range.before) : rows;
  }

  async #countIn(look: Look, range: PositionRange, atMost: number): Promise<number> {
    const { way, search, filter } = look;
    // The log has no gaps.
    if (way.kind === 'log' && !search.isSifting) return Math.min(range.before - range.after - 1, atMost);
    const conditions = new Conditions();
    const { lanes } = clausesOf(way, range, conditions);
    search.sift(conditions);
    const limit = `LIMIT ${conditions.placeholder(atMost)}::int`;
    const sql = `SELECT count(*)::int AS count FROM (
      SELECT 1 FROM ${lanes} CROSS JOIN LATERAL (SELECT 1 FROM events ${conditions.where()} ${limit}) AS found ${limit}
    ) AS counted`;
    const [{ count }] = counted.parse(await this.#parts.client.query(sql, ...conditions.parameters));
    if (count >= atMost || !(await this.#archive.hasAny(way, range, filter.types))) return count;
    return (await this.#read(look, range, atMost)).length;
  }
}

/** What is looked for, and where. */
interface Look {
  readonly way: Way;
  readonly search: Search;
  readonly filter: EventFilter;
  readonly inverted: boolean;
}

interface FoundRows {
  readonly rows: readonly EventRow[];
  readonly stoppedAt: number | undefined;
}

/** So many positions that a range begins with: where all of them are wanted, that is the page, for they have no gaps. */
function firstOf({ after, before }: PositionRange, limit: number, inverted: boolean): PositionRange {
  if (inverted) return { after: Math.max(after, before - limit - 1), before };
  return { after, before: Math.min(before, after + limit + 1) };
}

function isWithin(position: number, { after, before }: PositionRange): boolean {
  return position > after && position < before;
}

/** Where archived events are still of interest: of a full page, up to its end. */
function within(range: PositionRange, rows: readonly EventRow[], limit: number, inverted: boolean): PositionRange {
  const last = rows.length < limit ? undefined : rows.at(-1)?.position;
  if (last === undefined) return range;
  return inverted ? { ...range, after: last } : { ...range, before: last };
}

const counted = z.tuple([z.object({ count: z.number() })]);
const endOfSlice = z.tuple([z.object({ end: column.safeInt().nullable() })]);

/** Instants are stored in milliseconds. */
function justBefore(instant: Date): Date {
  return new Date(instant.getTime() - 1);
}

/** What was found along several ways, as one page: only as far as all of them were looked through. */
function together(found: readonly FoundRows[], limit: number, inverted: boolean): FoundRows {
  const sign = inverted ? -1 : 1;
  const stops = found.flatMap(({ stoppedAt }) => stoppedAt ?? []).sort((a, b) => sign * (a - b));
  const [stoppedAt] = stops;
  const rows = found
    .flatMap((it) => it.rows)
    .filter(({ position }) => stoppedAt === undefined || sign * (position - stoppedAt) <= 0)
    .sort((a, b) => sign * (a.position - b.position))
    .slice(0, limit);
  return { rows, stoppedAt: rows.length < limit ? stoppedAt : undefined };
}
