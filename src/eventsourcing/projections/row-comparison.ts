import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { SqlClient } from '../../platform/database.ts';
import type { ReadRows } from './read-table.ts';
import type { Differences } from './rebuild-store.ts';

/** More keys than these are only counted: which rows are rewritten afterwards is then not looked at again. */
const MAX_KEYS = 100_000;
const SHOWN_KEYS = 10;
const KEYS_PER_QUERY = 500;

const keyRows = z.array(z.object({ key: z.string() }));
const endRow = z.tuple([z.object({ end: z.string().nullable() })]);
const positioned = z.object({ position: z.coerce.number() });

/**
 * Compares the rows of two tables that are both being written to.
 *
 * First all of them, a stretch of keys at a time: the database finds those that are not stored alike, and they are read
 * and opened, since what is encrypted never looks the same twice. A row that is as of the same event in both is judged then
 * and there. One that is not is doubtful, and so is each that is written to later: these are looked at again, for the last
 * time while both tables stand still, so that every row is judged as of the same event.
 */
export class RowComparison<Row> {
  readonly #live: ReadRows<Row>;
  readonly #rebuilt: ReadRows<Row>;
  readonly #client: SqlClient;
  readonly #different = new Set<string>();
  #uncounted = 0;
  #doubtful = new Set<string>();

  constructor(live: ReadRows<Row>, rebuilt: ReadRows<Row>, client: SqlClient) {
    this.#live = live;
    this.#rebuilt = rebuilt;
    this.#client = client;
  }

  /** How many rows are still to be judged. */
  get doubtful(): number {
    return this.#doubtful.size;
  }

  get differences(): Differences {
    const keys = [...this.#different].slice(0, SHOWN_KEYS);
    return { count: this.#different.size + this.#uncounted, keys };
  }

  /** These rows are, or were, written to. */
  touch(keys: Iterable<string>): void {
    for (const key of keys) this.#doubtful.add(key);
  }

  /**
   * Compares the next rows in the order of their keys.
   * @param after the key that was compared last; null at first
   * @returns the key that was compared last; null if there are no more
   */
  async next(after: string | null, limit: number): Promise<string | null> {
    const live = this.#live.storedIn;
    const rebuilt = this.#rebuilt.storedIn;
    const key = this.#live.keyColumn;
    const from = after === null ? 'true' : `${key} > $1`;
    const given = after === null ? [] : [after];
    const first = (table: string) =>
      `(SELECT ${key} AS key FROM ${table} WHERE ${from} ORDER BY ${key} LIMIT ${limit})`;
    const [{ end }] = endRow.parse(
      await this.#client.query(
        `SELECT max(key) AS end FROM (
           SELECT key FROM (${first(live)} UNION ${first(rebuilt)}) AS keys ORDER BY key LIMIT ${limit}) AS stretch`,
        ...given,
      ),
    );
    if (end === null) return null;
    const stretch = (table: string) =>
      `(SELECT * FROM ${table} WHERE ${from} AND ${key} <= $${given.length + 1}::text)`;
    const found = await this.#client.query(
      `SELECT coalesce(a.${key}, b.${key}) AS key
       FROM ${stretch(live)} AS a FULL JOIN ${stretch(rebuilt)} AS b ON a.${key} = b.${key} WHERE a IS DISTINCT FROM b`,
      ...given,
      end,
    );
    await this.#judge(
      keyRows.parse(found).map((row) => row.key),
      false,
    );
    return end;
  }

  /**
   * Looks again at what was doubtful.
   * @param isFinal both tables are as of the same event, and nobody writes to them
   */
  async settle(isFinal: boolean): Promise<void> {
    const doubtful = [...this.#doubtful];
    this.#doubtful = new Set();
    await this.#judge(doubtful, isFinal);
  }

  async #judge(keys: readonly string[], isFinal: boolean): Promise<void> {
    for (let at = 0; at < keys.length; at += KEYS_PER_QUERY) {
      const some = keys.slice(at, at + KEYS_PER_QUERY);
      const [live, rebuilt] = await Promise.all([this.#live.loadAsStored(some), this.#rebuilt.loadAsStored(some)]);
      for (const key of some) this.#judgeOne(key, live.get(key), rebuilt.get(key), isFinal);
    }
  }

  #judgeOne(key: string, live: unknown, rebuilt: unknown, isFinal: boolean): void {
    if (isDeepStrictEqual(live, rebuilt)) this.#different.delete(key);
    else if (!isFinal && positionOf(live) !== positionOf(rebuilt)) this.#doubtful.add(key);
    else if (this.#different.has(key) || this.#different.size < MAX_KEYS) this.#different.add(key);
    else this.#uncounted += 1;
  }
}

function positionOf(row: unknown): number | undefined {
  return positioned.safeParse(row).data?.position;
}
