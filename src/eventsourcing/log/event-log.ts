import { z } from 'zod';
import type { SqlClient } from '../../platform/database.ts';
import type { Json } from '../json.ts';
import { STORE_SUBJECT, type SubjectKeys } from '../keys/subject-key.ts';
import { column } from '../projections/read-table.ts';
import { shortCommand, shortWork } from './append-format.ts';
import type { AppendedUnit, AppendUnit, NewCommandRecord, NewEvent } from './append-unit.ts';
import { NO_KEYS, type Opening, type StorageCodec } from './codec.ts';
import type { EventDefinition, RecordedEvent } from './event.ts';
import { EventReads } from './event-reads.ts';
import type { EventRow } from './event-row.ts';
import { EventShapes } from './event-shapes.ts';
import { positionAt } from './log-instants.ts';
import { streamIdOf } from './stream-id.ts';

const APPEND = 'SELECT * FROM append_to_log($1::jsonb, $2::jsonb, $3::jsonb, $4::timestamptz, $5::jsonb, $6::text[])';

const HEAD = 'SELECT epoch, position FROM log_head WHERE id = 1';

const appendResult = z.tuple([
  z.object({
    base_position: column.safeInt(),
    recorded_at: z.date(),
    conflicts: z.array(z.number()),
    repeated: z.array(z.string()),
    unclaimed: z.array(z.number()),
    /** Nothing was appended: these were forgotten just before. */
    forgotten: z.array(z.string()).nullable(),
  }),
]);
const headResult = z.tuple([z.object({ epoch: z.string(), position: column.safeInt() })]);

/** The append-only log of all events, in one order. */
export class EventLog {
  readonly #client: SqlClient;
  readonly #reads: EventReads;
  readonly #codec: StorageCodec;
  readonly #shapes: EventShapes;
  readonly #opening: Opening<RecordedEvent>;

  constructor(client: SqlClient, codec: StorageCodec, definitions: readonly EventDefinition[]) {
    this.#client = client;
    this.#reads = new EventReads(client);
    this.#codec = codec;
    this.#shapes = new EventShapes(definitions, codec);
    this.#opening = {
      kind: 'event',
      name: (event) => this.#shapes.nameOf(event),
      id: ({ eventId }) => eventId,
      data: ({ data }) => data,
      opened: (event, data) => ({ ...event, data }),
    };
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
    const keys = this.#codec.isProtecting ? await this.#codec.keysFor(this.#subjectsOf(units)) : NO_KEYS;
    const { streams, commands, events, kept } = this.#batch(units, keys);
    const texts = [streams, commands, events].map((it) => JSON.stringify(it));
    const work = shortWork(units, (command) => this.#codec.sealSentCommand(command, keys));
    const [answer] = appendResult.parse(await this.#client.query(APPEND, ...texts, now, work, subjectsOf(keys)));
    if (answer.forgotten !== null) {
      // What was sealed for them would be there, and nobody could read it: it is stored as forgotten instead.
      this.#codec.forget(answer.forgotten);
      return this.append(units, now);
    }
    const repeated = new Set(answer.repeated);
    let position = answer.base_position;
    return units.map((unit, at): AppendedUnit => {
      // First, because a repeat has often moved the stream itself.
      if (unit.commands.some((it) => !it.wasQueued && repeated.has(it.commandId)))
        return { outcome: 'repeated', commandIds: repeated };
      if (answer.unclaimed.includes(at)) return { outcome: 'unclaimed' };
      if (answer.conflicts.includes(at)) return { outcome: 'conflict' };
      const recorded = unit.events.map((event) => {
        position += 1;
        return { ...event, data: kept.get(event), position, recordedAt: answer.recorded_at };
      });
      return { outcome: 'appended', events: recorded };
    });
  }

  /** A type of event that this program knows. */
  definitionOf(type: string): EventDefinition | undefined {
    return this.#shapes.definitionOf(type);
  }

  /** Types of events that somebody is forgotten with. */
  get forgetting(): ReadonlySet<string> {
    return this.#shapes.forgetting;
  }

  /** Whoever is forgotten with these events. */
  forgottenBy(events: readonly RecordedEvent[]): string[] {
    return events.flatMap((event) => this.#shapes.forgottenBy(event) ?? []);
  }

  /** Events after a position, in order. */
  async readAfter(position: number, limit: number): Promise<RecordedEvent[]> {
    return this.open(await this.#reads.after(position, limit));
  }

  /** So many events in a row. */
  async readRange(firstPosition: number, count: number): Promise<RecordedEvent[]> {
    return this.open(await this.#reads.range(firstPosition, count));
  }

  /** The events at these positions, in order. */
  async readAt(positions: readonly number[]): Promise<RecordedEvent[]> {
    return this.open(await this.#reads.at(positions));
  }

  /** The newest event of each stream that is of one of these types. */
  async readNewest(streamIds: readonly string[], types: readonly string[]): Promise<RecordedEvent[]> {
    return this.open(await this.#reads.newest(streamIds, types));
  }

  /** Events of some streams after a version of each, stream by stream, in order; all, or the first so many. */
  async readStreams(
    streamIds: readonly string[],
    afterVersion = 0,
    limit: number | null = null,
  ): Promise<RecordedEvent[]> {
    return this.open(await this.#reads.streams(streamIds, afterVersion, limit));
  }

  /** Events of some streams, each after a version of its own, in order within each; of each at most so many. */
  async readStreamsAfter(versions: ReadonlyMap<string, number>, limitEach: number): Promise<RecordedEvent[]> {
    return this.open(await this.#reads.streamsAfter(versions, limitEach));
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
    const found = await Promise.all(streamIds.map((streamId) => this.#reads.streamSince(streamId, after, page)));
    return this.open(
      found
        .flat()
        .filter((event) => event.position <= upTo)
        .sort((a, b) => a.position - b.position),
    );
  }

  /** The last position that was given at an instant or before: 0 before the first event; for a future instant, the newest. */
  positionAt(at: Date): Promise<number> {
    return positionAt(this.#client, at);
  }

  /** Whose keys it takes to store all this. */
  #subjectsOf(units: readonly AppendUnit[]): Set<string> {
    const wanted = new Set<string>();
    for (const { events, commands, work } of units) {
      for (const { type, data } of events) this.#codec.addSubjects(wanted, 'event', type, data);
      for (const { name, input, wasQueued } of commands)
        if (!wasQueued) this.#codec.addSubjects(wanted, 'command', name, input);
      for (const { name, input } of work?.queue ?? []) this.#codec.addSubjects(wanted, 'command', name, input);
    }
    return wanted;
  }

  /** The batch in the short form that `append_to_log` reads. */
  #batch(units: readonly AppendUnit[], keys: SubjectKeys) {
    const streams: object[] = [];
    const commands: object[] = [];
    const events: object[] = [];
    const kept = new Map<NewEvent, Json>();
    for (const [unit, it] of units.entries()) {
      const streamPlaces = new Map<string, number>();
      for (const { streamId, aggregateType: t, aggregateId: a, decidedOn: from, version: v } of it.streams) {
        streamPlaces.set(streamId, streams.push({ unit, t, a, from, v }));
      }
      const commandPlaces = new Map<string, number>();
      for (const command of it.commands) {
        const stream = streamPlaces.get(streamIdOf(command.aggregateType, command.aggregateId));
        commandPlaces.set(command.commandId, commands.push(shortCommand(unit, stream, this.#sealed(command, keys))));
      }
      for (const event of it.events) {
        const plain = this.#encode(event);
        const data = this.#codec.seal('event', event.type, event.eventId, plain, keys);
        kept.set(event, this.#codec.kept('event', event.type, plain, data));
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
    return { streams, commands, events, kept };
  }

  #sealed(command: NewCommandRecord, keys: SubjectKeys): NewCommandRecord {
    // What was queued is stored already, as it was then.
    if (command.wasQueued) return { ...command, input: null };
    return command.isRunning ? this.#codec.sealCommand(command, keys) : this.#codec.sealEndedCommand(command, keys);
  }

  #encode({ type, data }: NewEvent): Json {
    const definition = this.#shapes.definitionOf(type);
    if (definition === undefined) throw new Error(`The event type ${type} is not registered.`);
    return this.#codec.encode(definition.data, data);
  }

  /**
   * The one way of stored events into the program, wherever they were read: opened, then upcast. What this program does
   * not know is among them, marked as `unreadable`.
   * @throws what the driver throws where the database is away while keys are read
   */
  async open(rows: readonly EventRow[]): Promise<RecordedEvent[]> {
    const opened = await this.#codec.openAll<RecordedEvent>([...rows], this.#opening);
    return opened.map((event) => this.#shapes.today(event));
  }
}

/** Whose keys something was sealed with; null for nobody, which spares the database looking. */
function subjectsOf(keys: SubjectKeys): string[] | null {
  const subjects = [...keys].flatMap(([subject, key]) => (key === null || subject === STORE_SUBJECT ? [] : [subject]));
  return subjects.length === 0 ? null : subjects;
}
