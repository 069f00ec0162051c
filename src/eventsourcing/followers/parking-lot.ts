import { z } from 'zod';
import type { SqlClient } from '../../platform/database.ts';
import { failureText } from '../failure-text.ts';
import type { JsonObject } from '../json.ts';
import type { RecordedEvent } from '../log/event.ts';
import { column } from '../projections/read-table.ts';

const LANES = `
  SELECT lane, EXISTS (
    SELECT FROM dead_letters WHERE dead_letters.source = $1 AND dead_letters.lane = parked.lane AND status = 'OPEN'
  ) AS "isBlocked"
  FROM (SELECT DISTINCT lane FROM parked_events WHERE source = $1) AS parked`;
const CHANGES = 'SELECT parked_changes AS changes FROM checkpoints WHERE name = $1';
const FIRST = 'SELECT position FROM parked_events WHERE source = $1 AND lane = $2 ORDER BY position LIMIT 1';

const ATTEMPT =
  'UPDATE parked_events SET attempts = attempts + 1 WHERE source = $1 AND position = $2 RETURNING attempts';

const attemptRows = z.array(z.object({ attempts: z.number() }));
const laneRows = z.array(z.object({ lane: z.string(), isBlocked: z.boolean() }));
const changeRows = z.array(z.object({ changes: z.number() }));
const firstRows = z.array(z.object({ position: column.safeInt() }));
const STREAM = 'stream ';

/** Events that a follower passed without handling them: by their lanes, what failed first and what waits behind it. */
export class ParkingLot {
  /** Dead letters may have been retried or dropped since it was loaded. */
  isOutdated = false;
  /** The number of changes that this is as of. */
  changes = 0;
  readonly #client: SqlClient;
  readonly #source: string;
  #lanes = new Set<string>();
  /** Lanes without a dead letter that is open. */
  #open: string[] = [];
  /** Those of them whose oldest event has to wait for one of another lane. */
  #deferred: string[] = [];

  constructor(client: SqlClient, source: string) {
    this.#client = client;
    this.#source = source;
  }

  static laneOfStream(streamId: string): string {
    return `${STREAM}${streamId}`;
  }

  get isEmpty(): boolean {
    return this.#lanes.size === 0;
  }

  get size(): number {
    return this.#lanes.size;
  }

  /** Whether an event has to wait behind another of its lane or stream. */
  holds(lane: string, { streamId }: { readonly streamId: string }): boolean {
    return this.#lanes.has(lane) || this.#lanes.has(ParkingLot.laneOfStream(streamId));
  }

  /** Whether something of this lane, or of one of these streams, waits. */
  has(lane: string, streamIds: readonly string[] = []): boolean {
    if (this.isEmpty) return false;
    return this.#lanes.has(lane) || streamIds.some((it) => this.#lanes.has(ParkingLot.laneOfStream(it)));
  }

  /** Nothing of this lane goes on. */
  block(lane: string): void {
    this.#lanes.add(lane);
    this.#open = this.#open.filter((it) => it !== lane);
    this.#deferred = this.#deferred.filter((it) => it !== lane);
  }

  /** The oldest event of this lane has to wait for one of another. */
  defer(lane: string): void {
    this.block(lane);
    this.#deferred.push(lane);
  }

  /** Something has changed in one lane: it may be what others wait for. */
  resume(): void {
    this.#open.push(...this.#deferred.splice(0));
  }

  remove(lane: string): void {
    this.block(lane);
    this.#lanes.delete(lane);
    this.resume();
  }

  /** A lane that may go on. */
  nextLane(): string | undefined {
    return this.#open[0];
  }

  /** The position of the oldest event that waits in a lane. */
  async firstOf(lane: string): Promise<number | undefined> {
    return firstRows.parse(await this.#client.query(FIRST, this.#source, lane))[0]?.position;
  }

  /** Counts an attempt to handle a parked event. @returns which it is */
  async attempt(position: number): Promise<number> {
    return attemptRows.parse(await this.#client.query(ATTEMPT, this.#source, position))[0]?.attempts ?? 1;
  }

  /** Whether anything was parked, or is no longer, since it was read. */
  async hasChanged(): Promise<boolean> {
    return (await this.#storedChanges()) !== this.changes;
  }

  /** Reads what is parked. @returns the lanes that were not known yet */
  async load(changes?: number): Promise<string[]> {
    this.isOutdated = false;
    // Read first: what changes afterwards is seen as a change.
    this.changes = changes ?? (await this.#storedChanges());
    const rows = laneRows.parse(await this.#client.query(LANES, this.#source));
    const added = rows.map(({ lane }) => lane).filter((lane) => !this.#lanes.has(lane));
    this.#lanes = new Set(rows.map(({ lane }) => lane));
    this.#open = rows.filter(({ isBlocked }) => !isBlocked).map(({ lane }) => lane);
    this.#deferred = [];
    return added;
  }

  async #storedChanges(): Promise<number> {
    return changeRows.parse(await this.#client.query(CHANGES, this.#source))[0]?.changes ?? 0;
  }

  /** The dead letter of an event, as `move_checkpoint` takes it. */
  letterOf(event: RecordedEvent, lane: string, attempts: number, error: unknown, id: string): JsonObject {
    const { eventId, position, type, streamId, version } = event;
    return {
      id,
      subject: eventId,
      lane,
      position,
      attempts,
      payload: { event: type, eventId, streamId, version },
      ...failureText(error),
    };
  }
}
