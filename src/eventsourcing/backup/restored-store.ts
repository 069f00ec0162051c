import { z } from 'zod';
import { column } from '../projections/read-table.ts';
import type { Queries } from './stored-tables.ts';

// Later than the one before, whatever the clock says.
const NEW_EPOCH = `
  UPDATE log_head
  SET epoch = lpad(to_hex(greatest(
    (extract(epoch FROM clock_timestamp()) * 1000)::bigint, ('x' || lpad(epoch, 16, '0'))::bit(64)::bigint + 1
  )), 12, '0')
  WHERE id = 1 RETURNING epoch, position`;
const PAUSE = 'UPDATE store_state SET paused_at = clock_timestamp(), pause_reason = $1 WHERE id = 1';

const headRow = z.tuple([z.object({ epoch: z.string(), position: column.safeInt() })]);

/** A store begins another life: positions that clients know are of the one before, and are recognised as such. */
export async function beginEpoch(client: Queries): Promise<{ epoch: string; position: number }> {
  return headRow.parse(await client.query(NEW_EPOCH))[0];
}

/** From now on nothing that is queued is run. */
export async function pause(client: Queries, reason: string): Promise<void> {
  await client.query(PAUSE, reason);
}
