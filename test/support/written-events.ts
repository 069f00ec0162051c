import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { StorageCodec } from '../../src/eventsourcing/log/codec.ts';
import type { EventDefinition } from '../../src/eventsourcing/log/event.ts';
import { EventShapes } from '../../src/eventsourcing/log/event-shapes.ts';
import type { Database } from '../../src/platform/database.ts';
import { recorded } from './recorded.ts';

const stored = z.array(z.object({ stream_id: z.string(), version: z.number(), position: z.number() }));

/** An event as a former version of the program wrote it, or a later one will. */
export interface WrittenEvent {
  readonly type: string;
  readonly schemaVersion: number;
  readonly data: unknown;
  readonly eventId?: string;
  /** Of its aggregate; without it, one of its own. */
  readonly aggregateId?: string;
  readonly aggregateType?: string;
}

export interface WrittenInto {
  readonly database: Database;
  readonly codec: StorageCodec;
  readonly definitions: readonly EventDefinition[];
}

const INSERT = `
  INSERT INTO events (position, event_id, stream_id, aggregate_type, aggregate_id, version, type, schema_version, data,
    actor_kind, correlation_id, recorded_at)
  SELECT row.position, row.event_id, row.stream_id, row.aggregate_type, row.aggregate_id, row.version, row.type,
    row.schema_version, row.data, 'SYSTEM', row.event_id, now()
  FROM jsonb_populate_recordset(NULL::events, $1::jsonb) AS row`;
const STREAMS = `
  INSERT INTO streams (id, aggregate_type, aggregate_id, version)
  SELECT stream_id, min(aggregate_type), min(aggregate_id), max(version) FROM events GROUP BY stream_id
  ON CONFLICT (id) DO UPDATE SET version = EXCLUDED.version`;
const HEAD = `
  UPDATE log_head SET position = (SELECT max(position) FROM events), recorded_at = (SELECT max(recorded_at) FROM events)`;

/**
 * Appends rows as they were written, or will be: sealed with the marks of their own version, as far as it is known, and not
 * touched otherwise. Each comes after what is there of its aggregate.
 */
export async function writeAsThen(
  { database, codec, definitions }: WrittenInto,
  events: readonly WrittenEvent[],
): Promise<void> {
  const shapes = new EventShapes(definitions, codec);
  const there = stored.parse(
    await database.log.query('SELECT stream_id, version, position::int FROM events ORDER BY position'),
  );
  const head = there.at(-1)?.position ?? 0;
  const versions = new Map(there.map(({ stream_id, version }) => [stream_id, version]));
  const rows: object[] = [];
  for (const [at, { type, schemaVersion, data, ...event }] of events.entries()) {
    const { eventId = randomUUID(), aggregateType = 'written', aggregateId = eventId } = event;
    const streamId = `${aggregateType}-${aggregateId}`;
    const version = (versions.get(streamId) ?? 0) + 1;
    versions.set(streamId, version);
    const [like] = recorded(aggregateType, aggregateId, [{ type, data }]);
    if (like === undefined) throw new Error('No event.');
    const name = shapes.nameOf({ ...like, schemaVersion });
    const subjects = new Set<string>();
    codec.addSubjects(subjects, 'event', name, data);
    const keys = await codec.keysFor(subjects);
    rows.push({
      position: head + at + 1,
      event_id: eventId,
      stream_id: streamId,
      aggregate_type: aggregateType,
      aggregate_id: aggregateId,
      version,
      type,
      schema_version: schemaVersion,
      data: codec.seal('event', name, eventId, codec.encodeValid(data), keys),
    });
  }
  await database.log.query(INSERT, JSON.stringify(rows));
  await database.log.query(STREAMS);
  await database.log.query(HEAD);
}
