import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { z } from 'zod';
import type { StorageCodec } from '../../src/eventsourcing/log/codec.ts';
import { personal } from '../../src/eventsourcing/log/codec.ts';
import { defineEvent, type RecordedEvent } from '../../src/eventsourcing/log/event.ts';
import { EventLog } from '../../src/eventsourcing/log/event-log.ts';
import type { Database } from '../../src/platform/database.ts';
import {
  type EventVersion,
  eventDefinitions,
  type Golden,
  problemOf,
  readGolden,
  versionsOf,
  writeMissing,
} from '../support/golden-events.ts';
import { testCodec } from '../support/master-key.ts';
import { describeEachStore, openMigrated, type TestStore } from '../support/stores.ts';
import { writeAsThen } from '../support/written-events.ts';

/** One file for each version of each event that was ever written. `npm run golden` writes those that are missing. */
const folder = fileURLToPath(new URL('events', import.meta.url));
const versions = eventDefinitions.flatMap(versionsOf);

describe('The shape of every event', () => {
  test.each(versions)('$type, version $schemaVersion, is as it was written', (version) => {
    const problem = problemOf(folder, version);
    if (problem !== undefined) throw new Error(problem);
  });

  test('that has a golden file is known: events of it may be in any log', () => {
    const known = versions.map(({ type, schemaVersion }) => `${type}.v${schemaVersion}.json`);
    const unknown = readdirSync(folder).filter((file) => !known.includes(file));
    expect(unknown, 'whose definitions, or former versions, are gone: put them back').toEqual([]);
  });
});

describe('A change of a shape', () => {
  const made: string[] = [];
  afterAll(() => {
    for (const it of made) rmSync(it, { recursive: true, force: true });
  });
  function written(data: z.ZodObject): { own: string; version: EventVersion } {
    const own = mkdtempSync(join(tmpdir(), 'golden-'));
    made.push(own);
    const stones = defineEvent({ type: 'StonesMoved', schemaVersion: 1, description: 'Stones were moved.', data });
    writeMissing(own, [stones]);
    return { own, version: { type: 'StonesMoved', schemaVersion: 1, data } };
  }
  const shape = { stones: z.number().int(), by: z.string(), words: z.string().nullable() };

  test.each([
    ['a member more', z.object({ ...shape, to: z.string() })],
    ['an optional member more', z.object({ ...shape, to: z.string().optional() })],
    ['a member less', z.object({ stones: shape.stones, by: shape.by })],
    ['another type', z.object({ ...shape, stones: z.string() })],
    ['another limit', z.object({ ...shape, by: z.string().max(10) })],
    ['a member that need not be there any more', z.object({ ...shape, by: z.string().nullable() })],
    ['a member that is personal from now on', z.object({ ...shape, words: personal(z.string(), 'by') })],
  ])('by %s is refused, with what to do', (_, changed) => {
    const { own, version } = written(z.object(shape));
    expect(problemOf(own, version)).toBeUndefined();
    const problem = problemOf(own, { ...version, data: changed });
    expect(problem).toContain('StonesMoved is not what was written as version 1 any more');
    expect(problem).toContain('Raise its schemaVersion to 2');
    expect(problem).toContain('npm run golden');
  });

  test('of what describes it alone is none', () => {
    const { own, version } = written(z.object(shape));
    const described = z.object({ ...shape, by: z.string().meta({ description: 'By whom.', audience: 'staff' }) });
    expect(problemOf(own, { ...version, data: described })).toBeUndefined();
  });

  test('is written beside the former one, which stays as it is', () => {
    const { own } = written(z.object(shape));
    const before = readdirSync(own);
    const later = defineEvent({
      type: 'StonesMoved',
      schemaVersion: 2,
      description: 'Stones were moved.',
      data: z.object({ count: z.number() }),
      formerVersions: [
        { schemaVersion: 1, data: z.object(shape), upcast: (data) => ({ count: z.object(shape).parse(data).stones }) },
      ],
    });
    expect(versionsOf(later).map((it) => problemOf(own, it) !== undefined)).toEqual([false, true]);
    expect(writeMissing(own, [later])).toEqual([join(own, 'StonesMoved.v2.json')]);
    expect(writeMissing(own, [later])).toEqual([]);
    expect(readdirSync(own)).toEqual([...before, 'StonesMoved.v2.json']);
    expect(versionsOf(later).map((it) => problemOf(own, it))).toEqual([undefined, undefined]);
    expect(readGolden(own, { type: 'StonesMoved', schemaVersion: 2 })?.examples.slice(0, 2)).toEqual([
      { upcastFrom: 0, data: { count: 7 } },
      { upcastFrom: 1, data: { count: 0 } },
    ]);
    writeFileSync(
      join(own, 'StonesMoved.v2.json'),
      JSON.stringify({ ...readGolden(own, later), personal: { a: 'b' } }),
    );
    expect(writeMissing(own, [later])).toEqual([]);
    expect(versionsOf(later).map((it) => problemOf(own, it) !== undefined)).toEqual([false, true]);
  });
});

interface Written {
  readonly golden: Golden;
  readonly data: Record<string, unknown>;
  /** What it is to read as today. */
  readonly today: Record<string, unknown>;
  readonly eventId: string;
}

/** Follows an example from version to version. */
function today(golden: Golden, at: number): Record<string, unknown> {
  const next = readGolden(folder, { type: golden.type, schemaVersion: golden.schemaVersion + 1 });
  const data = golden.examples[at]?.data ?? {};
  if (next === undefined) return data;
  const upcast = next.examples.findIndex(({ upcastFrom }) => upcastFrom === at);
  if (upcast < 0) throw new Error(`Example ${at} of ${golden.type} version ${golden.schemaVersion} has no next.`);
  return today(next, upcast);
}

describeEachStore('Every event that was ever written', (kind) => {
  let store: TestStore;
  let database: Database;
  let codec: StorageCodec;
  let log: EventLog;
  const written: Written[] = versions.flatMap((version) => {
    const golden = readGolden(folder, version);
    // What was upcast was never stored in this shape.
    return (golden?.examples ?? []).flatMap(({ data, upcastFrom }, at) =>
      golden === undefined || upcastFrom !== undefined
        ? []
        : [{ golden, data, today: today(golden, at), eventId: randomUUID() }],
    );
  });
  let read: ReadonlyMap<string, RecordedEvent>;

  beforeAll(async () => {
    store = await kind.create();
    database = await openMigrated(store);
    codec = await testCodec(database);
    log = new EventLog(database.log, codec, eventDefinitions);
    const rows = written.map(({ golden: { type, schemaVersion }, data, eventId }) => ({
      type,
      schemaVersion,
      data,
      eventId,
    }));
    await writeAsThen({ database, codec, definitions: eventDefinitions }, rows);
    const events = await log.readAfter(0, written.length + 1);
    read = new Map(events.map((event) => [event.eventId, event]));
  });
  afterAll(async () => {
    await database.close();
    await store.remove();
  });

  it('is stored as it was then: in its own shape, with what is personal encrypted', async () => {
    const rows = z
      .array(z.object({ data: z.record(z.string(), z.unknown()), event_id: z.string(), schema_version: z.number() }))
      .parse(await database.log.query('SELECT data, event_id, schema_version FROM events'));
    expect(rows.length).toBe(written.length);
    const stored = new Map(rows.map((row) => [row.event_id, row]));
    for (const { golden, data, eventId } of written) {
      expect(stored.get(eventId)?.schema_version).toBe(golden.schemaVersion);
      for (const [name, value] of Object.entries(data)) {
        const isSealed = Object.hasOwn(golden.personal, name) && value !== null;
        if (isSealed) expect(stored.get(eventId)?.data[name]).toMatch(/^sealed\d+\./);
        else expect(stored.get(eventId)?.data[name]).toEqual(value);
      }
    }
    expect(written.some(({ golden }) => Object.keys(golden.personal).length > 0)).toBe(true);
  });

  it('reads today', () => {
    for (const { golden, eventId, today: expected } of written) {
      const { type, schemaVersion } = golden;
      const event = read.get(eventId);
      expect(event?.unreadable, `${type} version ${schemaVersion}`).toBeUndefined();
      expect(event?.data, `${type} version ${schemaVersion}`).toEqual(expected);
      const definition = eventDefinitions.find((it) => it.type === type);
      expect(event?.schemaVersion).toBe(definition?.schemaVersion);
      // What is read fits what deciders and projections are made for.
      expect(definition?.data.safeParse(event?.data).error, `${type} version ${schemaVersion}`).toBeUndefined();
    }
  });

  it('reads also where whoever it is about is forgotten', async () => {
    await database.log.query(
      'UPDATE subject_keys SET wrapped_key = NULL, destroyed_at = now() WHERE subject_id <> $1',
      '',
    );
    const afterwards = new EventLog(database.log, await testCodec(database), eventDefinitions);
    const events = await afterwards.readAfter(0, written.length + 1);
    expect(events.filter(({ unreadable }) => unreadable !== undefined)).toEqual([]);
    const forgotten = new Map(
      events.map((event) => [event.eventId, z.record(z.string(), z.unknown()).parse(event.data)]),
    );
    for (const { golden, eventId } of written) {
      const definition = eventDefinitions.find(({ type }) => type === golden.type);
      for (const name of Object.keys(golden.personal)) expect(forgotten.get(eventId)?.[name] ?? null).toBeNull();
      expect(definition?.data.safeParse(forgotten.get(eventId)).error).toBeUndefined();
    }
  });
});
