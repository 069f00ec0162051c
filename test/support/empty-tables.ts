import { z } from 'zod';
import type { SqlClient } from '../../src/platform/database.ts';

const sizeRow = z.tuple([z.object({ bytes: z.number() })]);
/** Larger ones are truncated: what is read afterwards should not have to pass by rows that are dead. */
const LARGE_BYTES = 2 ** 18;

/** To truncate tables makes new files of all of them and their indexes: a hundred times the work of deleting a few rows. */
export async function emptyTables(client: SqlClient, tables: readonly string[]): Promise<void> {
  const sizes = tables.map((table) => `pg_relation_size('${table}')`).join(' + ');
  const [{ bytes }] = sizeRow.parse(await client.query(`SELECT (${sizes})::float8 AS bytes`));
  const deletions = tables.map((table) => `of_${table} AS (DELETE FROM ${table})`);
  await client.query(bytes > LARGE_BYTES ? `TRUNCATE ${tables.join(', ')}` : `WITH ${deletions.join(', ')} SELECT 1`);
}
