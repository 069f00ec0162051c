import type { Database } from '../platform/database.ts';
import type { Logger } from '../platform/logger.ts';
import type { StorageCodec } from './codec.ts';
import { retryWhileAway } from './database-away.ts';
import type { EventLog } from './event-log.ts';
import { LiveHub } from './live-hub.ts';
import type { LogTail } from './log-tail.ts';
import type { ProjectedRow, Projection } from './projection.ts';
import { Projector } from './projector.ts';
import { ReadRows } from './read-table.ts';
import { RowReader } from './row-reader.ts';

export interface ViewParts<Row extends ProjectedRow> {
  readonly projection: Projection<Row>;
  readonly database: Database;
  readonly log: EventLog;
  readonly tail: LogTail;
  readonly codec: StorageCodec;
  readonly logger: Logger;
}

/** A projection at work: its rows, what keeps them up to date, and who watches them. */
export class View<Row extends ProjectedRow> {
  readonly rows: ReadRows<Row>;
  readonly projector: Projector<Row>;
  readonly live: LiveHub<Row>;
  readonly #projection: Projection<Row>;
  readonly #reader: RowReader<Row>;

  constructor({ projection, database, log, tail, codec, logger }: ViewParts<Row>) {
    this.#projection = projection;
    this.rows = new ReadRows(projection.table, database.derived, codec);
    this.#reader = new RowReader(this.rows);
    this.live = new LiveHub(
      projection,
      { committed: (key) => this.projector.committedRow(key), load: (keys) => this.rows.load(keys) },
      log,
    );
    this.projector = new Projector({
      projection,
      rows: this.rows,
      client: database.derived,
      tail,
      logger,
      onCommit: (changes) => this.live.committed(changes),
      onOvertaken: () => {
        retryWhileAway(() => this.live.refresh()).catch((error: unknown) => {
          logger.warn({ err: error }, 'live rows could not be read');
        });
      },
    });
  }

  /** Whether this is the view of that projection: then its rows are of that projection's type. */
  isOf<Other extends ProjectedRow>(projection: Projection<Other>): this is View<Other> {
    return this.#projection.name === projection.name;
  }

  /** A row as it stands in the read table. Reads that are made at the same time share one query. */
  read(key: string): Promise<Row | undefined> {
    return this.#reader.read(key);
  }

  /** The row after this process's own change: as it was committed, or as it stands in the table. */
  async readCommitted(key: string): Promise<Row | undefined> {
    return this.projector.committedRow(key) ?? this.read(key);
  }

  /**
   * Rows that a decision is made from.
   * @param isAlone no other process writes this store: then what this one committed is what the table holds
   */
  async facts(keys: readonly string[], isAlone: boolean): Promise<Map<string, Row>> {
    if (!isAlone) return this.rows.load(keys);
    const rows = new Map<string, Row>();
    for (const key of keys) {
      const row = this.projector.committedRow(key);
      if (row !== undefined) rows.set(key, row);
    }
    const missing = keys.filter((key) => !rows.has(key));
    for (const [key, row] of await this.rows.load(missing)) {
      this.projector.remember(key, row);
      rows.set(key, row);
    }
    return rows;
  }

  start(): Promise<void> {
    return this.projector.start();
  }

  stop(): Promise<void> {
    return this.projector.stop();
  }
}
