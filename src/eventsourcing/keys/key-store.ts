import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { SqlClient } from '../../platform/database.ts';
import { KEY_BYTES, type KeyWrap } from './key-wrap.ts';
import { STORE_SUBJECT } from './subject-key.ts';

/** The table `subject_keys`: what is asked of it, and how its rows look. */

const COLUMNS = `subject_id AS "subjectId", version, wrapped_key AS "wrappedKey", master_key_id AS "masterKeyId",
  destroyed_at IS NOT NULL AS "isDestroyed"`;
const FIND = `SELECT ${COLUMNS} FROM subject_keys WHERE subject_id = ANY ($1::text[])`;
const MAKE = 'SELECT * FROM make_subject_keys($1::jsonb, $2)';
const IS_KEYED = 'SELECT EXISTS (SELECT FROM subject_keys) AS keyed';
// From one to the next, which the index gives at once, however many keys there are.
const MASTER_KEYS_IN_USE = `
  WITH RECURSIVE used AS (
    (SELECT master_key_id FROM subject_keys WHERE wrapped_key IS NOT NULL ORDER BY master_key_id LIMIT 1)
    UNION ALL
    SELECT (
      SELECT k.master_key_id FROM subject_keys AS k
      WHERE k.wrapped_key IS NOT NULL AND k.master_key_id > used.master_key_id ORDER BY k.master_key_id LIMIT 1
    ) FROM used WHERE used.master_key_id IS NOT NULL
  )
  SELECT master_key_id AS id FROM used WHERE master_key_id IS NOT NULL`;

const keyRow = z.object({
  subjectId: z.string(),
  /** Counted from 1. */
  version: z.number(),
  /** Null where it was destroyed. */
  wrappedKey: z.string().nullable(),
  masterKeyId: z.string(),
  isDestroyed: z.boolean(),
});
export type KeyRow = z.output<typeof keyRow>;
const keyRows = z.array(keyRow);
const keyedRow = z.tuple([z.object({ keyed: z.boolean() })]);
const idRows = z.array(z.object({ id: z.string() }));

export type KeyQueries = Pick<SqlClient, 'query'>;

export async function isKeyed(client: KeyQueries): Promise<boolean> {
  return keyedRow.parse(await client.query(IS_KEYED))[0].keyed;
}

/** All keys of some subjects. */
export async function findKeys(client: KeyQueries, subjects: readonly string[]): Promise<KeyRow[]> {
  return keyRows.parse(await client.query(FIND, subjects));
}

/** The store's own key, made where there is none: the row that says which master key the store uses. */
export async function findStoreKey(client: KeyQueries, wrap: KeyWrap): Promise<KeyRow | undefined> {
  // Not at once with a new key: each start would write.
  const known = await findKeys(client, [STORE_SUBJECT]);
  const rows = known.length > 0 ? known : await makeKeys(client, [STORE_SUBJECT], wrap);
  return rows.find(({ subjectId }) => subjectId === STORE_SUBJECT);
}

/**
 * Makes keys for those who have none.
 * @returns all keys of these subjects, and the store's own; none was made where that is wrapped with another master key
 */
export async function makeKeys(client: KeyQueries, subjects: readonly string[], wrap: KeyWrap): Promise<KeyRow[]> {
  const made = subjects.map((subject) => ({ subject, wrapped: wrap.wrap(randomBytes(KEY_BYTES), subject) }));
  return keyRows.parse(await client.query(MAKE, JSON.stringify(made), wrap.masterKeyId));
}

/** The ids of the master keys that keys of this store are wrapped with. */
export async function masterKeysInUse(client: KeyQueries): Promise<string[]> {
  return idRows.parse(await client.query(MASTER_KEYS_IN_USE)).map(({ id }) => id);
}
