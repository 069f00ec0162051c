import { z } from 'zod';
import { isColumnText } from '../../platform/column-values.ts';
import type { SqlClient } from '../../platform/database.ts';
import type { CheckpointMove } from '../followers/checkpoints.ts';
import type { Json } from '../json.ts';
import type { SubjectKeys } from '../keys/subject-key.ts';
import { NO_KEYS, type Opening, type StorageCodec } from '../log/codec.ts';

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
  /** The name of the table that they are in. */
  readonly storedIn: string;
  readonly #table: ReadTable<Row>;
  readonly #client: Pick<SqlClient, 'query'>;
  readonly #codec: StorageCodec;
  /** Each member of a row with the name of its column. */
  readonly #columns: readonly (readonly [member: string, column: string])[];
  readonly #opening: Opening<unknown>;
  readonly #select: string;
  readonly #whereKey: string;
  readonly #save: string;
  readonly #saveAndPark: string;

  /** @param storedIn another table of the same columns: its rows are as they would be in the table itself */
  constructor(table: ReadTable<Row>, client: Pick<SqlClient, 'query'>, codec: StorageCodec, storedIn = table.name) {
    codec.admit(table.name, table.row, 'row');
    this.#table = table;
    this.storedIn = storedIn;
    this.#client = client;
    this.#codec = codec;
    this.#columns = Object.keys(table.row.shape).map((member) => [member, columnOf(member)]);
    this.#opening = {
      kind: 'row',
      name: () => table.name,
      id: (row) => this.#keyOf(row),
      data: (row) => row,
      opened: (_, row) => row,
    };
    this.#select = `SELECT ${this.#columns.map(([member, name]) => `${name} AS "${member}"`).join(', ')} FROM ${storedIn}`;
    this.#whereKey = `WHERE ${columnOf(table.key)} = ANY ($1::text[])`;
    // The checkpoint moves from where these rows were folded from, or nothing is written: whoever was overtaken by
    // another process learns it here and cannot overwrite what is newer.
    // The commit does not wait for the disk: after a crash, rows and checkpoint may be older, together, and are caught
    // up from the log, which was on disk before them.
    this.#save = `
      WITH moved AS (
        UPDATE checkpoints SET position = $5::bigint, updated_at = now()
        WHERE name = $1 AND version = $2::int AND owner = $3::uuid AND position = $4::bigint
          AND set_config('synchronous_commit', 'off', true) = 'off'
        RETURNING tell('checkpoint ' || $5::text || ' ' || $1)::text
      ), written AS (${this.writtenFrom('moved', 6)})
      SELECT count(*)::int AS count FROM moved`;
    this.#saveAndPark = `
      WITH moved AS MATERIALIZED (
        SELECT 1 WHERE move_checkpoint($1, $2::int, $3::uuid, $4::bigint, $5::bigint, $6::jsonb, $7::timestamptz)
      ), written AS (${this.writtenFrom('moved', 8)})
      SELECT count(*)::int AS count FROM moved`;
  }

  async load(keys: readonly string[]): Promise<Map<string, Row>> {
    // Under what no text column can hold there is nothing; asked for it, the database would refuse the whole query.
    const possible = keys.filter(isColumnText);
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
    const opened = await this.#codec.openAll(rows, this.#opening);
    return opened.map((row) => this.#table.row.parse(row));
  }

  /** How many rows there are by a condition. @returns null beyond a limit, where counting on would cost too much */
  async count(where: string, limit: number, ...parameters: unknown[]): Promise<number | null> {
    const sql = `SELECT count(*)::int AS count FROM (SELECT 1 FROM ${this.storedIn} ${where} LIMIT ${limit + 1}) AS found`;
    const [{ count }] = counted.parse(await this.#client.query(sql, ...parameters));
    return count > limit ? null : count;
  }

  /**
   * Writes rows and moves the checkpoint, in one statement.
   * @returns false, and nothing was written, if the checkpoint is not at `from`, or another node's
   */
  async save(rows: readonly Row[], checkpoint: CheckpointMove): Promise<boolean> {
    const encoded = await this.encodeAll(rows);
    const { name, version, owner, from, to, parking, now } = checkpoint;
    const move = [name, version, owner, from, to];
    const answer =
      parking === undefined
        ? await this.#client.query(this.#save, ...move, encoded)
        : await this.#client.query(this.#saveAndPark, ...move, JSON.stringify(parking), now, encoded);
    const [{ count }] = counted.parse(answer);
    return count > 0;
  }

  /** Whether rows hold what is personal. */
  get isPersonal(): boolean {
    return this.#codec.personalMembers('row', this.#table.name).size > 0;
  }

  /** Takes out of the table what it has of some subjects that is personal, encrypted as it is. */
  async purge(subjects: readonly string[]): Promise<void> {
    for (const [subject, members] of this.#codec.personalMembers('row', this.#table.name)) {
      const columns = members.map(columnOf);
      const kept = columns.map((it) => `${it} IS NOT NULL`).join(' OR ');
      const sql = `UPDATE ${this.#table.name} SET ${columns.map((it) => `${it} = NULL`).join(', ')}
        WHERE ${columnOf(subject)} = ANY ($1::text[]) AND (${kept})`;
      await this.#client.query(sql, subjects);
    }
  }

  /**
   * The statement that writes rows, where `source` has a row: there it is part of another statement.
   * @param parameter the number of the placeholder for what `encodeAll` gives
   */
  writtenFrom(source: string, parameter: number): string {
    const columns = this.#columns.map(([, name]) => name);
    return `
      INSERT INTO ${this.storedIn} (${columns.join(', ')})
      SELECT ${columns.map((it) => `row.${it}`).join(', ')}
      FROM ${source}, jsonb_populate_recordset(NULL::${this.storedIn}, $${parameter}::jsonb) AS row
      ON CONFLICT (${this.keyColumn}) DO UPDATE SET ${columns.map((it) => `${it} = EXCLUDED.${it}`).join(', ')}
      RETURNING 1`;
  }

  /** Rows as JSON that the database makes rows of, with what is personal in them sealed. */
  async encodeAll(rows: readonly Row[]): Promise<string> {
    const keys = this.#codec.isProtecting ? await this.#codec.keysFor(this.#subjectsOf(rows)) : NO_KEYS;
    return JSON.stringify(rows.map((row) => this.#encode(row, keys)));
  }

  get keyColumn(): string {
    return columnOf(this.#table.key);
  }

  /** Rows by key as the driver gives them, opened, but whether they fit the schema or not: to compare them with others. */
  async loadAsStored(keys: readonly string[]): Promise<Map<string, unknown>> {
    if (keys.length === 0) return new Map();
    const rows = await this.#client.query(`${this.#select} ${this.#whereKey}`, keys);
    const opened = await this.#codec.openAll(rows, this.#opening);
    return new Map(opened.map((row) => [this.#keyOf(row), row]));
  }

  #subjectsOf(rows: readonly Row[]): Set<string> {
    const wanted = new Set<string>();
    for (const row of rows) this.#codec.addSubjects(wanted, 'row', this.#table.name, row);
    return wanted;
  }

  #keyOf(row: unknown): string {
    return String(keyed.parse(row)[this.#table.key]);
  }

  #encode(row: Row, keys: SubjectKeys): Record<string, unknown> {
    const plain: Json = this.#codec.encodeValid(row);
    const encoded = keyed.parse(this.#codec.seal('row', this.#table.name, this.#keyOf(row), plain, keys));
    const stored: Record<string, unknown> = {};
    for (const [member, name] of this.#columns) stored[name] = encoded[member];
    return stored;
  }
}

const counted = z.tuple([z.object({ count: z.number() })]);
const keyed = z.custom<Record<string, unknown>>((value) => typeof value === 'object' && value !== null);
