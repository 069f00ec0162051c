import { z } from 'zod';
import type { SqlClient } from '../../platform/database.ts';
import { column } from '../projections/read-table.ts';
import { HASH_BYTES, type LogSeal, STRETCH } from './log-seal.ts';

/** The table `log_seals`: what is asked of it. Its rows may have been changed by anybody, to anything. */

const MAX = Number.MAX_SAFE_INTEGER;
// What is out of all bounds is read as the bound: so that a row like that is found wrong, and stops nobody who reads it.
const within = (name: string) => `least(greatest(${name}, 0), ${MAX})`;
const COLUMNS = `${within('position')} AS position, ${within('first_position')} AS "firstPosition", epoch, key_id AS "keyId",
  CASE WHEN octet_length(signature) = 64 THEN signature END AS signature,
  CASE WHEN isfinite(sealed_at) THEN (extract(epoch FROM sealed_at) * 1000)::bigint END AS "sealedAt",
  CASE WHEN octet_length(hashes) BETWEEN ${HASH_BYTES} AND ${HASH_BYTES * STRETCH} THEN hashes END AS hashes`;
// Beyond it, the number that a row is read as would not tell where the next page begins.
const PLACED = `log_seals.position < ${MAX}`;
const PAGE = `SELECT ${COLUMNS} FROM log_seals WHERE log_seals.position > $1 AND ${PLACED} ORDER BY log_seals.position LIMIT $2`;
const BETWEEN = `SELECT ${COLUMNS} FROM log_seals WHERE position BETWEEN $1 AND $2 ORDER BY log_seals.position`;
const NEWEST = `SELECT ${COLUMNS} FROM log_seals ORDER BY log_seals.position DESC LIMIT 1`;
const STANDING = `
  SELECT epoch, ${within('position')} AS position,
    (SELECT master_key_id FROM subject_keys WHERE subject_id = '' AND version = 1) AS "keyId"
  FROM log_head WHERE id = 1`;
const HASH_AT = `
  SELECT substr(hashes, (($1::bigint - first_position) * ${HASH_BYTES} + 1)::int, ${HASH_BYTES}) AS hash FROM log_seals
  WHERE position >= $1::bigint AND first_position <= $1::bigint AND $1::bigint - first_position < ${STRETCH}
  ORDER BY position LIMIT 1`;
const ADD = `
  SELECT add_log_seal($1::bigint, $2::bigint, $3::bytea, $4, $5::bytea, $6, $7::bytea, $8::timestamptz) AS done`;
const NEWEST_SIZES = `
  SELECT ${within('position')} AS position, ${within('first_position')} AS "firstPosition", epoch
  FROM log_seals ORDER BY log_seals.position DESC LIMIT $1`;
const MERGE = 'SELECT merge_log_seals($1::bigint, $2::bigint, $3::bytea, $4, $5::bytea) AS done';
const COUNT_OTHERS = `SELECT count(*)::int AS count FROM log_seals WHERE key_id <> $1 AND ${PLACED}`;
const OTHERS = `SELECT ${COLUMNS} FROM log_seals WHERE key_id <> $1 AND log_seals.position > $2 AND ${PLACED} ORDER BY log_seals.position LIMIT $3`;
const SIGN = `
  UPDATE log_seals SET key_id = it.key, signature = decode(it.after, 'hex')
  FROM jsonb_to_recordset($1::jsonb) AS it(position bigint, before text, key text, after text)
  WHERE log_seals.position = it.position AND log_seals.signature = decode(it.before, 'hex')
  RETURNING 1`;
// Where nobody who reads the log from its first position to its last would come by.
const BEYOND = `
  SELECT least(1, (SELECT position FROM events ORDER BY position LIMIT 1))::text AS lowest,
    (SELECT position FROM events ORDER BY position DESC LIMIT 1)::text AS highest, position::text AS head
  FROM log_head WHERE id = 1`;

const OUTSIDE = `SELECT position::text FROM log_seals WHERE position < 1 OR NOT ${PLACED} ORDER BY log_seals.position LIMIT 3`;

const bytes = z.instanceof(Uint8Array).transform((it) => Buffer.from(it.buffer, it.byteOffset, it.byteLength));
const storedSeal = z.object({
  position: column.safeInt(),
  firstPosition: column.safeInt(),
  epoch: z.string(),
  keyId: z.string(),
  signature: bytes.nullable(),
  sealedAt: column.safeInt().nullable(),
  hashes: bytes.nullable(),
});
const standingRow = z.tuple([
  z.object({ epoch: z.string(), position: column.safeInt(), keyId: z.string().nullable() }),
]);
const hashRows = z.array(z.object({ hash: bytes }));
const doneRow = z.tuple([z.object({ done: z.boolean() })]);
const countRow = z.tuple([z.object({ count: z.number() })]);
const sizeRow = z.object({ position: column.safeInt(), firstPosition: column.safeInt(), epoch: z.string() });
const outsideRows = z.array(z.object({ position: z.string() }));
const beyondRow = z.tuple([z.object({ lowest: z.string(), highest: z.string().nullable(), head: z.string() })]);

/** A row that is no seal: nobody made it like that. */
export interface BrokenSeal {
  readonly position: number;
}

export type StoredSeal = LogSeal | BrokenSeal;

/** How the log stands. */
export interface Standing {
  readonly epoch: string;
  /** Of the last event. */
  readonly position: number;
  /** Of the master key that the store uses; null in a store that never had keys. */
  readonly keyId: string | null;
}

export type SealSize = z.output<typeof sizeRow>;

export function isWhole(seal: StoredSeal): seal is LogSeal {
  return 'hashes' in seal;
}

/** The seals of a log, in its database. */
export class SealStore {
  readonly #client: Pick<SqlClient, 'query'>;

  constructor(client: Pick<SqlClient, 'query'>) {
    this.#client = client;
  }

  async standing(): Promise<Standing> {
    return standingRow.parse(await this.#client.query(STANDING))[0];
  }

  async newest(): Promise<StoredSeal | undefined> {
    return (await this.#seals(NEWEST))[0];
  }

  /** The next seals behind a position. */
  page(after: number, limit: number): Promise<StoredSeal[]> {
    return this.#seals(PAGE, after, limit);
  }

  /** Seals whose last events lie from one position to another. */
  between(first: number, last: number): Promise<StoredSeal[]> {
    return this.#seals(BETWEEN, first, last);
  }

  /** What the seals say of one event; undefined where none does. */
  async hashAt(position: number): Promise<Buffer | undefined> {
    return hashRows.parse(await this.#client.query(HASH_AT, position))[0]?.hash;
  }

  /** @param previous the last hash of the seal before @returns false where another was faster, or the master key is another */
  async add(seal: LogSeal, previous: Buffer): Promise<boolean> {
    const { firstPosition, position, epoch, hashes, keyId, signature, sealedAt } = seal;
    const given = [firstPosition, position, previous, epoch, hashes, keyId, signature, sealedAt];
    return doneRow.parse(await this.#client.query(ADD, ...given))[0].done;
  }

  /** How long the newest seals are, from the newest on. */
  async newestSizes(limit: number): Promise<SealSize[]> {
    return (await this.#client.query(NEWEST_SIZES, limit)).map((row) => sizeRow.parse(row));
  }

  /** One seal in the place of several. @returns false where they are not as they were read */
  async merge({ firstPosition, position, hashes, keyId, signature }: LogSeal): Promise<boolean> {
    const answer = await this.#client.query(MERGE, firstPosition, position, hashes, keyId, signature);
    return doneRow.parse(answer)[0].done;
  }

  async countOthers(keyId: string): Promise<number> {
    return countRow.parse(await this.#client.query(COUNT_OTHERS, keyId))[0].count;
  }

  /** Seals that were signed with another key, behind a position. */
  others(keyId: string, after: number, limit: number): Promise<StoredSeal[]> {
    return this.#seals(OTHERS, keyId, after, limit);
  }

  /** Puts other signatures in the place of those that were read. @returns how many */
  async sign(seals: readonly { readonly before: LogSeal; readonly after: LogSeal }[]): Promise<number> {
    const given = seals.map(({ before, after }) => ({
      position: before.position,
      before: before.signature.toString('hex'),
      key: after.keyId,
      after: after.signature.toString('hex'),
    }));
    return (await this.#client.query(SIGN, JSON.stringify(given))).length;
  }

  /** The lowest and the highest position of events, if they lie before the first or behind the last. */
  async beyond(): Promise<string[]> {
    const [{ lowest, highest, head }] = beyondRow.parse(await this.#client.query(BEYOND));
    const isBehind = highest !== null && BigInt(highest) > BigInt(head);
    return [...(BigInt(lowest) < 1n ? [lowest] : []), ...(isBehind ? [highest] : [])];
  }

  /** Positions of seals where no event can be, the first few. */
  async outside(): Promise<string[]> {
    return outsideRows.parse(await this.#client.query(OUTSIDE)).map(({ position }) => position);
  }

  async #seals(sql: string, ...parameters: unknown[]): Promise<StoredSeal[]> {
    return (await this.#client.query(sql, ...parameters)).map((row) => sealOf(storedSeal.parse(row)));
  }
}

function sealOf({ hashes, signature, sealedAt, ...rest }: z.output<typeof storedSeal>): StoredSeal {
  const { position, firstPosition } = rest;
  const isRight =
    hashes !== null &&
    firstPosition > 0 &&
    hashes.length === (position - firstPosition + 1) * HASH_BYTES &&
    Math.abs(sealedAt ?? Number.NaN) < 8.64e15;
  return isRight && signature !== null && sealedAt !== null
    ? { ...rest, hashes, signature, sealedAt: new Date(sealedAt) }
    : { position };
}
