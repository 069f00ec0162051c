import type { Clock } from '../../platform/clock.ts';
import type { Database } from '../../platform/database.ts';
import type { Ids } from '../../platform/ids.ts';
import type { Logger } from '../../platform/logger.ts';
import type { RetryPolicy } from '../commands/retry-policy.ts';
import { retryWhileAway } from '../database-away.ts';
import { LogFollower } from '../followers/log-follower.ts';
import type { StorageCodec } from '../log/codec.ts';
import type { EventLog } from '../log/event-log.ts';
import type { LogTail } from '../log/log-tail.ts';
import { TypedEvents } from '../log/typed-events.ts';
import type { ProjectedRow, Projection } from '../projections/projection.ts';
import { Projector } from '../projections/projector.ts';
import { ReadRows } from '../projections/read-table.ts';
import { Rebuild } from '../projections/rebuild.ts';
import { LARGE_STEPS, SMALL_STEPS } from '../projections/rebuild-pace.ts';
import { type ClaimedRebuild, type Differences, RebuildStore } from '../projections/rebuild-store.ts';
import { RowReader } from '../projections/row-reader.ts';
import { LiveHub } from './live-hub.ts';

export interface ViewParts<Row extends ProjectedRow> {
  readonly projection: Projection<Row>;
  readonly database: Database;
  readonly log: EventLog;
  readonly tail: LogTail;
  readonly codec: StorageCodec;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
  readonly retries: RetryPolicy;
  /** Called where the projection turned out to be another node's. */
  onLost(): void;
}

/** A projection at work: its rows, what keeps them up to date, and who watches them. */
export class View<Row extends ProjectedRow> {
  readonly rows: ReadRows<Row>;
  readonly projection: Projection<Row>;
  readonly projector: Projector<Row>;
  readonly follower: LogFollower;
  readonly live: LiveHub<Row>;
  readonly #reader: RowReader<Row>;
  #rebuild: Rebuild<Row> | undefined;
  readonly #rebuilding: (claimed: ClaimedRebuild, signal: AbortSignal) => Rebuild<Row>;

  constructor({ projection, database, codec, ...parts }: ViewParts<Row>) {
    this.projection = projection;
    this.rows = new ReadRows(projection.table, database.derived, codec);
    this.#reader = new RowReader(this.rows);
    this.live = new LiveHub(
      projection,
      { committed: (key) => this.projector.committedRow(key), load: (keys) => this.rows.load(keys) },
      parts.log,
    );
    this.projector = new Projector({
      projection,
      rows: this.rows,
      log: parts.log,
      client: database.derived,
      clock: parts.clock,
      onCommit: (changes) => this.live.committed(changes),
      onChanged: (keys) => {
        retryWhileAway(() => this.live.refresh(keys)).catch((error: unknown) => {
          parts.logger.warn({ err: error }, 'live rows could not be read');
        });
      },
      onReplaced: () => {
        retryWhileAway(() => this.live.replaced()).catch((error: unknown) => {
          parts.logger.warn({ err: error }, 'live rows could not be read');
        });
      },
      onForgotten: () => {
        retryWhileAway(() => this.live.forget(this.rows.isPersonal)).catch((error: unknown) => {
          parts.logger.warn({ err: error }, 'live rows could not be read');
        });
      },
      onParked: () => this.live.park((key, row) => this.#holds(key, row)),
    });
    this.follower = new LogFollower({ ...parts, task: this.projector, client: database.derived });
    const rebuilding = {
      projection,
      live: this.rows,
      rowsIn: (table: string) => new ReadRows(projection.table, database.derived, codec, table),
      follower: this.follower,
      events: new TypedEvents(database.log, parts.log, projection.eventTypes),
      tail: parts.tail,
      store: new RebuildStore(database.derived),
      client: database.derived,
      clock: parts.clock,
      pace: database.engine === 'pglite' ? SMALL_STEPS : LARGE_STEPS,
    };
    this.#rebuilding = (claimed, signal) => new Rebuild({ ...rebuilding, signal }, claimed);
  }

  /** Whether an event of this row waits as a dead letter, or behind one: then the row is not up to date. */
  async isParked(key: string): Promise<boolean> {
    if (this.follower.parking.isEmpty) return false;
    return this.#holds(key, await this.readCommitted(key));
  }

  /** Folds the log anew beside the live rows, which are replaced at once in the end. */
  async rebuild(claimed: ClaimedRebuild, signal: AbortSignal): Promise<Differences> {
    this.#rebuild = this.#rebuilding(claimed, signal);
    return this.#rebuild.run().finally(() => {
      this.#rebuild = undefined;
    });
  }

  /** Nothing stays in memory of rows that are being rebuilt: somebody in them is forgotten. */
  forgetRebuilt(): void {
    this.#rebuild?.forget();
  }

  /** Whether this is the view of that projection: then its rows are of that projection's type. */
  isOf<Other extends ProjectedRow>(projection: Projection<Other>): this is View<Other> {
    return this.projection.name === projection.name;
  }

  /** A row as it stands in the read table. Reads that are made at the same time share one query. */
  read(key: string): Promise<Row | undefined> {
    return this.#reader.read(key);
  }

  /** The row after this process's own change: as it was committed, or as it stands in the table. */
  async readCommitted(key: string): Promise<Row | undefined> {
    return this.projector.committedRow(key) ?? this.read(key);
  }

  /** The same, for whoever must not be shown what is not up to date: undefined where an event of it is parked. */
  async readUpToDate(key: string): Promise<Row | undefined> {
    return (await this.isParked(key)) ? undefined : this.readCommitted(key);
  }

  /**
   * Rows that a decision is made from.
   * @param isAlone no other process writes this store: then what this one committed is what the table holds
   */
  async facts(keys: readonly string[], isAlone: boolean): Promise<Map<string, Row>> {
    if (!isAlone) return this.rows.load(keys);
    const { epoch } = this.projector;
    const rows = new Map<string, Row>();
    for (const key of keys) {
      const row = this.projector.committedRow(key);
      if (row !== undefined) rows.set(key, row);
    }
    const missing = keys.filter((key) => !rows.has(key));
    for (const [key, row] of await this.rows.load(missing)) {
      this.projector.remember(key, row, epoch);
      rows.set(key, row);
    }
    return rows;
  }

  #holds(key: string, row: Row | undefined): boolean {
    return this.follower.parking.has(key, row === undefined ? [] : this.projection.streamsOf(row));
  }
}
