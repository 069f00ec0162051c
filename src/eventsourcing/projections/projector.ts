import { LRUCache } from 'lru-cache';
import type { Clock } from '../../platform/clock.ts';
import type { SqlClient } from '../../platform/database.ts';
import type { CheckpointMove } from '../followers/checkpoints.ts';
import type { FollowerTask } from '../followers/follower-task.ts';
import { mustBeReadable, type RecordedEvent } from '../log/event.ts';
import type { EventLog } from '../log/event-log.ts';
import { followerOf, type ProjectedRow, type Projection } from './projection.ts';
import type { ReadRows } from './read-table.ts';

const CACHED_ROWS = 10_000;

const REBUILD_OUTDATED = 'SELECT rebuild_outdated($1, $2::uuid, $3::timestamptz)::text';

/** A row that was changed by events, as committed. */
export interface RowChange<Row> {
  readonly key: string;
  /** The row before; undefined if it is new. */
  readonly before: Row | undefined;
  readonly row: Row;
  readonly events: readonly RecordedEvent[];
}

export interface ProjectorParts<Row extends ProjectedRow> {
  readonly projection: Projection<Row>;
  readonly rows: ReadRows<Row>;
  readonly log: Pick<EventLog, 'forgetting' | 'forgottenBy'>;
  readonly client: SqlClient;
  readonly clock: Clock;
  /** Called after each commit, in order. */
  onCommit(changes: readonly RowChange<Row>[]): void;
  /** Called where another node has changed rows: which, but not to what. Without keys it may be any. */
  onChanged(keys?: readonly string[]): void;
  /** Called where all rows were replaced by rebuilt ones. */
  onReplaced(): void;
  /** Called where somebody is forgotten: after rows were purged, and perhaps before. */
  onForgotten(): void;
  /** Called where events were parked: of some row, or of a stream of which the row cannot be told. */
  onParked(): void;
}

/** Keeps one read table up with the log: folds events, and writes rows and checkpoint in one go. */
export class Projector<Row extends ProjectedRow> implements FollowerTask {
  readonly name: string;
  readonly version: number;
  readonly #parts: ProjectorParts<Row>;
  readonly #eventTypes: ReadonlySet<string>;
  readonly #forgetting: ReadonlySet<string>;
  /** Rows as this process last committed them; thrown away as soon as another process has written. */
  readonly #committed = new LRUCache<string, { row: Row }>({ max: CACHED_ROWS });
  #epoch = 0;

  constructor(parts: ProjectorParts<Row>) {
    this.#parts = parts;
    this.#eventTypes = new Set(parts.projection.eventTypes);
    this.#forgetting = parts.log.forgetting;
    this.name = followerOf(parts.projection.name);
    this.version = parts.projection.version;
  }

  consumes(eventType: string): boolean {
    return this.#eventTypes.has(eventType);
  }

  concerns({ type }: RecordedEvent): boolean {
    return this.#eventTypes.has(type) || (this.#forgetting.has(type) && this.#parts.rows.isPersonal);
  }

  /** @throws {UnreadableEvent} its row cannot be told: it is parked by its stream, for a newer server to take it */
  laneOf(event: RecordedEvent): string {
    mustBeReadable(event);
    if (!this.#eventTypes.has(event.type)) return `forgotten ${event.streamId}`;
    return this.#parts.projection.keyOf(event);
  }

  /** The row as this process committed it; undefined if it has to be read from the table. */
  committedRow(key: string): Row | undefined {
    return this.#committed.get(key)?.row;
  }

  /** Rises whenever what was read before may have been replaced by something else. */
  get epoch(): number {
    return this.#epoch;
  }

  /**
   * Keeps a row at hand that was read from the table, unless this process has committed one meanwhile.
   * @param readIn the epoch before it was read
   */
  remember(key: string, row: Row, readIn = this.#epoch): void {
    if (readIn === this.#epoch && !this.#committed.has(key)) this.#committed.set(key, { row });
  }

  async handle(events: readonly RecordedEvent[], move: CheckpointMove): Promise<(() => void) | undefined> {
    for (const event of events) mustBeReadable(event);
    const forgotten = this.#parts.log.forgottenBy(events);
    if (forgotten.length > 0) {
      // Before the checkpoint moves: whoever dies in between does it again.
      await this.#parts.rows.purge(forgotten);
      this.#committed.clear();
    }
    const changes = await this.#fold(events.filter(({ type }) => this.#eventTypes.has(type)));
    const rows = changes.map(({ row }) => row);
    if (!(await this.#parts.rows.save(rows, move))) return undefined;
    return () => {
      for (const { key, row } of changes) this.#committed.set(key, { row });
      this.#parts.onCommit(changes);
      if (forgotten.length > 0) this.#parts.onForgotten();
    };
  }

  observe(events: readonly RecordedEvent[]): void {
    if (events.length === 0) return;
    const keys = new Set<string>();
    for (const event of events) {
      if (!this.#eventTypes.has(event.type)) continue;
      try {
        keys.add(this.#parts.projection.keyOf(event));
      } catch {
        // It is parked by its stream, and has changed no row.
      }
    }
    for (const key of keys) this.#committed.delete(key);
    this.#parts.onChanged([...keys]);
    if (this.#parts.log.forgottenBy(events).length > 0) this.forgetPersons();
  }

  /** Somebody is forgotten: they may be in any row in memory. */
  forgetPersons(): void {
    if (this.#parts.rows.isPersonal) this.#committed.clear();
    this.#parts.onForgotten();
  }

  forget(): void {
    this.#epoch += 1;
    this.#committed.clear();
    this.#parts.onChanged();
  }

  parked(): void {
    this.#parts.onParked();
  }

  /** The rows were folded by an older version of the code: they are served and folded on until they are rebuilt. */
  async outdated(owner: string): Promise<void> {
    await this.#parts.client.query(REBUILD_OUTDATED, this.name, owner, this.#parts.clock.now());
  }

  replaced(): void {
    this.#epoch += 1;
    this.#committed.clear();
    this.#parts.onReplaced();
  }

  async #fold(events: readonly RecordedEvent[]): Promise<RowChange<Row>[]> {
    const { projection, rows } = this.#parts;
    const byKey = new Map<string, RecordedEvent[]>();
    for (const event of events) {
      const key = projection.keyOf(event);
      const known = byKey.get(key);
      if (known === undefined) byKey.set(key, [event]);
      else known.push(event);
    }
    // Taken before the rest is read: meanwhile the cache may forget them.
    const known = new Map([...byKey.keys()].map((key) => [key, this.#committed.get(key)?.row]));
    const loaded = await rows.load([...byKey.keys()].filter((key) => known.get(key) === undefined));
    return [...byKey].flatMap(([key, ofRow]) => {
      const before = known.get(key) ?? loaded.get(key);
      const row = ofRow.reduce<Row | undefined>((current, event) => projection.evolveRow(current, event), before);
      return row === undefined || row === before ? [] : [{ key, before, row, events: ofRow }];
    });
  }
}
