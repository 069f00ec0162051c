import { z } from 'zod';
import type { SqlClient } from '../../platform/database.ts';

/** Finds out of the catalog what a store is made of, so that no list has to be kept of it. */

export type Queries = Pick<SqlClient, 'query'>;

/** A table whose rows are part of the store. */
export interface StoredTable {
  readonly name: string;
  /** In order, with their types as SQL names them. */
  readonly columns: readonly { readonly name: string; readonly type: string }[];
}

/** Who serves the store at this moment, and which tables it has: both are of the store that there is, not of what it holds. */
const NOT_KEPT = ['nodes', '_prisma_migrations'];

// A table that a rebuild fills is of no use without the rebuild, which begins anew.
const TABLES = `
  SELECT c.relname::text AS name, json_agg(
           json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum
         )::text AS columns
  FROM pg_class AS c
  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
  WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND NOT c.relname = ANY ($1::text[])
    AND NOT c.relname = ANY (ARRAY(SELECT shadow FROM rebuilds WHERE shadow IS NOT NULL))
  GROUP BY c.relname ORDER BY c.relname`;
const SEQUENCES = `
  SELECT sequencename::text AS name, coalesce(last_value, start_value)::text AS value, last_value IS NOT NULL AS "isCalled"
  FROM pg_sequences WHERE schemaname = 'public' ORDER BY 1`;

const columns = z.array(z.object({ name: z.string(), type: z.string() }));
const tableRows = z.array(
  z.object({ name: z.string(), columns: z.string().transform((text) => columns.parse(JSON.parse(text))) }),
);
export const sequenceRow = z.object({ name: z.string(), value: z.string(), isCalled: z.boolean() });
export type StoredSequence = z.output<typeof sequenceRow>;
const sequenceRows = z.array(sequenceRow);

export async function storedTables(client: Queries): Promise<StoredTable[]> {
  return tableRows.parse(await client.query(TABLES, NOT_KEPT));
}

export async function storedSequences(client: Queries): Promise<StoredSequence[]> {
  return sequenceRows.parse(await client.query(SEQUENCES));
}

/** A name of the catalog, as SQL takes it whatever is in it. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
