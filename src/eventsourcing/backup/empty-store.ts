import { z } from 'zod';
import type { Queries } from './stored-tables.ts';

/** There is something in the store already, or somebody uses it. The message says what to do. */
export class StoreInUse extends Error {
  override readonly name = 'StoreInUse';
}

const presentRow = z.tuple([z.object({ present: z.boolean() })]);
const usedRow = z.tuple([
  z.object({ events: z.boolean(), commands: z.boolean(), keys: z.boolean(), nodes: z.boolean() }),
]);

const HAS_TABLES = `SELECT to_regclass('log_head') IS NOT NULL AS present`;
// What a server leaves behind that was started once, and in which nothing was done, is nothing: it may go.
const USED = `
  SELECT EXISTS (SELECT FROM events) OR (SELECT position FROM log_head WHERE id = 1) > 0 AS events,
         EXISTS (SELECT FROM commands) AS commands, EXISTS (SELECT FROM subject_keys WHERE subject_id <> '') AS keys,
         EXISTS (SELECT FROM nodes WHERE expires_at > clock_timestamp()) AS nodes`;

const REFERRING = `
  SELECT DISTINCT conrelid::regclass::text AS name FROM pg_constraint
  WHERE contype = 'f' AND confrelid = ANY ($1::text[]::regclass[]) AND NOT conrelid = ANY ($1::text[]::regclass[])
  ORDER BY 1`;
const referringRows = z.array(z.object({ name: z.string() }));

export interface EmptyStore {
  /** Or it was never migrated. */
  readonly hasTables: boolean;
}

/** @param isAlone no other process can reach the store @throws {StoreInUse} */
export async function expectEmpty(client: Queries, isAlone: boolean): Promise<EmptyStore> {
  const [{ present }] = presentRow.parse(await client.query(HAS_TABLES));
  if (!present) return { hasTables: false };
  const [used] = usedRow.parse(await client.query(USED));
  if (used.events || used.commands || used.keys) {
    throw new StoreInUse(
      'There is something in this store already, and nothing was changed: name an empty one with DATABASE_URL or DATA_DIR.',
    );
  }
  // Of an embedded store, whoever left that behind is gone: it could not be opened otherwise.
  if (used.nodes && !isAlone) {
    throw new StoreInUse('A server runs on this store: stop it first, and start it again afterwards.');
  }
  return { hasTables: true };
}

/** The same, for as long as the transaction lasts: whoever else begins with the store waits for its end. */
export async function expectEmptyLocked(client: Queries, isAlone: boolean): Promise<void> {
  await client.query('LOCK TABLE log_head IN ACCESS EXCLUSIVE MODE');
  await expectEmpty(client, isAlone);
}

/**
 * What foreign keys of others refer to could only be emptied together with their tables.
 * @param tables as SQL names them @throws {StoreInUse}
 */
export async function expectNoReferences(client: Queries, tables: readonly string[]): Promise<void> {
  const referring = referringRows.parse(await client.query(REFERRING, tables)).map(({ name }) => name);
  if (referring.length === 0) return;
  throw new StoreInUse(
    `Nothing was changed, for foreign keys of tables that are none of cartstream's refer to its own: ${referring.join(', ')}. ` +
      'Drop these keys, and make them again afterwards.',
  );
}
