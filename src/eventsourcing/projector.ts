import { LRUCache } from 'lru-cache';
import type { SqlClient } from '../platform/database.ts';
import type { CheckpointMove } from './checkpoints.ts';
import type { RecordedEvent } from './event.ts';
import type { FollowerTask } from './follower-task.ts';
import type { ProjectedRow, Projection } from './projection.ts';
import type { ReadRows } from './read-table.ts';

const CACHED_ROWS = 10_000;

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
  readonly client: SqlClient;
  /** Called after each commit, in order. */
  onCommit(changes: readonly RowChange<Row>[]): void;
  /** Called where another node has changed rows: which, but not to what. Without keys it may be any. */
  onChanged(keys?: readonly string[]): void;
  /** Called where events were parked: of some row, or of a stream of which the row cannot be told. */
  onParked(): void;
}

/** Keeps one read table up with the log: folds events, and writes rows and checkpoint in one go. */
export class Projector<Row extends ProjectedRow> implements FollowerTask {
  readonly name: string;
  readonly version: number;
  readonly #parts: ProjectorParts<Row>;
  readonly #eventTypes: ReadonlySet<string>;
  /** Rows as this process last committed them; thrown away as soon as another process has written. */
  readonly #committed = new LRUCache<string, { row: Row }>({ max: CACHED_ROWS });

  constructor(parts: ProjectorParts<Row>) {
    this.#parts = parts;
    this.#eventTypes = new Set(parts.projection.eventTypes);
    this.name = `projection:${parts.projection.name}`;
    this.version = parts.projection.version;
  }

  consumes(eventType: string): boolean {
    return this.#eventTypes.has(eventType);
  }

  concerns({ type }: RecordedEvent): boolean {
    return this.#eventTypes.has(type);
  }

  laneOf(event: RecordedEvent): string {
    return this.#parts.projection.keyOf(event);
  }

  /** The row as this process committed it; undefined if it has to be read from the table. */
  committedRow(key: string): Row | undefined {
    return this.#committed.get(key)?.row;
  }

  /** Keeps a row at hand that was read from the table, unless this process has committed one meanwhile. */
  remember(key: string, row: Row): void {
    if (!this.#committed.has(key)) this.#committed.set(key, { row });
  }

  async handle(events: readonly RecordedEvent[], move: CheckpointMove): Promise<(() => void) | undefined> {
    const changes = await this.#fold(events);
    const rows = changes.map(({ row }) => row);
    if (!(await this.#parts.rows.save(rows, move))) return undefined;
    return () => {
      for (const { key, row } of changes) this.#committed.set(key, { row });
      this.#parts.onCommit(changes);
    };
  }

  observe(events: readonly RecordedEvent[]): void {
    if (events.length === 0) return;
    const keys = new Set<string>();
    for (const event of events) {
      try {
        keys.add(this.#parts.projection.keyOf(event));
      } catch {
        // It is parked by its stream, and has changed no row.
      }
    }
    for (const key of keys) this.#committed.delete(key);
    this.#parts.onChanged([...keys]);
  }

  forget(): void {
    this.#committed.clear();
    this.#parts.onChanged();
  }

  parked(): void {
    this.#parts.onParked();
  }

  /** The rows of another version of the code are thrown away, to be folded from the first event on. */
  async reset(owner: string): Promise<void> {
    const { client, projection } = this.#parts;
    const { name, version } = this;
    await client.prisma.$transaction([
      client.prisma.checkpoint.updateMany({ where: { name, owner }, data: { version, position: 0, attempted: -1 } }),
      // After the checkpoint is locked: who still writes by the old one has finished, or writes nothing any more.
      ...[
        `${projection.table.name} WHERE true`,
        'parked_events WHERE source = $1',
        'dead_letters WHERE source = $1',
      ].map((outdated) =>
        client.prisma.$executeRawUnsafe(
          `DELETE FROM ${outdated} AND EXISTS (SELECT FROM checkpoints WHERE name = $1 AND owner = $2::uuid)`,
          name,
          owner,
        ),
      ),
    ]);
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
