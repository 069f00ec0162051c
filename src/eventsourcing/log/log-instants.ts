import { z } from 'zod';
import { withinYears } from '../../platform/column-values.ts';
import type { SqlClient } from '../../platform/database.ts';
import { column } from '../projections/read-table.ts';

/** `position_at` looks for it by key: see the migration. */
const POSITION_AT = 'SELECT position_at($1::timestamptz) AS position';
const positionRow = z.tuple([z.object({ position: column.safeInt() })]);

/**
 * The last position that was given at an instant or before. `recordedAt` never decreases as positions grow, so the events
 * up to it are all that had happened by then.
 * @returns 0 before the first event; the newest position for an instant in the future
 */
export async function positionAt(client: SqlClient, at: Date): Promise<number> {
  const [{ position }] = positionRow.parse(await client.query(POSITION_AT, withinYears(at)));
  return position;
}
