import { isColumnText, isUuid } from '../../platform/column-values.ts';
import type { Conditions } from '../../platform/keyset.ts';
import { type EventFilter, streamsOf } from './event-filter.ts';

/** Positions between two others. */
export interface PositionRange {
  readonly after: number;
  /** `NO_END` for all that there is. */
  readonly before: number;
}

/** Behind every position. */
export const NO_END = Number.MAX_SAFE_INTEGER;
const LAST_VERSION = 2 ** 31 - 1;

/**
 * A way into `events` through an index, in order of position: the whole log; some streams; what one request brought about,
 * which is the events of the command that its id was taken from, and those that carry another command's id.
 */
export type Way =
  | { readonly kind: 'log' }
  | { readonly kind: 'streams'; readonly ids: readonly string[] }
  | { readonly kind: 'own'; readonly correlationId: string }
  | { readonly kind: 'caused'; readonly correlationId: string };

/** How the events of a filter are found. */
export interface Search {
  /** Each event is on one of them; none where nothing can be what is wanted. */
  readonly ways: readonly Way[];
  /** Whether events on the way may be none that are wanted: then they are looked through slice by slice. */
  readonly isSifting: boolean;
  /** Adds what an event on the way must be. */
  sift(conditions: Conditions): void;
}

/** @param aggregateTypes those that the engine knows */
export function searchFor(filter: EventFilter, aggregateTypes: ReadonlySet<string>): Search {
  const { aggregateType, types, actorId, correlationId } = filter;
  const texts = [aggregateType, filter.aggregateId, filter.streamId, actorId];
  const isPossible =
    texts.every((it) => it === undefined || isColumnText(it)) &&
    (types === undefined || types.some(isColumnText)) &&
    (correlationId === undefined || isUuid(correlationId));
  const streams = streamsOf(filter, aggregateTypes);
  // What began with one request is little, however long the streams are that it touched.
  const isByStream = streams !== undefined && correlationId === undefined;
  const wanted: ((conditions: Conditions) => void)[] = [];
  if (aggregateType !== undefined && (!isByStream || filter.streamId !== undefined))
    wanted.push((it) => it.add((at) => `aggregate_type = ${at}::text`, aggregateType));
  if (streams !== undefined && !isByStream)
    wanted.push((it) => it.add((at) => `stream_id = ANY (${at}::text[])`, streams));
  if (types !== undefined)
    wanted.push((it) => it.add((at) => `type = ANY (${at}::text[])`, types.filter(isColumnText)));
  if (actorId !== undefined) wanted.push((it) => it.add((at) => `actor_id = ${at}::text`, actorId));
  return {
    ways: isPossible ? waysTo(correlationId, streams) : [],
    isSifting: wanted.length > 0,
    sift: (conditions) => {
      for (const add of wanted) add(conditions);
    },
  };
}

function waysTo(correlationId: string | undefined, streams: readonly string[] | undefined): Way[] {
  if (correlationId !== undefined)
    return [
      { kind: 'own', correlationId },
      { kind: 'caused', correlationId },
    ];
  return [streams === undefined ? { kind: 'log' } : { kind: 'streams', ids: streams }];
}

/** Where the events of a command are that began what has its id for a correlation; the command may be archived. */
export const OWN_EVENTS = ownEvents('$1');

function ownEvents(id: string): string {
  const own = `command_id = ${id}::uuid AND correlation_id = ${id}::uuid AND event_count > 0`;
  return `SELECT first_position AS first, event_count AS number FROM commands WHERE ${own}
    UNION ALL SELECT first_position, event_count FROM archived_commands WHERE ${own}`;
}

/**
 * Adds what leads along a way.
 * @returns the lanes, one row each, that events are looked for in; and the column that is in order of position in a lane
 */
export function clausesOf(way: Way, { after, before }: PositionRange, conditions: Conditions) {
  if (way.kind === 'streams') {
    conditions.add(() => 'stream_id = lane.id');
    if (after > 0) conditions.add((at) => `version > stream_version_at(lane.id, ${at}::bigint)`, after);
    // An upper bound says to the planner that few are wanted: of a stream that is most of the log, it would read all of it.
    if (before === NO_END) conditions.add(() => `version <= ${LAST_VERSION}`);
    else conditions.add((at) => `version <= stream_version_at(lane.id, ${at}::bigint)`, before - 1);
    return { lanes: `unnest(${conditions.placeholder(way.ids)}::text[]) AS lane(id)`, order: 'version' };
  }
  if (after > 0) conditions.add((at) => `position > ${at}::bigint`, after);
  if (before !== NO_END) conditions.add((at) => `position < ${at}::bigint`, before);
  switch (way.kind) {
    case 'log':
      return { lanes: '(SELECT 1) AS lane', order: 'position' };
    case 'own': {
      const id = conditions.placeholder(way.correlationId);
      conditions.add(() => 'position >= lane.first AND position < lane.first + lane.number');
      return { lanes: `(${ownEvents(id)}) AS lane`, order: 'position' };
    }
    case 'caused':
      conditions.add((at) => `correlation_id = ${at}::uuid AND correlation_id <> command_id`, way.correlationId);
      return { lanes: '(SELECT 1) AS lane', order: 'position' };
    default:
      return way satisfies never;
  }
}
