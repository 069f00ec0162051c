import { z } from 'zod';
import type { SqlClient } from '../../platform/database.ts';
import { SEGMENT_SIZE, segmentOf } from '../archive/segment.ts';
import { column } from '../projections/read-table.ts';

const NEXT = `SELECT least(
    (SELECT position FROM events WHERE position > $1::bigint ORDER BY position LIMIT 1),
    (SELECT number * ${SEGMENT_SIZE} + 1 FROM archive_segments WHERE number >= $2::bigint ORDER BY number LIMIT 1),
    ${Number.MAX_SAFE_INTEGER}
  ) AS next`;
const nextRow = z.tuple([z.object({ next: column.safeInt() })]);

/**
 * After which position to read on, where nothing was found up to one. Somebody may have put an event far behind all others:
 * nobody walks all the way there.
 */
export async function skipFrom(client: SqlClient, position: number): Promise<number> {
  const [{ next }] = nextRow.parse(await client.query(NEXT, position, segmentOf(position + 1)));
  return Math.max(position, next - 1);
}
