import { LRUCache } from 'lru-cache';
import { mustBeReadable, type RecordedEvent } from '../log/event.ts';
import type { ProjectedRow, Projection } from './projection.ts';

const KEYS_PER_QUERY = 1_000;

export interface FoldParts<Row extends ProjectedRow> {
  readonly projection: Projection<Row>;
  /** Reads rows that are not at hand, as they were taken last. */
  load(keys: readonly string[]): Promise<ReadonlyMap<string, Row>>;
  /** So many rows are kept at hand. */
  readonly kept: number;
  /** There is no row yet. */
  readonly isEmpty: boolean;
}

/** Folds events into rows in memory, many at a time, and remembers which rows changed since they were last taken. */
export class RowFold<Row extends ProjectedRow> {
  readonly #parts: FoldParts<Row>;
  readonly #known: LRUCache<string, { readonly row: Row }>;
  #changed = new Map<string, Row>();
  /** Every row that there is, is at hand. */
  #isComplete: boolean;
  /** What has changed is not kept once it is written. */
  #isForgetting = false;

  constructor(parts: FoldParts<Row>) {
    this.#parts = parts;
    this.#isComplete = parts.isEmpty;
    this.#known = new LRUCache({
      max: parts.kept,
      dispose: (_row, _key, reason) => {
        if (reason === 'evict') this.#isComplete = false;
      },
    });
  }

  /** How many rows changed. */
  get changes(): number {
    return this.#changed.size;
  }

  /**
   * @param events in order
   * @returns the keys of the rows that they are about
   * @throws where one of them cannot be folded: says which, and why
   */
  async take(events: readonly RecordedEvent[]): Promise<ReadonlySet<string>> {
    const keyed: (readonly [key: string, event: RecordedEvent])[] = [];
    for (const event of events) {
      keyed.push([tryOn(event, () => this.#parts.projection.keyOf(event)), event]);
    }
    const keys = new Set(keyed.map(([key]) => key));
    const rows = await this.#rowsOf(keys);
    for (const [key, event] of keyed) {
      const before = rows.get(key);
      const after = tryOn(event, () => this.#parts.projection.evolveRow(before, event));
      if (after === undefined || after === before) continue;
      rows.set(key, after);
      this.#changed.set(key, after);
    }
    return keys;
  }

  /** The rows that changed: from now on they count as written. */
  taken(): Row[] {
    const changed = this.#changed;
    this.#changed = new Map();
    if (!this.#isForgetting) for (const [key, row] of changed) this.#known.set(key, { row });
    this.#isForgetting = false;
    return [...changed.values()];
  }

  /** Keeps no row at hand, nor those that are still to be written once they are. */
  forget(): void {
    this.#isComplete = false;
    this.#isForgetting = this.#changed.size > 0;
    this.#known.clear();
  }

  async #rowsOf(keys: ReadonlySet<string>): Promise<Map<string, Row>> {
    const rows = new Map<string, Row>();
    const missing: string[] = [];
    for (const key of keys) {
      const row = this.#changed.get(key) ?? this.#known.get(key)?.row;
      if (row !== undefined) rows.set(key, row);
      else if (!this.#isComplete) missing.push(key);
    }
    for (let at = 0; at < missing.length; at += KEYS_PER_QUERY) {
      const found = await this.#parts.load(missing.slice(at, at + KEYS_PER_QUERY));
      for (const [key, row] of found) rows.set(key, row);
    }
    return rows;
  }
}

function tryOn<T>(event: RecordedEvent, handle: () => T): T {
  try {
    mustBeReadable(event);
    return handle();
  } catch (error) {
    const { type, position, eventId } = event;
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`The event ${type} at position ${position} (${eventId}) cannot be folded: ${why}`, {
      cause: error,
    });
  }
}
