import { z } from 'zod';
import { ACTOR_KINDS } from '../actor.ts';
import { column } from '../projections/read-table.ts';
import type { RecordedEvent } from './event.ts';

/** What a query must select of `events` for `parseEventRows`. */
export const EVENT_COLUMNS = `position, event_id AS "eventId", stream_id AS "streamId", aggregate_type AS "aggregateType",
  aggregate_id AS "aggregateId", version, type, schema_version AS "schemaVersion", data, actor_kind AS "actorKind",
  actor_id AS "actorId", command_id AS "commandId", correlation_id AS "correlationId", causation_id AS "causationId",
  recorded_at AS "recordedAt"`;

/** An event as it is stored: nothing of it is opened or upcast yet. */
export type EventRow = Omit<RecordedEvent, 'unreadable'>;

const columns = z.object({
  position: column.safeInt(),
  eventId: z.string(),
  streamId: z.string(),
  aggregateType: z.string(),
  aggregateId: z.string(),
  version: z.number(),
  type: z.string(),
  schemaVersion: z.number(),
  data: z.unknown(),
  commandId: z.string().nullable(),
  correlationId: z.string(),
  causationId: z.string().nullable(),
  recordedAt: z.date(),
});
const eventRow = columns
  .extend({ actorKind: z.enum(ACTOR_KINDS), actorId: z.string().nullable() })
  .transform(({ actorKind, actorId, ...event }): EventRow => ({ ...event, actor: { kind: actorKind, id: actorId } }));
const storedEvent = columns.extend({ actor: z.object({ kind: z.enum(ACTOR_KINDS), id: z.string().nullable() }) });

/** The rows of any query that selects `EVENT_COLUMNS`. */
export function parseEventRows(rows: readonly unknown[]): EventRow[] {
  return rows.map((row) => eventRow.parse(row));
}

/** An event from what `STORED_JSON` made of it. Rebuilds read whole logs through this: so each member is taken by its place. */
export function parseStoredJson(json: unknown): EventRow {
  if (!Array.isArray(json)) throw new Error('What is stored of an event is no list of its columns.');
  const it: readonly unknown[] = json;
  return storedEvent.parse({
    position: it[0],
    eventId: it[1],
    streamId: it[2],
    aggregateType: it[3],
    aggregateId: it[4],
    version: it[5],
    type: it[6],
    schemaVersion: it[7],
    data: it[8],
    actor: { kind: it[9], id: it[10] },
    commandId: it[11],
    correlationId: it[12],
    causationId: it[13],
    recordedAt: new Date(Number(it[14])),
  });
}

/** An event from its line, as `STORED_LINE` makes it. */
export function parseStoredLine(line: string): EventRow {
  return parseStoredJson(JSON.parse(line));
}

/** The position that a line begins with. */
export function positionOfLine(line: string): number {
  return Number(line.slice(1, line.indexOf(',')));
}

/**
 * The same rows, each position once, in order. What is moved while it is read is seen twice, and is the same; where it is
 * not, somebody forged one of the two, and the first that is given is taken.
 */
export function inOrderOfPosition(rows: readonly EventRow[]): EventRow[] {
  const each = new Map(rows.toReversed().map((row) => [row.position, row]));
  return [...each.values()].sort((a, b) => a.position - b.position);
}
