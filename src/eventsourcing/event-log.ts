import { z } from 'zod';
import type { SqlClient } from '../platform/database.ts';
import { ACTOR_KINDS } from './actor.ts';
import { streamIdOf } from './aggregate.ts';
import type { StorageCodec } from './codec.ts';
import type { EventDefinition, RecordedEvent } from './event.ts';
import type { Json, JsonObject } from './json.ts';
import { column } from './read-table.ts';

/** A stream in a unit: the version that was decided on (0: not there yet) and the one after. */
export interface StreamMove {
  readonly streamId: string;
  readonly aggregateType: string;
  readonly aggregateId: string;
  readonly decidedOn: number;
  readonly version: number;
}

/** An event before it has a place in the log. */
export type NewEvent = Omit<RecordedEvent, 'position' | 'recordedAt'>;

/** A command's outcome before it is stored. */
export interface NewCommandRecord {
  readonly commandId: string;
  readonly name: string;
  readonly aggregateType: string;
  readonly aggregateId: string;
  readonly input: Json;
  readonly fingerprint: string;
  readonly actorKind: string;
  readonly actorId: string | null;
  readonly attempts: number;
  /** Absent for a command that succeeded. */
  readonly rejection: JsonObject | undefined;
  readonly version: number;
  readonly correlationId: string;
  readonly causationId: string | null;
  readonly submittedAt: string;
}

/** What is appended whole or not at all. Units of one call do not share a stream. */
export interface AppendUnit {
  readonly streams: readonly StreamMove[];
  readonly commands: readonly NewCommandRecord[];
  readonly events: readonly NewEvent[];
}

export type AppendedUnit =
  | { readonly outcome: 'appended'; readonly events: readonly RecordedEvent[] }
  /** Another writer was first: a stream is at another version. */
  | { readonly outcome: 'conflict' }
  /** These commandIds are stored already. */
  | { readonly outcome: 'repeated'; readonly commandIds: ReadonlySet<string> };

const APPEND = 'SELECT * FROM append_to_log($1::jsonb, $2::jsonb, $3::jsonb, $4::timestamptz)';

const EVENT_COLUMNS = `position, event_id AS "eventId", stream_id AS "streamId", aggregate_type AS "aggregateType",
  aggregate_id AS "aggregateId", version, type, schema_version AS "schemaVersion", data, actor_kind AS "actorKind",
  actor_id AS "actorId", command_id AS "commandId", correlation_id AS "correlationId", causation_id AS "causationId",
  recorded_at AS "recordedAt"`;
const READ_AFTER = `SELECT ${EVENT_COLUMNS} FROM events WHERE position > $1 ORDER BY position LIMIT $2`;
const READ_STREAMS = `SELECT ${EVENT_COLUMNS} FROM events WHERE stream_id = ANY ($1::text[]) AND version > $2 ORDER BY stream_id, version LIMIT $3`;
// Newest first, so that it costs what it returns however long the stream is.
const READ_STREAM_BACK = `SELECT ${EVENT_COLUMNS} FROM events WHERE stream_id = $1 AND version < $2 ORDER BY version DESC LIMIT $3`;
const HEAD = 'SELECT epoch, position FROM log_head WHERE id = 1';

const appendResult = z.tuple([
  z.object({
    base_position: column.safeInt(),
    recorded_at: z.date(),
    conflicts: z.array(z.number()),
    repeated: z.array(z.string()),
  }),
]);
const headResult = z.tuple([z.object({ epoch: z.string(), position: column.safeInt() })]);
const eventRow = z
  .object({
    position: column.safeInt(),
    eventId: z.string(),
    streamId: z.string(),
    aggregateType: z.string(),
    aggregateId: z.string(),
    version: z.number(),
    type: z.string(),
    schemaVersion: z.number(),
    data: z.unknown(),
    actorKind: z.enum(ACTOR_KINDS),
    actorId: z.string().nullable(),
    commandId: z.string().nullable(),
    correlationId: z.string(),
    causationId: z.string().nullable(),
    recordedAt: z.date(),
  })
  .transform(({ actorKind, actorId, ...event }) => ({ ...event, actor: { kind: actorKind, id: actorId } }));

/** The append-only log of all events, in one order. */
export class EventLog {
  readonly #client: SqlClient;
  readonly #codec: StorageCodec;
  readonly #definitions: ReadonlyMap<string, EventDefinition>;

  constructor(client: SqlClient, codec: StorageCodec, definitions: readonly EventDefinition[]) {
    this.#client = client;
    this.#codec = codec;
    this.#definitions = new Map(definitions.map((definition) => [definition.type, definition]));
    for (const definition of definitions) codec.admit(definition.type, definition.data);
  }

  /** The highest position given, and the epoch that positions belong to. */
  async head(): Promise<{ epoch: string; position: number }> {
    return headResult.parse(await this.#client.query(HEAD))[0];
  }

  /**
   * Appends units in one statement that commits by itself.
   * @throws NotStorable before anything is sent; what the driver throws where the database refuses or is away
   */
  async append(units: readonly AppendUnit[], now: Date): Promise<AppendedUnit[]> {
    const { streams, commands, events, encoded } = this.#batch(units);
    const [answer] = appendResult.parse(
      await this.#client.query(APPEND, JSON.stringify(streams), JSON.stringify(commands), JSON.stringify(events), now),
    );
    const repeated = new Set(answer.repeated);
    let position = answer.base_position;
    return units.map((unit, at): AppendedUnit => {
      // First, because a repeat has often moved the stream itself.
      if (unit.commands.some((it) => repeated.has(it.commandId))) return { outcome: 'repeated', commandIds: repeated };
      if (answer.conflicts.includes(at)) return { outcome: 'conflict' };
      const recorded = unit.events.map((event) => {
        position += 1;
        return { ...event, data: this.#codec.decode(encoded.get(event)), position, recordedAt: answer.recorded_at };
      });
      return { outcome: 'appended', events: recorded };
    });
  }

  /** Events after a position, in order. */
  async readAfter(position: number, limit: number): Promise<RecordedEvent[]> {
    return this.#parse(await this.#client.query(READ_AFTER, position, limit));
  }

  /** Events of some streams after a version of each, stream by stream, in order; all, or the first so many. */
  async readStreams(
    streamIds: readonly string[],
    afterVersion = 0,
    limit: number | null = null,
  ): Promise<RecordedEvent[]> {
    if (streamIds.length === 0) return [];
    return this.#parse(await this.#client.query(READ_STREAMS, streamIds, afterVersion, limit));
  }

  /**
   * Events of some streams with positions in (after, upTo], in order of position.
   * @param page how many rows of a stream are read at a time
   */
  async readStreamsBetween(
    streamIds: readonly string[],
    after: number,
    upTo: number,
    page = 500,
  ): Promise<RecordedEvent[]> {
    const found = await Promise.all(streamIds.map((streamId) => this.#readBack(streamId, after, page)));
    return found
      .flat()
      .filter((event) => event.position <= upTo)
      .sort((a, b) => a.position - b.position);
  }

  async #readBack(streamId: string, after: number, page: number): Promise<RecordedEvent[]> {
    const found: RecordedEvent[] = [];
    let below = 2 ** 31 - 1;
    for (;;) {
      const events = this.#parse(await this.#client.query(READ_STREAM_BACK, streamId, below, page));
      const newer = events.filter((event) => event.position > after);
      found.push(...newer);
      if (newer.length < page) return found;
      below = newer.at(-1)?.version ?? 0;
    }
  }

  /** The batch in the short form that `append_to_log` reads. */
  #batch(units: readonly AppendUnit[]) {
    const streams: object[] = [];
    const commands: object[] = [];
    const events: object[] = [];
    const encoded = new Map<NewEvent, Json>();
    for (const [unit, it] of units.entries()) {
      const streamPlaces = new Map<string, number>();
      for (const { streamId, aggregateType: t, aggregateId: a, decidedOn: from, version: v } of it.streams) {
        streamPlaces.set(streamId, streams.push({ unit, t, a, from, v }));
      }
      const commandPlaces = new Map<string, number>();
      for (const command of it.commands) {
        const stream = streamPlaces.get(streamIdOf(command.aggregateType, command.aggregateId));
        commandPlaces.set(command.commandId, commands.push(shortCommand(unit, stream, command)));
      }
      for (const event of it.events) {
        const data = this.#encode(event);
        encoded.set(event, data);
        events.push({
          unit,
          id: event.eventId,
          stream: streamPlaces.get(event.streamId),
          command: commandPlaces.get(event.commandId ?? ''),
          v: event.version,
          t: event.type,
          w: event.schemaVersion,
          d: data,
        });
      }
    }
    return { streams, commands, events, encoded };
  }

  #encode({ type, data }: NewEvent): Json {
    const definition = this.#definitions.get(type);
    if (definition === undefined) throw new Error(`The event type ${type} is not registered.`);
    return this.#codec.encode(definition.data, data);
  }

  #parse(rows: readonly unknown[]): RecordedEvent[] {
    return rows.map((row) => {
      const event = eventRow.parse(row);
      return { ...event, data: this.#codec.decode(event.data) };
    });
  }
}

/** Members that are undefined are left out of the text. */
function shortCommand(unit: number, stream: number | undefined, it: NewCommandRecord) {
  return {
    unit,
    id: it.commandId,
    stream,
    n: it.name,
    d: it.input,
    f: it.fingerprint,
    k: it.actorKind,
    o: it.actorId ?? undefined,
    r: it.rejection,
    x: it.attempts,
    v: it.version,
    c: it.correlationId === it.commandId ? undefined : it.correlationId,
    g: it.causationId ?? undefined,
    at: it.submittedAt,
  };
}
