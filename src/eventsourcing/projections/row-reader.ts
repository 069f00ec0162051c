import type { ReadRows } from './read-table.ts';

interface Asked<Row> {
  readonly found: (row: Row | undefined) => void;
  readonly failed: (error: unknown) => void;
}

/** Queries of one reader that may run at once: while they do, further reads gather for the next. */
const MAX_QUERIES = 2;
const MAX_KEYS = 500;

/**
 * Reads rows by key. Whatever is asked for while queries are under way shares the next one. Nothing is kept: each read
 * begins after it was asked for.
 */
export class RowReader<Row> {
  readonly #rows: ReadRows<Row>;
  #asked = new Map<string, Asked<Row>[]>();
  #queries = 0;
  #scheduled = false;

  constructor(rows: ReadRows<Row>) {
    this.#rows = rows;
  }

  read(key: string): Promise<Row | undefined> {
    return new Promise((found, failed) => {
      const together = this.#asked.get(key);
      if (together === undefined) this.#asked.set(key, [{ found, failed }]);
      else together.push({ found, failed });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled || this.#queries >= MAX_QUERIES || this.#asked.size === 0) return;
    this.#scheduled = true;
    // The rest of this turn of the event loop may ask for more.
    setImmediate(() => {
      this.#scheduled = false;
      void this.#query();
    });
  }

  async #query(): Promise<void> {
    const keys = [...this.#asked.keys()].slice(0, MAX_KEYS);
    const batch = keys.map((key) => [key, this.#asked.get(key) ?? []] as const);
    for (const key of keys) this.#asked.delete(key);
    this.#queries += 1;
    try {
      const rows = await this.#rows.load(keys);
      for (const [key, askers] of batch) for (const { found } of askers) found(rows.get(key));
    } catch (error) {
      for (const [, askers] of batch) for (const { failed } of askers) failed(error);
    } finally {
      this.#queries -= 1;
      this.#schedule();
    }
  }
}
