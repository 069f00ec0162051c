import { randomBytes, randomUUID } from 'node:crypto';
import { afterEach, expect, it } from 'vitest';
import { z } from 'zod';
import type { Engine } from '../../../src/eventsourcing/engine.ts';
import { KeyRing, UnusableKey, WrongMasterKey } from '../../../src/eventsourcing/keys/key-ring.ts';
import { CannotRotate, rotateMasterKey, rotateSubjectKeys } from '../../../src/eventsourcing/keys/key-rotation.ts';
import { type KeyQueries, masterKeysInUse } from '../../../src/eventsourcing/keys/key-store.ts';
import { KeyWrap } from '../../../src/eventsourcing/keys/key-wrap.ts';
import { StorageCodec } from '../../../src/eventsourcing/log/codec.ts';
import { EventLog } from '../../../src/eventsourcing/log/event-log.ts';
import type { Database } from '../../../src/platform/database.ts';
import { createLogger } from '../../../src/platform/logger.ts';
import { createGuestTable, guestEvents, guestProjection, ofGuest, startGuestEngine } from '../../support/guests.ts';
import { testMasterKey } from '../../support/master-key.ts';
import { describeEachStore, openMigrated } from '../../support/stores.ts';
import { readWholeLog } from '../../support/tally-engine.ts';

const logger = createLogger('silent');
const guestCame = z.object({ guestId: z.string(), email: z.string().nullable() });

describeEachStore('Keys that are changed', (kind) => {
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  const isAlone = kind.engine === 'pglite';
  const next = randomBytes(32);
  const both = { masterKey: next, otherMasterKeys: [testMasterKey] };

  async function open(): Promise<Database> {
    const store = await kind.create();
    closing.push(store.remove);
    const database = await openMigrated(store);
    closing.push(database.close);
    await createGuestTable(database);
    // It begins with this one.
    await ring(database, testMasterKey);
    return database;
  }
  async function start(database: Database, keys: { masterKey?: Buffer; otherMasterKeys?: Buffer[] } = {}) {
    const engine = await startGuestEngine(database, keys);
    closing.push(() => engine.stop());
    return engine;
  }
  const ring = ({ log }: Pick<Database, 'log'>, masterKey: Buffer, otherMasterKeys: Buffer[] = []) =>
    KeyRing.open({ client: log, masterKey, otherMasterKeys, logger });
  const welcome = (engine: Engine, guestId = randomUUID()) =>
    engine.executor.execute(ofGuest('WelcomeGuest', { guestId, email: `${guestId}@example.org` }));
  /** Welcomes guests, one after the other, until it is told to stop. @returns how many */
  function load(engine: Engine, atOnce = 8): () => Promise<number> {
    let isOver = false;
    const run = async () => {
      let count = 0;
      for (; !isOver; count += 1) expect((await welcome(engine)).outcome).toBe('succeeded');
      return count;
    };
    const runs = Array.from({ length: atOnce }, run);
    return async () => {
      isOver = true;
      return (await Promise.all(runs)).reduce((sum, count) => sum + count, 0);
    };
  }
  async function expectAllToBeRead({ log }: Database, masterKey: Buffer, count: number): Promise<void> {
    const codec = new StorageCodec(await ring({ log } as Database, masterKey));
    const events = await readWholeLog(new EventLog(log, codec, guestEvents));
    expect(events).toHaveLength(count);
    for (const { data } of events) {
      const { guestId, email } = guestCame.parse(data);
      expect(email).toBe(`${guestId}@example.org`);
    }
  }
  /** Breaks after so many batches. */
  function breaking({ log }: Database, batches: number): KeyQueries {
    let left = batches;
    return {
      async query(sql, ...parameters) {
        if (sql.includes('rewrap_subject_keys') && left-- === 0) throw new Error('The process was killed.');
        return log.query(sql, ...parameters);
      },
    };
  }

  it('are all wrapped with a new master key, while those who know both go on', async () => {
    const database = await open();
    const engine = await start(database, both);
    await (await ring(database, testMasterKey)).ensure(Array.from({ length: 1_300 }, () => randomUUID()));
    const stop = load(engine);
    await welcome(engine);
    // Until then, who knows the one before alone can use all that there is.
    await ring(database, testMasterKey);
    const seen: number[] = [];
    const onProgress = ({ done, total }: { done: number; total: number }) => seen.push(done / total);
    const rotated = await rotateMasterKey({ client: database.log, ...both, isAlone, onProgress });
    expect(rotated.changed).toBeGreaterThan(1_300);
    expect(rotated.broken).toBe(0);
    expect(seen.length).toBeGreaterThan(3);
    await welcome(engine);
    const count = (await stop()) + 2;
    expect(await masterKeysInUse(database.log)).toEqual([new KeyWrap(next).masterKeyId]);
    await expectAllToBeRead(database, next, count);
    await expect(ring(database, testMasterKey)).rejects.toThrow(WrongMasterKey);
    expect(await rotateMasterKey({ client: database.log, ...both, isAlone })).toMatchObject({ changed: 0, broken: 0 });
    // What is looked up by a hash is found as before: that key is the same, only wrapped otherwise.
    expect((await engine.view(guestProjection).rows.find('LIMIT 1'))[0]?.email).toContain('@example.org');
  });

  it('are wrapped to the end after an interruption, and until then nobody starts who would find some of them lost', async () => {
    const database = await open();
    await (await ring(database, testMasterKey)).ensure(Array.from({ length: 1_300 }, () => randomUUID()));
    const killed = rotateMasterKey({ client: breaking(database, 2), ...both, isAlone });
    await expect(killed).rejects.toThrow('killed');
    await expect(ring(database, next)).rejects.toThrow(/MASTER_KEY_PREVIOUS/);
    await expect(ring(database, testMasterKey)).rejects.toThrow(WrongMasterKey);
    const keys = await ring(database, next, [testMasterKey]);
    const subject = randomUUID();
    expect((await keys.ensure([subject])).get(subject)).not.toBeNull();
    const { changed } = await rotateMasterKey({ client: database.log, ...both, isAlone });
    expect(changed).toBe(800);
    expect((await (await ring(database, next)).load([[subject, 1]])).get(subject)?.version).toBe(1);
  });

  it('stay destroyed, and what is broken is counted and left', async () => {
    const database = await open();
    const [gone, broken] = [randomUUID(), randomUUID()];
    const keys = await ring(database, testMasterKey);
    await keys.ensure([gone, broken]);
    await database.log.query('SELECT forget_subjects(ARRAY[$1], now())::text', gone);
    const half = `UPDATE subject_keys SET wrapped_key = translate(wrapped_key, 'abc', 'bca') WHERE subject_id = $1`;
    await database.log.query(half, broken);
    expect(await rotateMasterKey({ client: database.log, ...both, isAlone })).toMatchObject({ changed: 1, broken: 1 });
    const after = await ring(database, next, [testMasterKey]);
    expect((await after.ensure([gone])).get(gone)).toBeNull();
    await expect(after.ensure([broken])).rejects.toThrow(UnusableKey);
    await expect(rotateSubjectKeys({ client: database.log, ...both, isAlone }, gone)).rejects.toThrow('was forgotten');
  });

  it('are not wrapped with a key that is not known to be the one after, nor from one that is not the one before', async () => {
    const database = await open();
    const wrong = { masterKey: next, otherMasterKeys: [randomBytes(32)], isAlone };
    await expect(rotateMasterKey({ client: database.log, ...wrong })).rejects.toThrow(CannotRotate);
    await expect(rotateSubjectKeys({ client: database.log, ...wrong }, undefined)).rejects.toThrow(CannotRotate);
    await ring(database, testMasterKey);
    if (isAlone) return;
    await start(database);
    await expect(rotateMasterKey({ client: database.log, ...both, isAlone })).rejects.toThrow(
      /1 running server does not/,
    );
    await ring(database, testMasterKey);
  });

  it('of subjects are followed by new ones, which seal from then on; what is there is read with those before', async () => {
    const database = await open();
    const engine = await start(database);
    const guestId = randomUUID();
    await welcome(engine, guestId);
    const slow = await ring(database, testMasterKey);
    await slow.ensure([guestId]);
    const parts = { client: database.log, masterKey: testMasterKey, isAlone };
    expect(await rotateSubjectKeys(parts, guestId)).toEqual({ changed: 1, broken: 0 });
    await expect(rotateSubjectKeys(parts, 'nobody')).rejects.toThrow('no key');
    await expect(rotateSubjectKeys(parts, '')).rejects.toThrow(CannotRotate);
    // As a server does within a minute.
    engine.codec.forget([guestId]);
    await welcome(engine, guestId);
    const forms = 'SELECT left(data->>$1, 8) AS form FROM events ORDER BY position';
    expect(await database.log.query(forms, 'email')).toEqual([{ form: 'sealed1.' }, { form: 'sealed2.' }]);
    await expectAllToBeRead(database, testMasterKey, 2);
    // Who still has the one before alone in memory finds out that there is another.
    expect((await slow.load([[guestId, 2]])).get(guestId)?.version).toBe(2);
    await engine.executor.execute(ofGuest('ForgetGuest', { guestId }));
    const left = 'SELECT version FROM subject_keys WHERE subject_id = $1 AND wrapped_key IS NOT NULL';
    expect(await database.log.query(left, guestId)).toEqual([]);
    const read = await engine.log.readStreams([`guest-${guestId}`]);
    expect(read.map(({ data }) => Object(data).email ?? null)).toEqual([null, null, null]);
  });

  it('of all subjects can be followed by new ones under load, and be wrapped anew at the same time', async () => {
    const database = await open();
    const engine = await start(database, both);
    await (await ring(database, testMasterKey)).ensure(Array.from({ length: 700 }, () => randomUUID()));
    const stop = load(engine);
    await welcome(engine);
    const parts = { client: database.log, ...both, isAlone };
    const [subjects, master] = await Promise.all([rotateSubjectKeys(parts, undefined), rotateMasterKey(parts)]);
    expect(subjects.changed + master.changed).toBeGreaterThan(700);
    engine.codec.forget([]);
    await welcome(engine);
    await rotateMasterKey(parts);
    const again = await rotateSubjectKeys(parts, undefined);
    expect(again.changed).toBeGreaterThan(700);
    const count = (await stop()) + 2;
    await expectAllToBeRead(database, next, count);
  });
});
