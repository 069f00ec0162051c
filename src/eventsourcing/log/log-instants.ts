import { z } from 'zod';
import { withinYears } from '../../platform/column-values.ts';
import type { SqlClient } from '../../platform/database.ts';
import { ArchivedEvents } from '../archive/archived-events.ts';
import { column } from '../projections/read-table.ts';

/** `positions_around` looks for it by key: see the migration. */
const AROUND = 'SELECT before, after FROM positions_around($1::timestamptz)';
const aroundRow = z.tuple([z.object({ before: column.safeInt(), after: column.safeInt().nullable() })]);

/**
 * The last position that was given at an instant or before. `recordedAt` never decreases as positions grow, so the events
 * up to it are all that had happened by then.
 * @returns 0 before the first event; the newest position for an instant in the future
 */
export async function positionAt(client: Pick<SqlClient, 'query'>, at: Date): Promise<number> {
  const instant = withinYears(at);
  const [{ before, after }] = aroundRow.parse(await client.query(AROUND, instant));
  // What lies between two events that are not archived is.
  if (after === null || after === before + 1) return before;
  return (await new ArchivedEvents(client).lastAt(instant, { after: before, upTo: after - 1 })) ?? before;
}
