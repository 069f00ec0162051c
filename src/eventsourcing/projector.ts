import { setTimeout as delay } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import type { SqlClient } from '../platform/database.ts';
import type { Logger } from '../platform/logger.ts';
import type { RecordedEvent } from './event.ts';
import type { LogTail } from './log-tail.ts';
import type { ProjectedRow, Projection } from './projection.ts';
import { column, type ReadRows } from './read-table.ts';

const MAX_BATCH = 1_000;
const CACHED_ROWS = 10_000;
/** Where no event concerns a projection, its checkpoint is written this seldom: it only spares reading them again. */
const IDLE_EVENTS = 5_000;
const LONGEST_PAUSE_MS = 5_000;

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
  readonly tail: LogTail;
  readonly logger: Logger;
  /** Called after each commit, in order. */
  onCommit(changes: readonly RowChange<Row>[]): void;
  /** Called where another process has written rows meanwhile: these are known to have changed, but not to what. */
  onOvertaken(): void;
}

interface Waiter {
  readonly position: number;
  readonly done: (reached: boolean) => void;
}

/** Keeps one read table up with the log: reads batches of events, folds them, writes rows and checkpoint in one go. */
export class Projector<Row extends ProjectedRow> {
  readonly #parts: ProjectorParts<Row>;
  readonly #eventTypes: ReadonlySet<string>;
  /** Rows as this process last committed them; thrown away as soon as another process has written. */
  readonly #committed = new LRUCache<string, { row: Row }>({ max: CACHED_ROWS });
  readonly #stopped = new AbortController();
  #position = 0;
  #saved = 0;
  #waiters: Waiter[] = [];
  #wake: (() => void) | undefined;
  #loop: Promise<void> | undefined;
  #failing = false;
  #isDoubtful = false;

  constructor(parts: ProjectorParts<Row>) {
    this.#parts = parts;
    this.#eventTypes = new Set(parts.projection.eventTypes);
  }

  get name(): string {
    return this.#parts.projection.name;
  }

  /** The position up to which every event is in the read table. */
  get position(): number {
    return this.#position;
  }

  /** Its last attempt to go on failed; it tries again. */
  get failing(): boolean {
    return this.#failing;
  }

  consumes(eventType: string): boolean {
    return this.#eventTypes.has(eventType);
  }

  /** The row as this process committed it; undefined if it has to be read from the table. */
  committedRow(key: string): Row | undefined {
    return this.#committed.get(key)?.row;
  }

  /** Keeps a row at hand that was read from the table, unless this process has committed one meanwhile. */
  remember(key: string, row: Row): void {
    if (!this.#committed.has(key)) this.#committed.set(key, { row });
  }

  /**
   * The database was away: if it crashed, rows and checkpoint may be older than they were, for they are committed
   * without waiting for the disk. Reads the checkpoint again, and goes on from there.
   */
  recheck(): void {
    this.#isDoubtful = true;
    this.#wake?.();
  }

  async start(): Promise<void> {
    await this.#readCheckpoint();
    const unfollow = this.#parts.tail.follow(() => this.#wake?.());
    this.#loop = this.#run().finally(unfollow);
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#wake?.();
    await this.#loop;
    for (const { done } of this.#waiters) done(false);
    this.#waiters = [];
  }

  /** Waits until the read table has reached a position. @returns false if it has not, in time */
  reach(position: number, timeoutMs: number): Promise<boolean> {
    if (position <= this.#position) return Promise.resolve(true);
    if (this.#stopped.signal.aborted) return Promise.resolve(false);
    return new Promise((resolve) => {
      const done = (reached: boolean) => {
        clearTimeout(timer);
        resolve(reached);
      };
      const waiter = { position, done };
      const timer = setTimeout(() => {
        this.#waiters = this.#waiters.filter((it) => it !== waiter);
        resolve(false);
      }, timeoutMs);
      this.#waiters.push(waiter);
    });
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped;
    for (let pause = 50; !signal.aborted; ) {
      try {
        if (this.#isDoubtful) await this.#overtaken();
        this.#isDoubtful = false;
        const advanced = await this.#step();
        this.#failing = false;
        pause = 50;
        if (!advanced) await this.#untilWoken();
      } catch (error) {
        this.#failing = true;
        this.#parts.logger.error({ err: error, projection: this.name, position: this.#position }, 'projection failed');
        this.#committed.clear();
        await delay(pause, undefined, { signal }).catch(() => {});
        pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
        await this.#overtaken().catch(() => {});
      }
    }
    await this.#saveIdle().catch(() => {});
  }

  async #untilWoken(): Promise<void> {
    if (this.#stopped.signal.aborted || this.#isDoubtful || this.#parts.tail.head > this.#position) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
  }

  /** Handles the next batch. @returns false if there was nothing to read */
  async #step(): Promise<boolean> {
    const { tail, projection, rows } = this.#parts;
    if (tail.head <= this.#position) return false;
    const events = await tail.read(this.#position, MAX_BATCH);
    const last = events.at(-1);
    if (last === undefined) return false;
    const changes = await this.#fold(events.filter((event) => this.#eventTypes.has(event.type)));
    if (changes.length > 0) {
      const move = { projection: projection.name, version: projection.version, from: this.#saved, to: last.position };
      const written = await rows.save(
        changes.map(({ row }) => row),
        move,
      );
      if (!written) {
        await this.#overtaken();
        return true;
      }
      this.#saved = last.position;
      for (const { key, row } of changes) this.#committed.set(key, { row });
    }
    this.#advance(last.position);
    this.#parts.onCommit(changes);
    if (this.#position - this.#saved >= IDLE_EVENTS) await this.#saveIdle();
    return true;
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

  #advance(position: number): void {
    this.#position = position;
    if (this.#waiters.length === 0) return;
    const reached = this.#waiters.filter((it) => it.position <= position);
    this.#waiters = this.#waiters.filter((it) => it.position > position);
    for (const { done } of reached) done(true);
  }

  /** Another process has moved the checkpoint: go on from where it is. */
  async #overtaken(): Promise<void> {
    this.#committed.clear();
    await this.#readCheckpoint();
    this.#parts.onOvertaken();
  }

  async #saveIdle(): Promise<void> {
    if (this.#position === this.#saved) return;
    const { client, projection } = this.#parts;
    const moved = await client.query(
      'UPDATE checkpoints SET position = $2, updated_at = now() WHERE projection = $1 AND position = $3 AND version = $4 RETURNING 1',
      projection.name,
      this.#position,
      this.#saved,
      projection.version,
    );
    if (moved.length === 0) await this.#overtaken();
    else this.#saved = this.#position;
  }

  async #readCheckpoint(): Promise<void> {
    const { client, projection } = this.#parts;
    const found = checkpoints.parse(
      await client.query('SELECT position, version FROM checkpoints WHERE projection = $1', projection.name),
    )[0];
    if (found !== undefined && found.version > projection.version)
      throw new Error(`${projection.name} belongs to its version ${found.version} now.`);
    if (found?.version !== projection.version) await this.#beginAnew();
    this.#saved = found?.version === projection.version ? found.position : 0;
    this.#advance(this.#saved);
  }

  /** The rows of another version of the code are thrown away, and folded from the first event on. */
  async #beginAnew(): Promise<void> {
    const { client, projection } = this.#parts;
    await client.prisma.$transaction([
      client.prisma.checkpoint.upsert({
        where: { projection: projection.name },
        create: { projection: projection.name, version: projection.version, position: 0 },
        update: { version: projection.version, position: 0 },
      }),
      // After the checkpoint is locked: who still writes by the old one has finished, or writes nothing any more.
      client.prisma.$executeRawUnsafe(`DELETE FROM ${projection.table.name}`),
    ]);
  }
}

const checkpoints = z.array(z.object({ position: column.safeInt(), version: z.number() }));
