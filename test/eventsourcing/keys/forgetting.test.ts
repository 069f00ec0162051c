import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import type { Engine } from '../../../src/eventsourcing/engine.ts';
import { EventLog } from '../../../src/eventsourcing/log/event-log.ts';
import type { Database } from '../../../src/platform/database.ts';
import { createGuestTable, guestEvents, guestProjection, ofGuest, startGuestEngine } from '../../support/guests.ts';
import { allThatCanBeRead } from '../../support/key-hunter.ts';
import { testCodec, testMasterKey } from '../../support/master-key.ts';
import { enqueue, eventually, finished } from '../../support/queue.ts';
import { describeEachStore, openMigrated, type TestStore } from '../../support/stores.ts';

const storedRows = z.array(z.object({ position: z.coerce.number(), email: z.string().nullable() }));

describeEachStore('An event that says who is forgotten', (kind) => {
  let store: TestStore;
  let database: Database;
  let anothers: Database;
  let engine: Engine;
  /** On another node, where there can be one; else the same. */
  let other: Engine;

  beforeAll(async () => {
    store = await kind.create();
    database = await openMigrated(store);
    await createGuestTable(database);
    engine = await startGuestEngine(database);
    anothers = kind.engine === 'postgresql' ? await openMigrated(store) : database;
    other = anothers === database ? engine : await startGuestEngine(anothers);
  });
  afterAll(async () => {
    await Promise.all([...new Set([engine, other])].map((it) => it.stop()));
    await Promise.all([...new Set([database, anothers])].map((it) => it.close()));
    await store.remove();
  });

  const welcome = (at: Engine, guestId: string, email: string) =>
    at.executor.execute(ofGuest('WelcomeGuest', { guestId, email }));
  const forget = async (at: Engine, guestId: string) => {
    const outcome = await at.executor.execute(ofGuest('ForgetGuest', { guestId }));
    return outcome.outcome === 'succeeded' ? (outcome.receipt.position ?? 0) : 0;
  };
  const rowOf = (at: Engine, guestId: string) => at.view(guestProjection).read(guestId);
  const stored = async (guestId: string) =>
    storedRows.parse(
      await database.log.query(
        `SELECT position, data->>'email' AS email FROM events
         WHERE stream_id = 'guest-' || $1 AND type = 'GuestCame' ORDER BY position`,
        guestId,
      ),
    );

  it('leaves nothing of them in the memory of any node', async () => {
    const [guestId, mark] = [randomUUID(), `mark-${randomUUID()}`];
    await welcome(engine, guestId, mark);
    for (const at of [engine, other]) {
      await eventually(async () => expect(await rowOf(at, guestId)).toMatchObject({ email: mark }));
      await welcome(at, guestId, mark);
      expect(JSON.stringify(await at.log.readStreams([`guest-${guestId}`]))).toContain(mark);
    }
    const watching = await other.view(guestProjection).live.subscribe(guestId);
    expect((await watching?.next())?.value).toMatchObject({ row: { email: mark } });
    await forget(engine, guestId);
    for (const at of [engine, other]) {
      await eventually(async () => {
        expect(await rowOf(at, guestId)).toMatchObject({ email: null });
        expect(at.view(guestProjection).projector.committedRow(guestId)?.email ?? null).toBeNull();
        const read = [
          await at.log.readStreams([`guest-${guestId}`]),
          await at.tail.read(0, 100_000),
          await at.commandRecords.list({ aggregateId: guestId }, { limit: 100, inverted: false }),
        ];
        expect(JSON.stringify(read)).not.toContain(mark);
      });
    }
    // Whoever watches is shown that nothing is known any more.
    let row = (await watching?.next())?.value?.row;
    while (row?.email !== null) row = (await watching?.next())?.value?.row;
    await watching?.return();
    await eventually(async () =>
      expect((await allThatCanBeRead(database, [testMasterKey])).text.includes(mark)).toBe(false),
    );
  });

  it('is the last that anything of theirs comes before: what follows is stored as forgotten', async () => {
    const [guestId, mark] = [randomUUID(), `mark-${randomUUID()}`];
    // This one has their key in its memory, and hears nothing.
    const codec = await testCodec(database);
    const deaf = new EventLog(database.log, codec, guestEvents);
    await welcome(engine, guestId, mark);
    expect(JSON.stringify(await deaf.readStreams([`guest-${guestId}`]))).toContain(mark);
    await forget(engine, guestId);
    const commandId = randomUUID();
    const late = `guest-late-${guestId}`;
    const [unit] = await deaf.append(
      [
        {
          streams: [
            { streamId: late, aggregateType: 'guest', aggregateId: `late-${guestId}`, decidedOn: 0, version: 1 },
          ],
          commands: [
            {
              ...{ commandId, name: 'WelcomeGuest', aggregateType: 'guest', aggregateId: `late-${guestId}` },
              ...{ input: { guestId, email: mark }, fingerprint: '', actorKind: 'SYSTEM', actorId: null, attempts: 1 },
              ...{ rejection: undefined, expectedVersion: undefined, version: 1, isRunning: false, wasQueued: false },
              ...{ correlationId: commandId, causationId: null, submittedAt: new Date().toISOString() },
            },
          ],
          events: [
            {
              ...{ eventId: randomUUID(), type: 'GuestCame', schemaVersion: 1, streamId: late, aggregateType: 'guest' },
              ...{ aggregateId: `late-${guestId}`, version: 1, actor: { kind: 'SYSTEM', id: null } },
              ...{ commandId, correlationId: commandId, causationId: commandId },
              data: { guestId, email: mark, visits: 1 },
            },
          ],
        },
      ],
      new Date(),
    );
    expect(unit).toMatchObject({ outcome: 'appended', events: [{ data: { guestId, email: null } }] });
    expect(await deaf.readStreams([late])).toMatchObject([{ data: { email: null } }]);
  });

  it('may come between any number of commands about them: none fails, and none after it keeps anything', async () => {
    const guestId = randomUUID();
    await welcome(engine, guestId, 'before');
    const coming = Array.from({ length: 60 }, (_, at) => welcome(at % 2 === 0 ? engine : other, guestId, `mark-${at}`));
    const forgotten = Promise.all(coming.slice(0, 10)).then(() => forget(other, guestId));
    const outcomes = await Promise.all(coming);
    expect(new Set(outcomes.map(({ outcome }) => outcome))).toEqual(new Set(['succeeded']));
    const position = await forgotten;
    await welcome(engine, guestId, 'after');
    const events = await stored(guestId);
    expect(events).toHaveLength(62);
    for (const event of events) if (event.position < position) expect(event.email).not.toBeNull();
    // What was appended together with it may be sealed: with a key that is gone.
    expect(events.at(-1)).toMatchObject({ email: null });
    const read = await engine.log.readStreams([`guest-${guestId}`]);
    expect(read.filter(({ type }) => type === 'GuestCame').every(({ data }) => Object(data).email === null)).toBe(true);
  });

  it('concerns who is named alone, also one who never had a key; and a queued command of theirs still ends', async () => {
    const [guestId, never] = [randomUUID(), randomUUID()];
    await welcome(engine, guestId, 'stays@example.org');
    const waits = await enqueue(engine, ofGuest('WelcomeGuest', { guestId: never, email: 'never@example.org' }), {
      dueAt: new Date(Date.now() + 400),
    });
    await forget(engine, never);
    expect((await finished(engine, waits)).status).toBe('SUCCEEDED');
    expect(await engine.log.readStreams([`guest-${never}`])).toMatchObject([
      { type: 'GuestForgotten' },
      { type: 'GuestCame', data: { email: null } },
    ]);
    await eventually(async () => expect(await rowOf(other, guestId)).toMatchObject({ email: 'stays@example.org' }));
    expect(await engine.codec.knows(never)).toBe(true);
    expect(await engine.codec.knows(randomUUID())).toBe(false);
  });

  it('takes what is personal out of read tables, encrypted as it is', async () => {
    const guestId = randomUUID();
    await welcome(engine, guestId, 'purged@example.org');
    await eventually(async () => expect(await rowOf(engine, guestId)).toMatchObject({ email: 'purged@example.org' }));
    await forget(engine, guestId);
    await eventually(async () =>
      expect(
        await database.derived.query('SELECT email, email_hash, visits FROM guest_view WHERE id = $1', guestId),
      ).toEqual([{ email: null, email_hash: null, visits: 1 }]),
    );
  });
});
