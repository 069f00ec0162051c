import { z } from 'zod';
import { isColumnText } from '../../platform/column-values.ts';
import type { SqlClient } from '../../platform/database.ts';
import { ArchivedEvents } from '../archive/archived-events.ts';
import { column } from '../projections/read-table.ts';
import type { EventRow } from './event-row.ts';
import { OWN_EVENTS, type PositionRange, type Way } from './event-ways.ts';

/** Events that are looked through at a time. */
const PAGE = 1_000;

const ownRows = z.array(z.object({ first: column.safeInt(), number: z.number() }));

/** A way on which each event can be named. */
type WayToSome = Exclude<Way, { readonly kind: 'log' }>;

/** What is looked for along a way. */
export interface ArchivedSearch {
  readonly range: PositionRange;
  /** Newest first. */
  readonly inverted: boolean;
  readonly limit: number;
  readonly types: readonly string[] | undefined;
  wants(event: EventRow): boolean;
}

/**
 * The same ways as into `events`, into the archive: through all of it by segments, and else by the positions of a stream's
 * events, of a command's, or of those that one request brought about.
 */
export class ArchivedWays {
  readonly #client: SqlClient;
  readonly #archive: ArchivedEvents;

  constructor(client: SqlClient) {
    this.#client = client;
    this.#archive = new ArchivedEvents(client);
  }

  async find(eventId: string): Promise<EventRow | undefined> {
    const position = await this.#archive.positionOf(eventId);
    return position === undefined ? undefined : (await this.#archive.at([position]))[0];
  }

  /** Whether anything is there at all. */
  async hasAny(way: Way, range: PositionRange, types: readonly string[] | undefined): Promise<boolean> {
    if (way.kind === 'log') return this.#archive.hasAny({ ...stretchOf(range), types: types?.filter(isColumnText) });
    return (await this.#positionsOn(way, range)).length > 0;
  }

  /** The last position of the slice of so many events that a range begins with; undefined where all of it is one slice. */
  async endOfSlice(way: WayToSome, range: PositionRange, inverted: boolean, size: number): Promise<number | undefined> {
    const positions = await this.#positionsOn(way, range);
    return inverted ? positions.at(-size) : positions[size - 1];
  }

  /** The first events on a way that are wanted, in order. */
  async read(way: Way, search: ArchivedSearch): Promise<EventRow[]> {
    const found: EventRow[] = [];
    for await (const events of this.#pages(way, search)) {
      found.push(...events.filter((event) => search.wants(event)));
      if (found.length >= search.limit) return found.slice(0, search.limit);
    }
    return found;
  }

  async *#pages(way: Way, { range, inverted, types }: ArchivedSearch): AsyncGenerator<EventRow[]> {
    if (way.kind === 'log') {
      yield* this.#archive.rows({ ...stretchOf(range), inverted, types: types?.filter(isColumnText) });
      return;
    }
    const positions = await this.#positionsOn(way, range);
    if (inverted) positions.reverse();
    for (let from = 0; from < positions.length; from += PAGE) {
      const events = await this.#archive.at(positions.slice(from, from + PAGE));
      yield inverted ? events.reverse() : events;
    }
  }

  /** In order. */
  async #positionsOn(way: WayToSome, { after, before }: PositionRange): Promise<number[]> {
    switch (way.kind) {
      case 'streams': {
        const streams = await this.#archive.positionsOf(way.ids);
        const all = [...streams.values()].flat().filter((position) => position > after && position < before);
        return all.sort((a, b) => a - b);
      }
      case 'own': {
        const [own] = ownRows.parse(await this.#client.query(OWN_EVENTS, way.correlationId));
        if (own === undefined) return [];
        const [first, end] = [Math.max(own.first, after + 1), Math.min(own.first + own.number, before)];
        return Array.from({ length: Math.max(0, end - first) }, (_, at) => first + at);
      }
      case 'caused':
        return this.#archive.positionsCausedBy(way.correlationId, after, before);
      default:
        return way satisfies never;
    }
  }
}

function stretchOf({ after, before }: PositionRange) {
  return { after, upTo: before - 1 };
}
