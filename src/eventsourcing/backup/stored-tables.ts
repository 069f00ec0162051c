import { z } from 'zod';
import type { SqlClient } from '../../platform/database.ts';
import { appliedMigrations, tablesMadeBy } from '../../platform/migrations.ts';

/**
 * Finds what a store is made of: which tables are cartstream's own, the migrations say that made them; what is in them, the
 * catalog. So no list has to be kept of it, and what others have in the same schema is left alone.
 */

export type Queries = Pick<SqlClient, 'query'>;

/** A table whose rows are part of the store. */
export interface StoredTable {
  readonly name: string;
  /** In order, with their types as SQL names them. */
  readonly columns: readonly { readonly name: string; readonly type: string }[];
}

/** Who serves the store at this moment: that is of the store that there is, not of what it holds. */
const NOT_KEPT = 'nodes';

// A table that a rebuild fills is of no use without the rebuild, which begins anew.
const SHADOWS = 'ARRAY(SELECT shadow FROM rebuilds WHERE shadow IS NOT NULL)';
const TABLES = `
  SELECT c.relname::text AS name, json_agg(
           json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum
         )::text AS columns
  FROM pg_class AS c
  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
  WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname = ANY ($1::text[])
    AND c.relname <> '${NOT_KEPT}' AND NOT c.relname = ANY (${SHADOWS})
  GROUP BY c.relname ORDER BY c.relname`;
const FOREIGN = `
  SELECT relname::text AS name FROM pg_class
  WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relname = ANY ($1::text[])
    AND relname <> '_prisma_migrations' AND NOT relname = ANY (${SHADOWS})
  ORDER BY 1`;
// Whose a sequence is, the table of its column says.
const SEQUENCES = `
  SELECT s.sequencename::text AS name, coalesce(s.last_value, s.start_value)::text AS value,
         s.last_value IS NOT NULL AS "isCalled"
  FROM pg_sequences AS s
  JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
    AND d.objid = format('%I.%I', s.schemaname, s.sequencename)::regclass AND d.deptype IN ('a', 'i')
  JOIN pg_class AS c ON c.oid = d.refobjid AND c.relnamespace = 'public'::regnamespace
  WHERE s.schemaname = 'public' AND c.relname = ANY ($1::text[]) ORDER BY 1`;

const columns = z.array(z.object({ name: z.string(), type: z.string() }));
const tableRows = z.array(
  z.object({ name: z.string(), columns: z.string().transform((text) => columns.parse(JSON.parse(text))) }),
);
export const sequenceRow = z.object({ name: z.string(), value: z.string(), isCalled: z.boolean() });
export type StoredSequence = z.output<typeof sequenceRow>;
const sequenceRows = z.array(sequenceRow);
const nameRows = z.array(z.object({ name: z.string() }));

async function ownTables(client: Queries): Promise<string[]> {
  return tablesMadeBy(await appliedMigrations(client));
}

export async function storedTables(client: Queries): Promise<StoredTable[]> {
  return tableRows.parse(await client.query(TABLES, await ownTables(client)));
}

/** Names of tables in the same schema that are none of cartstream's. */
export async function foreignTables(client: Queries): Promise<string[]> {
  return nameRows.parse(await client.query(FOREIGN, await ownTables(client))).map(({ name }) => name);
}

export async function storedSequences(client: Queries): Promise<StoredSequence[]> {
  return sequenceRows.parse(await client.query(SEQUENCES, await ownTables(client)));
}

/** A name of the catalog, as SQL takes it whatever is in it. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
