import { z } from 'zod';
import type { SqlClient } from '../platform/database.ts';
import type { StorageCodec } from './codec.ts';

/** A table that a projection writes and queries read: one row per key, its columns named as the row's members. */
export interface ReadTable<Row> {
  readonly name: string;
  /** The member of the row that is its key. */
  readonly key: string;
  readonly row: z.ZodObject & z.ZodType<Row>;
}

export function columnOf(member: string): string {
  return member.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Members for rows: how the driver gives a column, and how it is in TypeScript. */
export const column = {
  /** BIGINT, as a number: positions and amounts stay below 2^53. */
  safeInt: () => z.coerce.number().int(),
  instant: () => z.coerce.date(),
};

/** The rows of a read table, in a database. */
export class ReadRows<Row> {
  readonly #table: ReadTable<Row>;
  readonly #client: SqlClient;
  readonly #codec: StorageCodec;
  /** Each member of a row with the name of its column. */
  readonly #columns: readonly (readonly [member: string, column: string])[];
  readonly #select: string;
  readonly #whereKey: string;
  readonly #save: string;

  constructor(table: ReadTable<Row>, client: SqlClient, codec: StorageCodec) {
    codec.admit(table.name, table.row);
    this.#table = table;
    this.#client = client;
    this.#codec = codec;
    this.#columns = Object.keys(table.row.shape).map((member) => [member, columnOf(member)]);
    const columns = this.#columns.map(([, name]) => name);
    const key = columnOf(table.key);
    this.#select = `SELECT ${this.#columns.map(([member, name]) => `${name} AS "${member}"`).join(', ')} FROM ${table.name}`;
    this.#whereKey = `WHERE ${key} = ANY ($1::text[])`;
    // The checkpoint moves from where these rows were folded from, or nothing is written: whoever was overtaken by
    // another process learns it here and cannot overwrite what is newer.
    // The commit does not wait for the disk: after a crash, rows and checkpoint may be older, together, and are caught
    // up from the log, which was on disk before them.
    this.#save = `
      WITH moved AS (
        UPDATE checkpoints SET position = $2, updated_at = now()
        WHERE projection = $1 AND position = $3 AND version = $4
          AND set_config('synchronous_commit', 'off', true) = 'off'
        RETURNING projection
      ), written AS (
      INSERT INTO ${table.name} (${columns.join(', ')})
      SELECT ${columns.map((it) => `row.${it}`).join(', ')}
      FROM moved, jsonb_populate_recordset(NULL::${table.name}, $5::jsonb) AS row
      ON CONFLICT (${key}) DO UPDATE SET ${columns.map((it) => `${it} = EXCLUDED.${it}`).join(', ')}
      RETURNING 1
      )
      SELECT count(*)::int AS count FROM written`;
  }

  async load(keys: readonly string[]): Promise<Map<string, Row>> {
    // Under what no text column can hold there is nothing; asked for it, the database would refuse the whole query.
    const possible = keys.filter((key) => !key.includes('\u0000') && key.isWellFormed());
    if (possible.length === 0) return new Map();
    const rows = await this.find(this.#whereKey, possible);
    return new Map(rows.map((row) => [z.string().parse(keyed.parse(row)[this.#table.key]), row]));
  }

  /**
   * Rows by any condition.
   * @param clauses what follows FROM: WHERE, ORDER BY, LIMIT, with placeholders for the parameters
   */
  async find(clauses: string, ...parameters: unknown[]): Promise<Row[]> {
    const rows = await this.#client.query(`${this.#select} ${clauses}`, ...parameters);
    return rows.map((stored) => this.#table.row.parse(this.#codec.decode(stored)));
  }

  /** How many rows there are by a condition. @returns null beyond a limit, where counting on would cost too much */
  async count(where: string, limit: number, ...parameters: unknown[]): Promise<number | null> {
    const sql = `SELECT count(*)::int AS count FROM (SELECT 1 FROM ${this.#table.name} ${where} LIMIT ${limit + 1}) AS found`;
    const [{ count }] = counted.parse(await this.#client.query(sql, ...parameters));
    return count > limit ? null : count;
  }

  /**
   * Writes rows and moves the checkpoint, in one statement.
   * @returns false, and nothing was written, if the checkpoint is not at `from`
   */
  async save(rows: readonly Row[], checkpoint: CheckpointMove): Promise<boolean> {
    const encoded = JSON.stringify(rows.map((row) => this.#encode(row)));
    const { projection, version, from, to } = checkpoint;
    const [{ count }] = counted.parse(await this.#client.query(this.#save, projection, to, from, version, encoded));
    return count > 0;
  }

  #encode(row: Row): Record<string, unknown> {
    const encoded = keyed.parse(this.#codec.encodeValid(row));
    const stored: Record<string, unknown> = {};
    for (const [member, name] of this.#columns) stored[name] = encoded[member];
    return stored;
  }
}

const counted = z.tuple([z.object({ count: z.number() })]);
const keyed = z.custom<Record<string, unknown>>((value) => typeof value === 'object' && value !== null);

export interface CheckpointMove {
  readonly projection: string;
  readonly version: number;
  readonly from: number;
  readonly to: number;
}
