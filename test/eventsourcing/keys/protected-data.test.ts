import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import type { Engine } from '../../../src/eventsourcing/engine.ts';
import { WrongMasterKey } from '../../../src/eventsourcing/keys/key-ring.ts';
import { StorageCodec } from '../../../src/eventsourcing/log/codec.ts';
import { ReadRows } from '../../../src/eventsourcing/projections/read-table.ts';
import type { Database } from '../../../src/platform/database.ts';
import { createLogger } from '../../../src/platform/logger.ts';
import { createGuestTable, guestProjection, ofGuest, startGuestEngine } from '../../support/guests.ts';
import { testCodec } from '../../support/master-key.ts';
import { enqueue, eventually, finished, letterRows, recordOf, statusOf, untilDrained } from '../../support/queue.ts';
import { filesWith, storedTexts } from '../../support/stored-text.ts';
import { describeEachStore, openMigrated, type TestStore } from '../../support/stores.ts';

const storedCommand = z.tuple([z.object({ input: z.record(z.string(), z.unknown()), secrets: z.unknown() })]);

describeEachStore('Personal data and secrets', (kind) => {
  let store: TestStore;
  let database: Database;
  let engine: Engine;
  const mark = randomUUID();
  /** None of these may ever be stored as they are. */
  const marks = { email: `mail-${mark}@example.org`, street: `street-${mark}`, token: `tok-${mark}` };
  const sent = { email: `sent-${mark}@example.org`, token: `sent-tok-${mark}` };
  const hidden = [...Object.values(marks), ...Object.values(sent)];
  const broken = new Set<string>();
  const logged: string[] = [];
  const logger = createLogger('trace', { write: (line: string) => logged.push(line) });
  const personal = { email: marks.email, home: { street: marks.street, floor: 3 } };

  beforeAll(async () => {
    store = await kind.create();
    database = await openMigrated(store);
    await createGuestTable(database);
    engine = await startGuestEngine(database, { broken, sent, logger });
  });
  afterEach(async () => {
    for (const [table, text] of await storedTexts(database)) {
      for (const each of hidden) expect(text.includes(each), `${table} holds ${each}`).toBe(false);
    }
    for (const each of hidden) expect(logged.join('').includes(each), `the log holds ${each}`).toBe(false);
  });
  afterAll(async () => {
    await engine.stop();
    await database.log.query('CHECKPOINT').catch(() => []);
    await database.close();
    if (store.settings.engine === 'pglite') {
      const { folder } = store.settings;
      expect(filesWith(folder ?? '', hidden), 'files that hold what they must not').toEqual([]);
      expect(filesWith(folder ?? '', ['GuestCame']).length).toBeGreaterThan(0);
    }
    await store.remove();
  });

  const storedOf = async (commandId: string) =>
    storedCommand.parse(
      await database.log.query('SELECT input, secrets FROM commands WHERE command_id = $1::uuid', commandId),
    )[0];
  const inputOf = async (commandId: string) => (await recordOf(engine, commandId)).input;
  const eventsOf = (guestId: string) => engine.log.readStreams([`guest-${guestId}`]);
  const serve = (what: 'send' | 'conclude' | 'cancel' | 'drop' | 'retry', id: string) =>
    engine.executor.execute(ofGuest('ServeGuest', { guestId: 'waiter', what, id }));
  const rowOf = (guestId: string) =>
    eventually(async () => {
      const row = await engine.view(guestProjection).read(guestId);
      expect(row).toBeDefined();
      return row;
    });

  it('are encrypted in the command, its event and its row, and read as they were', async () => {
    const guestId = randomUUID();
    const command = ofGuest('WelcomeGuest', { guestId, ...personal, token: marks.token });
    expect((await engine.executor.execute(command)).outcome).toBe('succeeded');
    expect((await eventsOf(guestId)).map(({ data }) => data)).toEqual([{ guestId, ...personal, visits: 1 }]);
    expect(await rowOf(guestId)).toMatchObject({ guestId, ...personal });
    expect(await inputOf(command.commandId)).toEqual({ guestId, ...personal, token: null });
    const { input } = await storedOf(command.commandId);
    expect(input).toMatchObject({ guestId, email: expect.stringMatching(/^sealed1\./), token: null });
  });

  it('are looked for where they would be', async () => {
    const texts = await storedTexts(database);
    for (const table of ['events', 'commands', 'guest_view']) expect(texts.get(table)).toContain('sealed1.');
  });

  it('are published as a later read gives them', async () => {
    const guestId = randomUUID();
    const head = engine.tail.head;
    await engine.executor.execute(ofGuest('WelcomeGuest', { guestId, ...personal }));
    const published = await engine.tail.read(head, 10);
    expect(published.filter(({ aggregateId }) => aggregateId === guestId)).toEqual(await eventsOf(guestId));
  });

  it('are encrypted while a command waits; the secret ends with it', async () => {
    const guestId = randomUUID();
    const due = { dueAt: new Date(Date.now() + 3_600_000) };
    const later = await enqueue(engine, ofGuest('WelcomeGuest', { guestId, ...personal, token: marks.token }), due);
    expect((await storedOf(later)).input).toMatchObject({ token: expect.stringMatching(/^sealed1\./) });
    expect(await inputOf(later)).toEqual({ guestId, ...personal, token: null });
    expect(await engine.commandRecords.inputOf(later)).toEqual({ guestId, ...personal, token: marks.token });
    await serve('cancel', later);
    expect(await statusOf(engine, later)).toBe('CANCELLED');
    expect(await storedOf(later)).toMatchObject({ input: { token: null }, secrets: null });

    const now = await enqueue(engine, ofGuest('WelcomeGuest', { guestId, ...personal, token: marks.token }));
    expect((await finished(engine, now)).status).toBe('SUCCEEDED');
    expect(await storedOf(now)).toMatchObject({ input: { token: null }, secrets: null });
    expect(await eventsOf(guestId)).toMatchObject([{ data: personal }]);
    const refused = await enqueue(engine, ofGuest('RefuseGuest', { guestId, ...personal, token: marks.token }));
    expect((await finished(engine, refused)).status).toBe('REJECTED');
    expect(await storedOf(refused)).toMatchObject({ input: { token: null }, secrets: null });
  });

  it('are wiped from a command that is rejected at once', async () => {
    const guestId = randomUUID();
    const command = ofGuest('RefuseGuest', { guestId, ...personal, token: marks.token });
    expect((await engine.executor.execute(command)).outcome).toBe('rejected');
    expect(await storedOf(command.commandId)).toMatchObject({ input: { token: null }, secrets: null });
    expect(await inputOf(command.commandId)).toEqual({ guestId, ...personal, token: null });
  });

  it('are wiped from a command whose time ran out', async () => {
    const guestId = randomUUID();
    const soon = Date.now() + 150;
    const schedule = { dueAt: new Date(soon + 3_600_000), deadline: new Date(soon + 3_600_001) };
    const id = await enqueue(engine, ofGuest('WelcomeGuest', { guestId, ...personal, token: marks.token }), schedule);
    await database.log.query('UPDATE command_queue SET deadline = now() WHERE command_id = $1::uuid RETURNING 1', id);
    engine.wake();
    expect((await finished(engine, id)).status).toBe('TIMED_OUT');
    expect(await storedOf(id)).toMatchObject({ input: { token: null }, secrets: null });
  });

  it('stay with a command that a process is to conclude, until it is', async () => {
    for (const isQueued of [false, true]) {
      const guestId = randomUUID();
      const command = ofGuest('HoldGuest', { guestId, ...personal, token: marks.token });
      if (isQueued) await enqueue(engine, command);
      else await engine.executor.execute(command);
      await untilDrained(database);
      expect(await statusOf(engine, command.commandId)).toBe('RUNNING');
      expect(await engine.commandRecords.inputOf(command.commandId)).toMatchObject({ token: marks.token });
      expect(await inputOf(command.commandId)).toMatchObject({ email: marks.email, token: null });
      await serve('conclude', command.commandId);
      expect(await statusOf(engine, command.commandId)).toBe('SUCCEEDED');
      expect(await storedOf(command.commandId)).toMatchObject({ input: { token: null }, secrets: null });
    }
  });

  it('stay with a command that failed, for as long as it may be tried again; its dead letter has no secret', async () => {
    const guestId = randomUUID();
    broken.add(guestId);
    const input = { guestId, ...personal, token: marks.token };
    const dropped = await enqueue(engine, ofGuest('BreakGuest', input));
    expect((await finished(engine, dropped)).status).toBe('FAILED');
    const [letter] = (await letterRows(database)).filter(({ subject }) => subject === dropped);
    const concealed = 'The door is jammed for [personal data] of [personal data], with [personal data].';
    expect(letter?.error).toBe(concealed);
    expect(logged.join('')).toContain(concealed);
    expect(letter?.payload).toMatchObject({ input: { email: expect.stringMatching(/^sealed1\./), token: null } });
    const shown = (await engine.deadLetters.find([letter?.id ?? ''])).get(letter?.id ?? '');
    expect(shown?.payload).toEqual({ command: 'BreakGuest', input: { ...input, token: null } });
    expect(await engine.commandRecords.inputOf(dropped)).toMatchObject({ token: marks.token });
    await serve('drop', letter?.id ?? '');
    expect(await storedOf(dropped)).toMatchObject({ input: { token: null }, secrets: null });

    const retried = await enqueue(engine, ofGuest('BreakGuest', input));
    expect((await finished(engine, retried)).status).toBe('FAILED');
    broken.delete(guestId);
    const [again] = (await letterRows(database)).filter(({ subject }) => subject === retried);
    await serve('retry', again?.id ?? '');
    expect((await finished(engine, retried)).status).toBe('SUCCEEDED');
    expect(await storedOf(retried)).toMatchObject({ input: { token: null }, secrets: null });
    expect(await eventsOf(guestId)).toMatchObject([{ data: personal }]);
  });

  it('are encrypted in what aggregates and processes send, and in what processes remember', async () => {
    const [guestId, friend] = [`greet ${randomUUID()}`, randomUUID()];
    await serve('send', friend);
    await engine.executor.execute(ofGuest('WelcomeGuest', { guestId, ...personal }));
    for (const who of [friend, `friend of ${guestId}`]) {
      expect(await rowOf(who)).toMatchObject({ email: sent.email });
      const [came] = await eventsOf(who);
      expect(await inputOf(came?.commandId ?? '')).toEqual({ guestId: who, email: sent.email, token: null });
      expect(await storedOf(came?.commandId ?? '')).toMatchObject({ input: { token: null }, secrets: null });
    }
    expect(await engine.log.readStreams([`greeter-${guestId}`])).toMatchObject([
      { data: { guestId, email: marks.email } },
    ]);
  });

  it('do not keep a repeat from being recognised, and their fingerprint tells nobody what was guessed', async () => {
    const guestId = randomUUID();
    const command = ofGuest('WelcomeGuest', { guestId, ...personal });
    await engine.executor.execute(command);
    expect(await engine.executor.execute(command)).toMatchObject({ outcome: 'succeeded', receipt: { replayed: true } });
    const other = { ...command, data: { guestId, ...personal, email: 'another@example.org' } };
    expect(await engine.executor.execute(other)).toMatchObject({ outcome: 'rejected' });
    const plain = ofGuest('ServeGuest', { guestId, what: 'cancel', id: 'x' });
    const codec = await testCodec(database);
    expect(codec.fingerprint(plain.name, 'a')).toBe('a');
    expect(codec.keyedHash('a')).toBe((await testCodec(database)).keyedHash('a'));
    expect(codec.keyedHash('a')).not.toBe(codec.keyedHash('b'));
  });

  it('are found by a hash that only this store can make', async () => {
    const guestId = randomUUID();
    const email = `Found-${guestId}@Example.org`;
    await engine.executor.execute(ofGuest('WelcomeGuest', { guestId, email }));
    expect(await rowOf(guestId)).toMatchObject({ email, emailHash: null });
    const codec = await testCodec(database);
    const rows = new ReadRows(guestProjection.table, database.derived, codec);
    const found = await rows.find('WHERE email_hash = $1', codec.keyedHash(email.toLowerCase()));
    expect(found.map(({ id }) => id)).toEqual([guestId]);
  });

  it('read as forgotten, everywhere, once their key is gone; and nothing more of them is kept', async () => {
    const guestId = randomUUID();
    const command = ofGuest('WelcomeGuest', { guestId, ...personal, token: marks.token });
    await engine.executor.execute(command);
    await rowOf(guestId);
    await engine.stop();
    await database.log.query(
      'UPDATE subject_keys SET wrapped_key = NULL, destroyed_at = now() WHERE subject_id = $1 RETURNING 1',
      guestId,
    );
    engine = await startGuestEngine(database, { broken, sent, logger });
    const forgotten = { email: null, home: null };
    expect(await eventsOf(guestId)).toMatchObject([{ data: forgotten }]);
    expect(await engine.view(guestProjection).read(guestId)).toMatchObject(forgotten);
    expect(await inputOf(command.commandId)).toEqual({ guestId, ...forgotten, token: null });
    const more = ofGuest('WelcomeGuest', { guestId, ...personal });
    expect((await engine.executor.execute(more)).outcome).toBe('succeeded');
    expect((await engine.tail.read(engine.tail.head - 1, 1))[0]).toMatchObject({ data: forgotten });
    expect((await storedOf(more.commandId)).input).toMatchObject(forgotten);
    const queued = await enqueue(engine, ofGuest('WelcomeGuest', { guestId, ...personal }));
    expect((await finished(engine, queued)).status).toBe('SUCCEEDED');
    await eventually(async () => {
      const row = { visits: 3, email: null, email_hash: null };
      expect(
        await database.log.query('SELECT visits, email, email_hash FROM guest_view WHERE id = $1', guestId),
      ).toEqual([row]);
    });
    expect(
      await database.log.query('SELECT 1 FROM subject_keys WHERE subject_id = $1 AND wrapped_key IS NOT NULL', guestId),
    ).toEqual([]);
  });

  it('cannot be read where they were put in another place', async () => {
    const [a, b] = [randomUUID(), randomUUID()];
    for (const guestId of [a, b])
      await engine.executor.execute(ofGuest('WelcomeGuest', { guestId, email: `${guestId}@x` }));
    await rowOf(b);
    await database.log.query(
      `UPDATE events SET data = (SELECT data FROM events WHERE aggregate_id = $1) WHERE aggregate_id = $2 RETURNING 1`,
      a,
      b,
    );
    await database.log.query(
      'UPDATE guest_view SET email = (SELECT email FROM guest_view WHERE id = $1) WHERE id = $2 RETURNING 1',
      a,
      b,
    );
    expect(await eventsOf(b)).toMatchObject([{ data: { guestId: a, email: null } }]);
    const rows = new ReadRows(guestProjection.table, database.derived, await testCodec(database));
    expect((await rows.load([b])).get(b)).toMatchObject({ email: null });
    expect(await eventsOf(a)).toMatchObject([{ data: { email: `${a}@x` } }]);
  });

  it('are never sent without keys, nor read with others than the store began with', async () => {
    expect(() => new ReadRows(guestProjection.table, database.derived, new StorageCodec())).toThrow(/no keys/);
    await expect(startGuestEngine(database, { masterKey: randomBytes(32) })).rejects.toThrow(WrongMasterKey);
  });
});
