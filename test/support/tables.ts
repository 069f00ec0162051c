import type { RecordedEvent } from '../../src/eventsourcing/log/event.ts';
import type { EventLog } from '../../src/eventsourcing/log/event-log.ts';
import type { ProjectedRow, Projection } from '../../src/eventsourcing/projections/projection.ts';
import { readWholeLog } from './tally-engine.ts';

/** The rows that a projection must have after these events, by key: the log is the truth, folded in one go. */
export function foldEvents<Row extends ProjectedRow>(
  projection: Projection<Row>,
  events: readonly RecordedEvent[],
): Map<string, Row> {
  const rows = new Map<string, Row>();
  for (const event of events) {
    if (!projection.eventTypes.includes(event.type)) continue;
    const key = projection.keyOf(event);
    const row = projection.evolveRow(rows.get(key), event);
    if (row !== undefined) rows.set(key, row);
  }
  return rows;
}

export async function foldLog<Row extends ProjectedRow>(
  projection: Projection<Row>,
  log: EventLog,
): Promise<Map<string, Row>> {
  return foldEvents(projection, await readWholeLog(log));
}

/** Rows by their key, to compare with a fold. */
export function byKey<Row extends ProjectedRow>(projection: Projection<Row>, rows: readonly Row[]): Map<string, Row> {
  const keyOf = (row: Row) => String(Object.entries(row).find(([member]) => member === projection.table.key)?.[1]);
  return new Map(rows.map((row) => [keyOf(row), row]));
}
