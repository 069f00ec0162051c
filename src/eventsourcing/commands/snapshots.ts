import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import type { SqlClient } from '../../platform/database.ts';
import type { Logger } from '../../platform/logger.ts';
import { canonicalJson, type Json } from '../json.ts';
import { keyNameOf } from '../keys/sealing.ts';
import type { Opening, StorageCodec } from '../log/codec.ts';
import type { RecordedEvent } from '../log/event.ts';
import type { Aggregate } from './aggregate.ts';
import type { StreamState } from './decision-batch.ts';
import type { SnapshotPolicy } from './snapshot-policy.ts';

/** States that wait to be written; what is more than that is left out, and comes again with a later event. */
const MAX_PENDING = 64;
/** Of how many streams it is known when the last one was taken. */
const MAX_KNOWN = 50_000;
/** To read so much of a snapshot costs about as much as to read an event: until there are as many, none is taken anew. */
const BYTES_PER_EVENT = 500;

// A stream that goes on otherwise than when this was taken, as after a restore, has another event there.
const LOAD = `
  SELECT found.* FROM unnest($1::text[], $2::text[]) AS wanted(stream_id, shape) CROSS JOIN LATERAL (
    SELECT snapshots.stream_id AS "streamId", version, event_id AS "eventId", shape, state, checksum
    FROM snapshots
    WHERE snapshots.stream_id = wanted.stream_id AND snapshots.shape = wanted.shape
      AND EXISTS (
        SELECT FROM events
        WHERE events.stream_id = snapshots.stream_id AND events.version = snapshots.version
          AND events.event_id = snapshots.event_id
      )
    OFFSET 0) AS found`;
// The commit does not wait for the disk: if it is lost, the stream is read from the one before.
const SAVE = `
  INSERT INTO snapshots (stream_id, version, event_id, shape, state, checksum, subjects, taken_at)
  SELECT $1, $2::int, $3::uuid, $4, $5, $6, $7::text[], now()
  WHERE set_config('synchronous_commit', 'off', true) = 'off'
  ON CONFLICT (stream_id) DO UPDATE SET version = EXCLUDED.version, event_id = EXCLUDED.event_id,
    shape = EXCLUDED.shape, state = EXCLUDED.state, checksum = EXCLUDED.checksum, subjects = EXCLUDED.subjects,
    taken_at = EXCLUDED.taken_at`;

const snapshotRow = z.object({
  streamId: z.string(),
  version: z.number(),
  eventId: z.string(),
  shape: z.string(),
  state: z.string(),
  checksum: z.string(),
});
type SnapshotRow = z.output<typeof snapshotRow>;

/** A kind of aggregate that has snapshots. */
interface Kept {
  readonly type: string;
  readonly policy: SnapshotPolicy;
  /** Of state, events and their versions: snapshots of any other are not looked at. */
  readonly shape: string;
}

interface Pending extends StreamState {
  readonly kept: Kept;
  readonly streamId: string;
  /** Of the last event that is in it. */
  readonly eventId: string;
}

/** A snapshot on its way from the database: its state sealed at first, then open. */
interface Found {
  readonly row: SnapshotRow;
  readonly kept: Kept;
  readonly state: unknown;
}

const opening: Opening<Found> = {
  kind: 'snapshot',
  name: ({ kept }) => kept.type,
  id: ({ row }) => placeOf(row.streamId, row.version),
  data: ({ state }) => state,
  opened: (found, state) => ({ ...found, state }),
};

export interface SnapshotParts {
  /** Of the log: the two are compared. */
  readonly client: SqlClient;
  readonly codec: StorageCodec;
  readonly aggregates: readonly Aggregate[];
  readonly logger: Logger;
}

/**
 * Snapshots of states, for aggregates whose streams grow long. They are written behind the commands that they are of, one
 * at a time; what cannot be written, or read, costs nothing but the time to fold the stream.
 */
export class Snapshots {
  readonly #parts: SnapshotParts;
  readonly #kept: ReadonlyMap<string, Kept>;
  readonly #pending = new Map<string, Pending>();
  /** The newest of each stream, as far as this process knows, and its length as text. */
  readonly #taken = new LRUCache<string, { readonly version: number; readonly length: number }>({ max: MAX_KNOWN });
  #writing: Promise<void> | undefined;
  #isStopped = false;

  /** @throws {NotStorable} a state has protected members that cannot be sealed */
  constructor(parts: SnapshotParts) {
    this.#parts = parts;
    const kept = parts.aggregates.flatMap(({ type, events, snapshots: policy }) => {
      if (policy === undefined) return [];
      parts.codec.admit(type, storedSide(policy.state), 'snapshot');
      return [[type, { type, policy, shape: shapeOf(policy, events) }] as const];
    });
    this.#kept = new Map(kept);
  }

  /**
   * Where to begin to fold these streams; those of which nothing is kept, or nothing that can be trusted, are not among
   * them.
   * @throws what the driver throws where the database is away
   */
  async load(streams: ReadonlyMap<string, Aggregate>): Promise<Map<string, StreamState>> {
    const wanted = [...streams].flatMap(([streamId, { type }]) => {
      const kept = this.#kept.get(type);
      return kept === undefined ? [] : [{ streamId, kept }];
    });
    if (wanted.length === 0) return new Map();
    const ids = wanted.map(({ streamId }) => streamId);
    const shapes = wanted.map(({ kept }) => kept.shape);
    const rows = await this.#parts.client.query(LOAD, ids, shapes);
    const keptOf = new Map(wanted.map(({ streamId, kept }) => [streamId, kept]));
    const found = rows.flatMap((row) => this.#whole(snapshotRow.parse(row), keptOf));
    const opened = await this.#parts.codec.openAll(found, opening);
    const states = new Map<string, StreamState>();
    for (const [at, it] of opened.entries()) {
      const state = this.#decoded(it, found[at]?.state);
      if (state === undefined) continue;
      const { streamId, version } = it.row;
      states.set(streamId, { version, state: state.value });
      this.#taken.set(streamId, { version, length: it.row.state.length });
    }
    return states;
  }

  /**
   * Takes a snapshot of a state that stands in the log, if it is time for one. Returns at once.
   * @param events the last of them that is of this stream is the last that is in the state
   */
  offer(aggregateType: string, streamId: string, state: StreamState, events: readonly RecordedEvent[]): void {
    const kept = this.#kept.get(aggregateType);
    if (kept === undefined || state.version < kept.policy.every || state.unreadable !== undefined) return;
    const taken = this.#taken.get(streamId) ?? { version: 0, length: 0 };
    if (state.version - taken.version < Math.max(kept.policy.every, taken.length / BYTES_PER_EVENT)) return;
    const last = events.findLast((event) => event.streamId === streamId);
    if (last?.version !== state.version || this.#isStopped) return;
    if (this.#pending.size >= MAX_PENDING && !this.#pending.has(streamId)) return;
    this.#pending.set(streamId, { ...state, kept, streamId, eventId: last.eventId });
    // Also if it fails: it is not tried again with each event.
    this.#taken.set(streamId, { version: state.version, length: taken.length });
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  /** Waits until nothing is to be written. */
  async settle(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  /** Takes none any more; those that wait are written, as far as the database takes them. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.settle();
  }

  async #write(): Promise<void> {
    for (;;) {
      // Whoever is answered goes first.
      await nextTurn();
      const [next] = this.#pending.values();
      if (next === undefined) return;
      this.#pending.delete(next.streamId);
      const { streamId } = next;
      try {
        const length = await this.#save(next);
        this.#taken.set(streamId, { version: this.#taken.get(streamId)?.version ?? next.version, length });
      } catch (error) {
        this.#parts.logger.warn({ err: error, stream: streamId }, 'a snapshot could not be taken: it is done without');
        // Nobody waits long for a server to end because its database is away.
        if (this.#isStopped) this.#pending.clear();
      }
    }
  }

  /** @returns how long it is */
  async #save({ kept: { type, policy, shape }, streamId, version, state, eventId }: Pending): Promise<number> {
    const { codec, client } = this.#parts;
    const plain = codec.encodeValid(z.encode(policy.state, state));
    const subjects = new Set<string>();
    codec.addSubjects(subjects, 'snapshot', type, plain);
    const keys = await codec.keysFor(subjects);
    const text = JSON.stringify(codec.seal('snapshot', type, placeOf(streamId, version), plain, keys));
    const checksum = codec.checksum(checkedText({ streamId, version, eventId, shape, state: text }));
    await client.query(SAVE, streamId, version, eventId, shape, text, checksum, [...subjects]);
    return text.length;
  }

  #whole(row: SnapshotRow, keptOf: ReadonlyMap<string, Kept>): Found[] {
    const kept = keptOf.get(row.streamId);
    const isWhole = kept !== undefined && this.#parts.codec.checksum(checkedText(row)) === row.checksum;
    const state = isWhole ? parsed(row.state) : undefined;
    if (kept === undefined || state === undefined) {
      this.#ignore(row, 'it is not as it was written');
      return [];
    }
    return [{ row, kept, state: state.value }];
  }

  #decoded({ row, kept, state }: Found, sealed: unknown): { value: unknown } | undefined {
    // Of somebody who was forgotten, or whose key cannot be used: what the log still says of it, the log is asked.
    if (!isOpen(sealed, state)) return undefined;
    const result = z.safeDecode(kept.policy.state, state);
    if (result.success) return { value: result.data };
    this.#ignore(row, 'it does not fit its schema');
    return undefined;
  }

  #ignore({ streamId, version }: SnapshotRow, why: string): void {
    this.#parts.logger.warn({ stream: streamId, version }, `a snapshot is not used: ${why}`);
  }
}

/** What a sealed member of it is bound to. */
function placeOf(streamId: string, version: number): string {
  return `${streamId}@${version}`;
}

function checkedText({ streamId, version, eventId, shape, state }: Omit<SnapshotRow, 'checksum'>): string {
  return `${JSON.stringify([streamId, version, eventId, shape])}${state}`;
}

function parsed(text: string): { value: Json } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

/** Whether all that was sealed could be opened. */
function isOpen(sealed: unknown, opened: unknown): boolean {
  const before = members.safeParse(sealed).data ?? {};
  const after = members.safeParse(opened).data ?? {};
  return Object.entries(before).every(([name, it]) => keyNameOf(it) === undefined || after[name] !== null);
}

const members = z.record(z.string(), z.unknown());

/** The schema of what is stored of a state. */
function storedSide(schema: z.ZodType): z.ZodType {
  return schema instanceof z.ZodPipe ? storedSide(z.instanceof(z.ZodType).parse(schema.in)) : schema;
}

function shapeOf({ version, state }: SnapshotPolicy, events: Aggregate['events']): string {
  const schema = z.toJSONSchema(state, { io: 'input', unrepresentable: 'any' });
  const known = events.map(({ type, schemaVersion }) => `${type} v${schemaVersion}`).sort();
  return createHash('sha256')
    .update(canonicalJson([version, schema, known]))
    .digest('base64url')
    .slice(0, 22);
}
