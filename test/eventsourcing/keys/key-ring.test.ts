import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { KeyRing, UnusableKey, WrongMasterKey } from '../../../src/eventsourcing/keys/key-ring.ts';
import type { SubjectKeys } from '../../../src/eventsourcing/keys/subject-key.ts';
import type { Database } from '../../../src/platform/database.ts';
import { createLogger } from '../../../src/platform/logger.ts';
import { testMasterKey } from '../../support/master-key.ts';
import { describeEachStore, openMigrated, type TestStore } from '../../support/stores.ts';

const bytesOf = (keys: SubjectKeys) =>
  new Map([...keys].map(([subject, key]) => [subject, key?.key.export().toString('hex')]));

const firstKeysOf = (subjects: readonly string[]) => subjects.map((subject) => [subject, 1] as const);

describeEachStore('The key ring', (kind) => {
  let store: TestStore;
  let database: Database;
  let other: Database;
  const logger = createLogger('silent');
  let instant = 0;

  const open = ({ log }: Database = database, masterKey = testMasterKey) =>
    KeyRing.open({ client: log, masterKey, logger, now: () => instant });
  const destroy = (subject: string) =>
    database.log.query(
      'UPDATE subject_keys SET wrapped_key = NULL, destroyed_at = now() WHERE subject_id = $1 RETURNING 1',
      subject,
    );

  beforeAll(async () => {
    store = await kind.create();
    database = await openMigrated(store);
    other = kind.engine === 'postgresql' ? await openMigrated(store) : database;
  });
  afterAll(async () => {
    await database.close();
    if (other !== database) await other.close();
    await store.remove();
  });

  it('makes a key for each subject, which every other process finds', async () => {
    const subjects = [randomUUID(), 'with a space, a \' and "ünï"'];
    const made = await (await open()).ensure(subjects);
    expect([...made.keys()].sort()).toEqual([...subjects].sort());
    expect(new Set(bytesOf(made).values()).size).toBe(2);
    expect(bytesOf(await (await open(other)).load(firstKeysOf(subjects)))).toEqual(bytesOf(made));
    expect(bytesOf(await (await open(other)).ensure(subjects))).toEqual(bytesOf(made));
  });

  it('makes one key where two processes want it at once', async () => {
    const subjects = Array.from({ length: 200 }, () => randomUUID());
    const rings = await Promise.all([open(), open(other), open(), open(other)]);
    const made = await Promise.all(
      rings.map((ring, at) => ring.ensure(at % 2 === 0 ? subjects : subjects.toReversed())),
    );
    for (const keys of made) expect(bytesOf(keys)).toEqual(bytesOf(made[0] ?? new Map()));
    expect(bytesOf(await (await open()).load(firstKeysOf(subjects))).size).toBe(200);
  });

  it('stores no key as it is', async () => {
    const subject = randomUUID();
    const key = (await (await open()).ensure([subject])).get(subject)?.key.export() ?? Buffer.alloc(0);
    const rows = JSON.stringify(await database.log.query('SELECT k::text FROM subject_keys AS k'));
    for (const form of ['hex', 'base64', 'base64url'] as const) expect(rows).not.toContain(key.toString(form));
    expect(rows).not.toContain(testMasterKey.toString('base64'));
  });

  it('gives whoever reads nothing for a key that was lost, and makes none', async () => {
    const subject = randomUUID();
    expect((await (await open()).load(firstKeysOf([subject]))).has(subject)).toBe(false);
    expect(await database.log.query('SELECT 1 FROM subject_keys WHERE subject_id = $1', subject)).toEqual([]);
  });

  it('never makes a new key for a subject that was forgotten', async () => {
    const subject = randomUUID();
    await (await open()).ensure([subject]);
    await destroy(subject);
    const ring = await open();
    expect((await ring.load(firstKeysOf([subject]))).get(subject)).toBeNull();
    expect((await ring.ensure([subject])).get(subject)).toBeNull();
  });

  it('uses a key that another process destroyed no longer than a minute', async () => {
    const subject = randomUUID();
    const ring = await open();
    await ring.ensure([subject]);
    await destroy(subject);
    instant += 59_000;
    expect((await ring.load(firstKeysOf([subject]))).get(subject)).not.toBeNull();
    instant += 1_000;
    expect((await ring.load(firstKeysOf([subject]))).get(subject)).toBeNull();
  });

  it('looks a key up once for as long as it keeps it', async () => {
    const subject = randomUUID();
    const ring = await open();
    await ring.ensure([subject]);
    const query = vi.spyOn(database.log, 'query');
    await ring.ensure([subject]);
    await ring.load(firstKeysOf([subject]));
    expect(query).not.toHaveBeenCalled();
    query.mockRestore();
  });

  it('refuses another master key, rather than to read all as forgotten', async () => {
    await open();
    await expect(open(database, randomBytes(32))).rejects.toThrow(WrongMasterKey);
    await expect(open(database, randomBytes(31))).rejects.toThrow('A master key has 32 bytes.');
  });

  it('reads as forgotten what one broken key protects, says so once, and writes nothing with it', async () => {
    const [whole, broken, moved] = [randomUUID(), randomUUID(), randomUUID()];
    await (await open()).ensure([whole, broken, moved]);
    await database.log.query(
      `UPDATE subject_keys SET wrapped_key = translate(wrapped_key, 'abc', 'bca') WHERE subject_id = $1 RETURNING 1`,
      broken,
    );
    await database.log.query(
      `UPDATE subject_keys SET wrapped_key = (SELECT wrapped_key FROM subject_keys WHERE subject_id = $1)
       WHERE subject_id = $2 RETURNING 1`,
      whole,
      moved,
    );
    const warn = vi.spyOn(logger, 'warn');
    const ring = await open();
    expect([...(await ring.load(firstKeysOf([whole, broken, moved]))).keys()]).toEqual([whole]);
    await ring.load(firstKeysOf([broken]));
    expect(warn).toHaveBeenCalledOnce();
    warn.mockRestore();
    await expect(ring.ensure([whole, broken])).rejects.toThrow(UnusableKey);
  });

  it('makes no key for what no column can hold', async () => {
    const ring = await open();
    expect((await ring.ensure(['a\u0000b', '\ud800'])).size).toBe(0);
    expect((await ring.load(firstKeysOf(['a\u0000b', '\ud800']))).size).toBe(0);
  });

  it('tells a store that has keys', async () => {
    await open();
    expect(await KeyRing.isKeyed(database.log)).toBe(true);
  });
});
