import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { z } from 'zod';
import type { Aggregate } from '../../../src/eventsourcing/commands/aggregate.ts';
import type { Engine } from '../../../src/eventsourcing/engine.ts';
import { personal, type StorageCodec } from '../../../src/eventsourcing/log/codec.ts';
import {
  defineEvent,
  type EventDefinition,
  formerVersion,
  mustBeReadable,
  UnreadableEvent,
} from '../../../src/eventsourcing/log/event.ts';
import { EventLog } from '../../../src/eventsourcing/log/event-log.ts';
import type { ProcessManager } from '../../../src/eventsourcing/processes/process-manager.ts';
import type { Database } from '../../../src/platform/database.ts';
import { atDesk, createDesk } from '../../support/desk.ts';
import { testCodec } from '../../support/master-key.ts';
import { caughtUp, lettersOf, parkedOf, SOON } from '../../support/poison.ts';
import { enqueue, eventually, finished, untilDrained } from '../../support/queue.ts';
import { describeEachStore, openMigrated, type TestStore } from '../../support/stores.ts';
import {
  added,
  emptyTallyStore,
  locked,
  type TallyEvent,
  tally,
  tallyDecider,
  tallyProjection,
  tallyStream,
  unlocked,
} from '../../support/tally.ts';
import { request, startTallyEngine, succeeded } from '../../support/tally-engine.ts';
import { writeAsThen } from '../../support/written-events.ts';

/** A letter that was addressed in one member at first, then in two, and whose writer came to be protected, too. */
const first = z.object({ clerk: z.string(), guestId: z.string(), to: personal(z.string(), 'guestId') });
const second = z.object({
  clerk: z.string(),
  guestId: z.string(),
  name: personal(z.string(), 'guestId'),
  street: personal(z.string(), 'guestId').optional(),
});
const third = second.extend({ clerk: personal(z.string(), 'clerkId'), clerkId: z.string().nullable() });
const letterSent = defineEvent({
  type: 'LetterSent',
  schemaVersion: 3,
  description: 'A letter was sent.',
  data: third,
  formerVersions: [
    formerVersion({
      schemaVersion: 1,
      data: first,
      upcast: ({ to, ...rest }) => {
        if (to === 'nowhere') throw new Error(`A letter cannot go ${to}.`);
        const [name = null, street = null] = to?.split(', ') ?? [];
        return { ...rest, name, street };
      },
    }),
    formerVersion({ schemaVersion: 2, data: second, upcast: (data) => ({ ...data, clerkId: null }) }),
  ],
});
const letters: readonly EventDefinition[] = [letterSent];

describe('An event with former versions', () => {
  const of = (schemaVersion: number, formers: readonly number[]) => () =>
    defineEvent({
      type: 'LetterSent',
      schemaVersion,
      description: 'A letter was sent.',
      data: first,
      formerVersions: formers.map((it) => ({ schemaVersion: it, data: first, upcast: (data) => ({ data }) })),
    });

  test('has all of them, in order', () => {
    for (const [version, formers] of [
      [1, [1]],
      [2, []],
      [3, [1]],
      [3, [2, 1]],
      [3, [1, 2, 3]],
      [3, [2]],
    ] as const)
      expect(of(version, formers)).toThrow(`LetterSent is at version ${version}: it needs every version before that`);
    expect(of(1, [])).not.toThrow();
    expect(of(3, [1, 2])).not.toThrow();
  });
});

describeEachStore('What was written in another shape', (kind) => {
  let store: TestStore;
  let database: Database;
  let codec: StorageCodec;
  let log: EventLog;
  const write = (schemaVersion: number, data: object, type = 'LetterSent') =>
    writeAsThen({ database, codec, definitions: letters }, [{ type, schemaVersion, data }]);
  const last = async () => (await log.readAfter((await log.head()).position - 1, 1))[0];

  beforeAll(async () => {
    store = await kind.create();
    database = await openMigrated(store);
    codec = await testCodec(database);
    log = new EventLog(database.log, codec, letters);
  });
  afterAll(async () => {
    await database.close();
    await store.remove();
  });

  it('is opened as it was sealed, then upcast step by step', async () => {
    const guestId = randomUUID();
    await write(1, { clerk: 'Bo', guestId, to: 'Anna, Lane 1' });
    const sealed = z.tuple([z.object({ data: z.record(z.string(), z.unknown()) })]);
    const [row] = sealed.parse(await database.log.query('SELECT data FROM events ORDER BY position DESC LIMIT 1'));
    expect(row.data).toEqual({ clerk: 'Bo', guestId, to: expect.stringMatching(/^sealed\d\./) });
    const newest = { clerk: 'Bo', guestId, name: 'Anna', street: 'Lane 1', clerkId: null };
    expect(await last()).toMatchObject({ schemaVersion: 3, data: newest });
    await write(2, { clerk: 'Bo', guestId, name: 'Anna' });
    expect((await last())?.data).toEqual({ clerk: 'Bo', guestId, name: 'Anna', clerkId: null });
    await write(3, { clerk: 'Bo', clerkId: 'bo', guestId, name: 'Anna', street: null });
    expect((await last())?.data).toEqual({ clerk: 'Bo', clerkId: 'bo', guestId, name: 'Anna', street: null });
    expect((await log.readAfter(0, 100)).map(({ unreadable }) => unreadable)).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('is forgotten with whom it is about', async () => {
    const [guestId, other] = [randomUUID(), randomUUID()];
    await write(1, { clerk: 'Bo', guestId, to: 'Anna, Lane 1' });
    await write(1, { clerk: 'Bo', guestId: other, to: 'Otto, Lane 2' });
    await database.log.query(
      'UPDATE subject_keys SET wrapped_key = NULL, destroyed_at = now() WHERE subject_id = $1',
      guestId,
    );
    const { position } = await log.head();
    const fresh = new EventLog(database.log, await testCodec(database), letters);
    expect((await fresh.readRange(position - 1, 2)).map(({ data }) => data)).toMatchObject([
      { name: null, street: null, clerk: 'Bo' },
      { name: 'Otto', street: 'Lane 2' },
    ]);
  });

  it('and cannot be upcast is shown without what is personal, with the reason', async () => {
    await write(1, { clerk: 'Bo', guestId: 'g', to: 'nowhere' });
    const event = await last();
    expect(event).toMatchObject({
      type: 'LetterSent',
      schemaVersion: 1,
      data: { clerk: 'Bo', guestId: 'g', to: null },
    });
    expect(event?.unreadable).toBe('It could not be upcast from version 1 to 3: A letter cannot go [personal data].');
  });

  it('is shown as it is stored, without what is protected, where this program does not know it', async () => {
    await write(1, { note: 'new', inner: [{ secret: 'sealed1.a.b', open: 1 }], of: 'sealed22.x.y' }, 'LetterBurnt');
    const unknown = await last();
    expect(unknown).toMatchObject({
      type: 'LetterBurnt',
      data: { note: 'new', inner: [{ secret: null, open: 1 }], of: null },
    });
    expect(unknown?.unreadable).toBe('This server is older than its data: it knows no LetterBurnt.');
    await write(4, { clerk: 'Bo', name: 'sealed1.Zw.abc', pages: 2 });
    const newer = await last();
    expect(newer).toMatchObject({ schemaVersion: 4, data: { clerk: 'Bo', name: null, pages: 2 } });
    expect(newer?.unreadable).toContain('it knows LetterSent up to version 3, and this is version 4');
    await write(0, { clerk: 'Bo' });
    expect((await last())?.unreadable).toBe('LetterSent never had a version 0.');
    if (newer === undefined) throw new Error('It is not there.');
    expect(() => mustBeReadable(newer)).toThrow(UnreadableEvent);
  });

  it('never stops anyone from reading, whatever it is', async () => {
    const { position } = await log.head();
    await fc.assert(
      fc.asyncProperty(fc.jsonValue({ depthSize: 'small' }), fc.nat(5), async (data, schemaVersion) => {
        const storable = JSON.parse(JSON.stringify({ data }).replaceAll('\\u0000', '').toWellFormed());
        await write(schemaVersion, storable, schemaVersion > 3 ? 'LetterSent' : 'LetterBurnt');
        expect((await last())?.unreadable).toBeDefined();
      }),
      { numRuns: 20 },
    );
    expect(await log.readAfter(position, 100)).toHaveLength(20);
  });
});

/** The tally as a later version of the program has it: with a member more, and an event more. */
const laterAdded = defineEvent({
  ...added,
  schemaVersion: 2,
  data: added.data.extend({ by: z.string() }),
  formerVersions: [
    formerVersion({ schemaVersion: 1, data: added.data, upcast: (data) => ({ ...data, by: 'nobody' }) }),
  ],
});
const marked = defineEvent({
  type: 'TallyMarked',
  schemaVersion: 1,
  description: 'It was marked.',
  data: z.object({}),
});
const laterTally: Aggregate = {
  ...tally,
  events: [laterAdded, locked, unlocked, marked],
  decider: {
    ...tallyDecider,
    decide(command, state, context) {
      if (command.type === 'Audit') return [{ type: marked.type, data: {} }];
      const decision = tallyDecider.decide(command as never, state as never, context as never);
      if (!Array.isArray(decision)) return decision;
      const events: readonly TallyEvent[] = decision;
      return events.map(({ type, data }) => ({ type, data: type === added.type ? { ...data, by: 'somebody' } : data }));
    },
    evolve: (state, event) =>
      event.type === marked.type ? state : tallyDecider.evolve(state as never, event as never),
  },
};
const echo: ProcessManager = {
  name: 'echo',
  description: 'Hears of amounts.',
  events: [],
  eventTypes: [added.type],
  instanceOf: ({ aggregateId }) => aggregateId,
  messageOf: ({ data }) => data,
  initialState: null,
  decide: () => [],
  evolve: (state) => state,
  effectsOf: () => [],
  view: () => ({ step: '', stepStatus: 'DONE', detail: null }),
};

describeEachStore('A program that is older than its data', (kind) => {
  const projection = tallyProjection();
  const [changed, lockedOne, untouched] = [randomUUID(), randomUUID(), randomUUID()];
  let store: TestStore;
  let database: Database;
  let engine: Engine;
  const options = { projections: [projection], processes: [echo], eventRetries: SOON, commandRetries: SOON };
  const startOlder = () => startTallyEngine(database, { ...options, aggregates: [createDesk()] });
  const startNewer = (more: object) =>
    startTallyEngine(database, { ...more, aggregates: [createDesk()], tallies: laterTally });
  const add = (tallyId: string, amount = 1) => engine.executor.execute(request('Add', { tallyId, amount }));
  const versionOf = async (tallyId: string) =>
    (await engine.log.readStreams([tallyStream(tallyId)])).at(-1)?.version ?? 0;

  beforeAll(async () => {
    store = await kind.create();
    database = await openMigrated(store);
    await emptyTallyStore(database);
    engine = await startOlder();
    for (const tallyId of [changed, lockedOne, untouched]) succeeded(await add(tallyId, 5));
    await caughtUp(engine, projection);
    await untilDrained(database);
    await engine.stop();
    // A newer one only answers for a while, and is taken back.
    engine = await startNewer({});
    await Promise.all([
      add(changed, 7).then(succeeded),
      engine.executor.execute(request('Audit', { tallyId: lockedOne })).then(succeeded),
    ]);
    await engine.stop();
    engine = await startOlder();
  });
  afterAll(async () => {
    await engine.stop();
    await database.close();
    await store.remove();
  });

  it('shows what it does not know in the history', async () => {
    const events = await engine.log.readStreams([changed, lockedOne].map(tallyStream));
    expect(events.map(({ type, unreadable }) => [type, unreadable !== undefined]).sort()).toEqual([
      ['TallyAdded', false],
      ['TallyAdded', false],
      ['TallyAdded', true],
      ['TallyMarked', true],
    ]);
    expect(events.find(({ unreadable, type }) => unreadable && type === 'TallyAdded')?.data).toMatchObject({
      amount: 7,
      by: 'somebody',
    });
  });

  it('refuses commands that would be decided on it, changes nothing, and goes on with all others', async () => {
    const before = await Promise.all([changed, lockedOne, untouched].map(versionOf));
    // In one batch.
    const outcomes = await Promise.allSettled([add(changed), add(untouched), add(lockedOne), add(untouched)]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected', 'fulfilled']);
    for (const at of [0, 2]) {
      const outcome = outcomes[at];
      const reason: unknown = outcome?.status === 'rejected' ? outcome.reason : undefined;
      expect(reason).toBeInstanceOf(UnreadableEvent);
      expect(String(reason)).toContain('This server is older than its data');
    }
    // Also where the state is in memory, or was a moment ago.
    await expect(add(changed)).rejects.toThrow(UnreadableEvent);
    const after = await Promise.all([changed, lockedOne, untouched].map(versionOf));
    expect(after).toEqual([before[0], before[1], (before[2] ?? 0) + 2]);
  });

  it('makes a dead letter of a queued one, which succeeds once it is tried by a newer program', async () => {
    const commandId = await enqueue(engine, request('Add', { tallyId: lockedOne, amount: 2 }));
    expect(await finished(engine, commandId)).toMatchObject({ status: 'FAILED' });
    const letter = await eventually(async () => {
      const found = (await lettersOf(database)).find(({ subject }) => subject === commandId);
      expect(found).toMatchObject({ source: 'command', status: 'OPEN' });
      return found;
    });
    expect(letter?.error).toContain('This server is older than its data');
  });

  it('parks what its projections and processes would have to take, passes the rest, and goes on', async () => {
    await caughtUp(engine, projection);
    const view = engine.view(projection);
    expect(await view.isParked(changed)).toBe(true);
    expect(await view.read(changed)).toMatchObject({ amounts: [5], version: 1 });
    // Of a type that it does not name.
    expect(await view.isParked(lockedOne)).toBe(false);
    expect(await view.read(untouched)).toMatchObject({ amounts: [5, 1, 1] });
    expect((await parkedOf(database, projection)).map(([, lane]) => lane)).toEqual([`stream ${tallyStream(changed)}`]);
    const sources = await eventually(async () => {
      const found = (await lettersOf(database)).filter(({ position }) => position !== null);
      expect(found.length).toBe(2);
      return found;
    });
    expect(sources.map(({ source }) => source).sort()).toEqual(['process:echo', `projection:${projection.name}`]);
    for (const { error } of sources) expect(error).toContain('it knows TallyAdded up to version 1');
  });

  it('loses nothing by that: a newer one goes on where it is let', async () => {
    await engine.stop();
    engine = await startNewer(options);
    succeeded(await add(changed, 3));
    const open = (await lettersOf(database)).filter(({ status }) => status === 'OPEN').map(({ id }) => id);
    expect(open).toHaveLength(3);
    succeeded(await atDesk(engine, 'Retry', { letters: open }));
    await eventually(async () => {
      expect(await engine.view(projection).read(changed)).toMatchObject({ amounts: [5, 7, 3], version: 3 });
      expect(await engine.view(projection).read(lockedOne)).toMatchObject({ amounts: [5, 2] });
    });
    expect(await engine.view(projection).isParked(changed)).toBe(false);
    // What is read of the first, who wrote it did not know yet.
    const [oldest] = await engine.log.readStreams([tallyStream(changed)]);
    expect(oldest).toMatchObject({ schemaVersion: 2, data: { amount: 5, by: 'nobody' } });
  });
});
