import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import { isColumnText } from '../platform/column-values.ts';
import type { SqlClient } from '../platform/database.ts';
import type { Logger } from '../platform/logger.ts';
import { derivedKey, KEY_BYTES, KeyWrap } from './key-wrap.ts';

/** The keys that a batch needs, by subject. Null: that subject was forgotten, and nothing of them is kept any more. */
export type SubjectKeys = ReadonlyMap<string, KeyObject | null>;

/** The store as a subject of its own: what belongs to nobody is protected with keys made from its key. */
export const STORE_SUBJECT = '';

/** The store's keys are wrapped with another master key than the one that was given. */
export class WrongMasterKey extends Error {
  override readonly name = 'WrongMasterKey';
}

/** The key of a subject is there and cannot be used: what is to be written for them would be lost. */
export class UnusableKey extends Error {
  override readonly name = 'UnusableKey';
}

const MAX_CACHED = 20_000;
/** So long, at most, this process goes on using a key that another one destroyed. */
const CACHED_MS = 60_000;

const IS_KEYED = 'SELECT EXISTS (SELECT FROM subject_keys) AS keyed';
const COLUMNS = 'subject_id AS "subjectId", wrapped_key AS "wrappedKey", destroyed_at IS NOT NULL AS "isDestroyed"';
const FIND = `SELECT ${COLUMNS} FROM subject_keys WHERE subject_id = ANY ($1::text[])`;
// Two that make the same key at once: the second waits for the first, adds nothing, and does not see yet what there is.
// In one order, so that they do not wait for each other.
const FIND_OR_ADD = `
  WITH made AS MATERIALIZED (
    SELECT made.subject, made.wrapped FROM jsonb_to_recordset($1::jsonb) AS made(subject text, wrapped text)
  ), added AS (
    INSERT INTO subject_keys (subject_id, wrapped_key, master_key_id, created_at)
    SELECT made.subject, made.wrapped, $2, now() FROM made
    WHERE NOT EXISTS (SELECT FROM subject_keys AS known WHERE known.subject_id = made.subject)
    ORDER BY made.subject
    ON CONFLICT (subject_id) DO NOTHING
    RETURNING ${COLUMNS}
  )
  SELECT * FROM added
  UNION ALL SELECT ${COLUMNS} FROM subject_keys JOIN made ON made.subject = subject_keys.subject_id`;

const keyRow = z.object({ subjectId: z.string(), wrappedKey: z.string().nullable(), isDestroyed: z.boolean() });
type KeyRow = z.output<typeof keyRow>;
const keyedRow = z.tuple([z.object({ keyed: z.boolean() })]);

type Queries = Pick<SqlClient, 'query'>;

export interface KeyRingParts {
  readonly client: Queries;
  /** 32 bytes. */
  readonly masterKey: Buffer;
  readonly logger: Logger;
  /** In milliseconds, from any beginning. */
  now?(): number;
}

/**
 * The keys of subjects: each wrapped with the master key, in a table; in memory as they are, for a short time. A key that
 * is lost is not an error to whoever reads: it makes what it protected unreadable, which is how a subject is forgotten.
 */
export class KeyRing {
  /** Whatever is secret and nobody's is sealed with this. */
  readonly secretsKey: KeyObject;
  /** For hashes of what may be guessed. */
  readonly hashKey: KeyObject;
  readonly #parts: KeyRingParts;
  readonly #wrap: KeyWrap;
  readonly #cached = new LRUCache<string, { readonly key: KeyObject | null; readonly until: number }>({
    max: MAX_CACHED,
  });
  #hasWarned = false;

  /** Whether a store has keys already: then only the master key that they are wrapped with is of use. */
  static async isKeyed(client: Queries): Promise<boolean> {
    return keyedRow.parse(await client.query(IS_KEYED))[0].keyed;
  }

  /**
   * Over a migrated database; the first one makes the store's own key.
   * @throws {WrongMasterKey} rather than to read all that is protected as forgotten
   */
  static async open(parts: KeyRingParts): Promise<KeyRing> {
    const wrap = new KeyWrap(parts.masterKey);
    const store = await storeKey(parts.client, wrap);
    if (store === undefined) {
      throw new WrongMasterKey(
        'The personal data in this store is encrypted with keys that another master key protects. Set MASTER_KEY to ' +
          'the one that the store began with, or put its file master.key into DATA_DIR. Nothing was read or written.',
      );
    }
    return new KeyRing(parts, wrap, store);
  }

  private constructor(parts: KeyRingParts, wrap: KeyWrap, store: Buffer) {
    this.#parts = parts;
    this.#wrap = wrap;
    this.secretsKey = derivedKey(store, 'secrets');
    this.hashKey = derivedKey(store, 'hashes');
  }

  /**
   * The keys to read with. Subjects whose key is lost or cannot be used are not among them.
   * @throws what the driver throws where the database is away
   */
  async load(subjects: Iterable<string>): Promise<SubjectKeys> {
    const { keys, missing } = this.#fromMemory(subjects);
    if (missing.length > 0) this.#take(await find(this.#parts.client, missing), keys);
    return keys;
  }

  /**
   * The keys to write with; makes those that were never there. A subject that was forgotten stays so.
   * @throws {UnusableKey} @throws what the driver throws where the database is away
   */
  async ensure(subjects: Iterable<string>): Promise<SubjectKeys> {
    const { keys, missing } = this.#fromMemory(subjects);
    if (missing.length === 0) return keys;
    const { client } = this.#parts;
    const rows = await findOrAdd(client, missing, this.#wrap);
    const found = new Set(rows.map(({ subjectId }) => subjectId));
    const late = missing.filter((subject) => !found.has(subject));
    const unusable = this.#take(late.length === 0 ? rows : [...rows, ...(await find(client, late))], keys);
    if (unusable > 0) throw new UnusableKey(`${unusable} keys of subjects cannot be unwrapped.`);
    return keys;
  }

  /** What no text column can hold has no key; asked for it, the database would refuse the whole query. */
  #fromMemory(subjects: Iterable<string>) {
    const keys = new Map<string, KeyObject | null>();
    const missing: string[] = [];
    const now = this.#now();
    for (const subject of subjects) {
      const cached = this.#cached.get(subject);
      if (subject === STORE_SUBJECT) keys.set(subject, this.secretsKey);
      else if (cached !== undefined && cached.until > now) keys.set(subject, cached.key);
      else if (isColumnText(subject)) missing.push(subject);
    }
    return { keys, missing };
  }

  /** @returns how many cannot be used */
  #take(rows: readonly KeyRow[], keys: Map<string, KeyObject | null>): number {
    const until = this.#now() + CACHED_MS;
    let unusable = 0;
    for (const row of rows) {
      const key = this.#unwrapped(row);
      if (key === undefined) {
        unusable += 1;
      } else {
        this.#cached.set(row.subjectId, { key, until });
        keys.set(row.subjectId, key);
      }
    }
    return unusable;
  }

  /** @returns null for a subject that was forgotten, undefined for a key that cannot be used */
  #unwrapped({ subjectId, wrappedKey, isDestroyed }: KeyRow): KeyObject | null | undefined {
    if (isDestroyed) return null;
    const key = wrappedKey === null ? undefined : this.#wrap.unwrap(wrappedKey, subjectId);
    if (key !== undefined) return createSecretKey(key);
    if (!this.#hasWarned) {
      this.#hasWarned = true;
      this.#parts.logger.warn(
        'a key in subject_keys cannot be unwrapped: what it protects reads as forgotten (said once, whatever follows)',
      );
    }
    return undefined;
  }

  #now(): number {
    return this.#parts.now?.() ?? performance.now();
  }
}

/** The store's own key, made where there is none. @returns undefined where it cannot be unwrapped */
async function storeKey(client: Queries, wrap: KeyWrap): Promise<Buffer | undefined> {
  // Not at once with a new key: each start would write.
  const known = await find(client, [STORE_SUBJECT]);
  const made = known.length > 0 ? known : await findOrAdd(client, [STORE_SUBJECT], wrap);
  const [row] = made.length > 0 ? made : await find(client, [STORE_SUBJECT]);
  return row === undefined || row.wrappedKey === null ? undefined : wrap.unwrap(row.wrappedKey, STORE_SUBJECT);
}

async function find(client: Queries, subjects: readonly string[]): Promise<KeyRow[]> {
  return (await client.query(FIND, subjects)).map((row) => keyRow.parse(row));
}

/** @returns without those that another process is just adding */
async function findOrAdd(client: Queries, subjects: readonly string[], wrap: KeyWrap): Promise<KeyRow[]> {
  const made = subjects.map((subject) => ({ subject, wrapped: wrap.wrap(randomBytes(KEY_BYTES), subject) }));
  const rows = await client.query(FIND_OR_ADD, JSON.stringify(made), wrap.masterKeyId);
  return rows.map((row) => keyRow.parse(row));
}
