import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { afterEach, expect, it } from 'vitest';
import { z } from 'zod';
import { StoredEvents } from '../../../src/eventsourcing/log/stored-events.ts';
import { chained, GENESIS, signed } from '../../../src/eventsourcing/seals/log-seal.ts';
import { SealKey } from '../../../src/eventsourcing/seals/seal-keys.ts';
import { isWhole, SealStore } from '../../../src/eventsourcing/seals/seal-store.ts';
import type { Database } from '../../../src/platform/database.ts';
import { archiveAll, tallyArchiver } from '../../support/archives.ts';
import { testMasterKey } from '../../support/master-key.ts';
import { fillLog, sealsOf, untilSealed, verifyLog } from '../../support/sealed-log.ts';
import { describeEachStore, openMigrated } from '../../support/stores.ts';
import { startTallyEngine } from '../../support/tally-engine.ts';

/** What an attacker can do who has the database, and not the master key. */
describeEachStore('A sealed log', (kind) => {
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  async function open(): Promise<Database> {
    const store = await kind.create();
    closing.push(store.remove);
    const database = await openMigrated(store);
    closing.push(database.close);
    return database;
  }
  /** A log that is sealed to its end, in several seals; no server runs any more. */
  async function sealed(events = 230): Promise<Database> {
    const database = await open();
    const engine = await startTallyEngine(database);
    await fillLog(engine, events - 30);
    await untilSealed(engine);
    await fillLog(engine, 30);
    await engine.stop();
    expect((await sealsOf(database)).length).toBeGreaterThan(1);
    return database;
  }
  const found = async (database: Database, checkpoints: readonly string[] = []) =>
    (await verifyLog(database, { checkpoints })).findings;
  const tokenOf = async (database: Database) => (await verifyLog(database)).walk.checkpoint ?? '';
  const swap = async ({ log }: Database, a: number, b: number) => {
    for (const [from, to] of [
      [a, -1],
      [b, a],
      [-1, b],
    ])
      await log.query('UPDATE events SET position = $2::bigint WHERE position = $1::bigint', from, to);
  };
  const cutAfter = async ({ log }: Database, position: number) => {
    await log.query('DELETE FROM events WHERE position > $1::bigint', position);
    await log.query(
      `UPDATE log_head SET position = $1::bigint,
         recorded_at = (SELECT recorded_at FROM events WHERE position = $1::bigint) WHERE id = 1`,
      position,
    );
  };
  /** Hashes of the whole log as it is now, written into its seals. @param key signs them; without, signatures stay */
  const recompute = async ({ log }: Database, key?: SealKey) => {
    const store = new SealStore(log);
    const events = await new StoredEvents(log).readAfter(0, 100_000);
    let hash: Buffer = GENESIS;
    const hashes = new Map(
      events.map(({ position, line }) => {
        hash = chained(hash, line);
        return [position, hash];
      }),
    );
    for (const seal of (await store.page(0, 1_000)).filter(isWhole)) {
      const { firstPosition, position } = seal;
      const own = Array.from({ length: position - firstPosition + 1 }, (_, at) => hashes.get(firstPosition + at));
      const forged = { ...seal, hashes: Buffer.concat(own.map((it) => it ?? Buffer.alloc(32))) };
      const { hashes: bytes, signature, keyId } = key === undefined ? forged : signed(forged, key);
      await log.query(
        'UPDATE log_seals SET hashes = $2::bytea, signature = $3::bytea, key_id = $4 WHERE position = $1::bigint',
        ...[position, bytes, signature, keyId],
      );
    }
  };

  it('that nobody changed is whole, up to its last event', async () => {
    const database = await sealed(1_230);
    const { walk, findings } = await verifyLog(database);
    expect(findings).toEqual([]);
    expect(walk).toMatchObject({ position: 1_230, sealed: 1_230, total: 1_230, unsealedSince: null });
    expect(await found(database, [walk.checkpoint ?? ''])).toEqual([]);
  });

  it('shows a change of any column of any event, and of that event alone', async () => {
    const database = await sealed(1_230);
    const { log } = database;
    const columns = z.array(z.object({ name: z.string(), type: z.string() })).parse(
      await log.query(
        `SELECT column_name::text AS name, data_type::text AS type FROM information_schema.columns
           WHERE table_name = 'events' AND table_schema = 'public' AND column_name <> 'position' ORDER BY 1`,
      ),
    );
    expect(columns.length).toBeGreaterThanOrEqual(14);
    // One byte of what is stored: a digit, a letter, a millisecond.
    const changes: Readonly<Record<string, (name: string) => string>> = {
      text: (name) => `overlay(coalesce(${name}, '-') placing chr(ascii(coalesce(${name}, '-')) + 1) from 1)`,
      uuid: (name) =>
        `overlay(coalesce(${name}, gen_random_uuid())::text placing
          CASE substr(coalesce(${name}, gen_random_uuid())::text, 5, 1) WHEN '7' THEN '8' ELSE '7' END from 5)::uuid`,
      integer: (name) => `${name} + 100000`,
      jsonb: (name) => `replace(${name}::text, 'ink', 'inj')::jsonb`,
      'timestamp with time zone': (name) => `${name} + interval '1 millisecond'`,
    };
    for (const [at, { name, type }] of columns.entries()) {
      const position = [1, 2, 999, 1_000, 1_001, 1_229, 1_230][at % 7] ?? 1;
      const change = changes[type] ?? expect.fail(`No change is known for ${type}`);
      await log.query('CREATE TABLE original AS SELECT * FROM events WHERE position = $1::bigint', position);
      await log.query(`UPDATE events SET ${name} = ${change(name)} WHERE position = $1::bigint`, position);
      const findings = await found(database);
      expect(findings, name).toEqual([{ kind: 'CHANGED', position, message: expect.stringMatching(/was changed\.$/) }]);
      if (name !== 'version' && name !== 'type' && name !== 'stream_id')
        expect(findings[0]?.message).toMatch(
          /^Event \d+ \(tally-t\d version \d+, TallyAdded, id [\w-]{36}\) is not as/,
        );
      await log.query('DELETE FROM events WHERE position = $1::bigint', position);
      await log.query('INSERT INTO events SELECT * FROM original');
      await log.query('DROP TABLE original');
    }
    expect(await found(database)).toEqual([]);
  });

  it('shows what no longer is there, or stands elsewhere', async () => {
    const database = await sealed();
    const { log } = database;
    const row = await log.query('CREATE TABLE original AS SELECT * FROM events WHERE position = 170');
    expect(row).toEqual([]);
    await log.query('DELETE FROM events WHERE position = 170');
    expect(await found(database)).toEqual([
      { kind: 'MISSING', position: 170, message: expect.stringContaining('Event 170 is missing') },
    ]);
    await log.query('INSERT INTO events SELECT * FROM original');

    await swap(database, 30, 180);
    expect(await found(database)).toMatchObject([
      { kind: 'MOVED', position: 30, message: expect.stringContaining('changed places with event 180') },
      { kind: 'MOVED', position: 180, message: expect.stringContaining('changed places with event 30') },
    ]);
    await swap(database, 30, 180);
    // Under different seals.
    await swap(database, 10, 225);
    expect((await found(database)).map(({ position }) => position)).toEqual([10, 225]);
    await swap(database, 10, 225);

    await log.query('UPDATE events SET position = position + 1000000 WHERE position = 230');
    expect((await found(database)).map(({ kind: it, position }) => [it, position])).toEqual([
      ['EXTRA', 1_000_230],
      ['MISSING', 230],
    ]);
    await log.query('UPDATE events SET position = 230 WHERE position > 230');
    expect(await found(database)).toEqual([]);
  });

  it('shows an event that was taken out so that no gap is left', async () => {
    const database = await sealed();
    const { log } = database;
    await log.query('DELETE FROM events WHERE position = 204');
    for (let position = 205; position <= 230; position += 1)
      await log.query('UPDATE events SET position = position - 1 WHERE position = $1::bigint', position);
    await cutAfter(database, 229);
    const findings = await found(database);
    expect(findings[0]).toEqual({
      kind: 'MOVED',
      position: 204,
      message: expect.stringContaining('it was sealed as event 205'),
    });
    expect(await verifyLog(database)).toMatchObject({ walk: { findings: 27 } });
  });

  it('shows an event that was put where nobody looks who reads from the first to the last', async () => {
    const database = await sealed();
    const forge = (position: string) =>
      database.log.query(
        `INSERT INTO events SELECT ${position}, gen_random_uuid(), stream_id, aggregate_type, aggregate_id, version + 5000,
           type, schema_version, data, actor_kind, actor_id, command_id, correlation_id, causation_id, recorded_at
         FROM events WHERE events.position = 5`,
      );
    for (const position of ['-1', '0', '9223372036854775807', '231']) {
      await forge(position);
      expect(await found(database)).toMatchObject([{ kind: 'EXTRA', position: Number(position) }]);
      await database.log.query(`DELETE FROM events WHERE position = ${position}`);
    }
  });

  it('names an event that cannot even be read any more', async () => {
    const database = await sealed();
    await database.log.query(`UPDATE events SET recorded_at = 'infinity' WHERE position = 77`);
    expect(await found(database)).toMatchObject([{ kind: 'CHANGED', position: 77 }]);
  });

  it('shows hashes that were made anew, without the key, and with another', async () => {
    const database = await sealed();
    const { log } = database;
    const token = await tokenOf(database);
    await log.query(`UPDATE events SET actor_id = 'mallory' WHERE position = 220`);
    await recompute(database);
    const first = (await sealsOf(database)).find(({ position }) => position >= 220)?.first;
    expect((await found(database))[0]).toMatchObject({ kind: 'SEAL', position: first });
    expect((await found(database, [token])).some((it) => it.kind === 'CHECKPOINT')).toBe(true);

    const mallory = new SealKey(randomBytes(32));
    await recompute(database, mallory);
    const findings = await found(database);
    expect(findings.every(({ kind: it }) => it === 'SEAL')).toBe(true);
    expect(findings[0]).toMatchObject({ position: 1, message: expect.stringContaining('not made from a master key') });
    await log.query('UPDATE log_seals SET key_id = $1', new SealKey(testMasterKey).id);
    expect((await found(database))[0]).toMatchObject({ message: expect.stringContaining('not signed by this store') });
  });

  it('shows a changed seal, a missing one and one that is none, and that the events under it are right nonetheless', async () => {
    const database = await sealed();
    const { log } = database;
    const [first] = await sealsOf(database);
    await log.query('CREATE TABLE original AS SELECT * FROM log_seals');
    const changes = [
      'UPDATE log_seals SET hashes = set_byte(hashes, 40, 255 - get_byte(hashes, 40)) WHERE first_position = 1',
      'UPDATE log_seals SET signature = set_byte(signature, 7, 255 - get_byte(signature, 7)) WHERE first_position = 1',
      `UPDATE log_seals SET sealed_at = sealed_at + interval '1 millisecond' WHERE first_position = 1`,
      `UPDATE log_seals SET sealed_at = 'infinity' WHERE first_position = 1`,
      `UPDATE log_seals SET epoch = 'ffffffffffff' WHERE first_position = 1`,
      `UPDATE log_seals SET hashes = '' WHERE first_position = 1`,
      'UPDATE log_seals SET hashes = substr(hashes, 2) WHERE first_position = 1',
      'UPDATE log_seals SET first_position = 0 WHERE first_position = 1',
      `DELETE FROM log_seals WHERE first_position = 1`,
    ];
    for (const change of changes) {
      await log.query(change);
      expect(await found(database), change).toMatchObject([{ kind: 'SEAL', position: 1 }]);
      await log.query('DELETE FROM log_seals');
      await log.query('INSERT INTO log_seals SELECT * FROM original');
    }
    expect(await found(database)).toEqual([]);
    // Without its seal an event cannot be named, but that one was changed can be told.
    await log.query('DELETE FROM log_seals WHERE first_position = 1');
    await log.query(`UPDATE events SET actor_id = 'mallory' WHERE position = 5`);
    expect(await found(database)).toMatchObject([
      { kind: 'SEAL', position: 1 },
      { kind: 'CHANGED', position: 1, message: expect.stringContaining(`events 1 to ${(first?.position ?? 0) + 1} `) },
    ]);
    await log.query('DELETE FROM log_seals');
    expect(await found(database)).toMatchObject([{ kind: 'UNSEALED', position: 1 }]);
  });

  it('shows a tail that was cut off: by its seals, or with them by a checkpoint that was kept elsewhere', async () => {
    const database = await sealed();
    const token = await tokenOf(database);
    await cutAfter(database, 210);
    expect((await found(database))[0]).toMatchObject({ kind: 'MISSING', position: 211 });
    const [{ position: kept } = { position: 0 }] = await sealsOf(database);
    await database.log.query('DELETE FROM log_seals WHERE position > $1::bigint', kept);
    await cutAfter(database, kept);
    // The stated limit: nothing in the database tells of what came after the last seal that is left.
    expect(await found(database)).toEqual([]);
    expect(await found(database, [token])).toEqual([
      { kind: 'CUT', position: kept, message: expect.stringContaining('had event 230') },
    ]);
  });

  it('shows an end that was cut off and is still said to be there', async () => {
    const database = await open();
    const engine = await startTallyEngine(database, { isSealing: false });
    await fillLog(engine, 50);
    await engine.stop();
    await database.log.query('DELETE FROM events WHERE position > 40');
    expect(await found(database)).toMatchObject([{ kind: 'CUT', position: 40 }, { kind: 'UNSEALED' }]);
  });

  it('refuses a checkpoint that was made up', async () => {
    const database = await sealed();
    const token = await tokenOf(database);
    const text = Buffer.from(token.slice(4), 'base64url').toString();
    const forged = `cp1.${Buffer.from(text.replace(',230,', ',229,')).toString('base64url')}`;
    expect((await found(database, [forged]))[0]).toMatchObject({
      kind: 'CHECKPOINT',
      message: expect.stringContaining('made up'),
    });
  });

  it('shows what was put before, or beside, an event that is archived', async () => {
    const database = await sealed();
    await archiveAll(tallyArchiver(database, { aggregates: [{ endsWith: ['TallyAdded'] }] }));
    expect(await found(database)).toEqual([]);
    const { log } = database;
    const archived = z.tuple([z.object({ at: z.number() })]);
    const [{ at }] = archived.parse(
      await log.query('SELECT positions[1]::int AS at FROM archived_streams ORDER BY 1 LIMIT 1'),
    );
    const forged = JSON.stringify({ position: at, event_id: randomUUID(), stream_id: 'tally-forged', version: 1 });
    await log.query(
      'INSERT INTO events SELECT (jsonb_populate_record(NULL::events, to_jsonb(e) || $1::jsonb)).* FROM events AS e LIMIT 1',
      forged,
    );
    expect(await found(database)).toMatchObject([
      { kind: 'CHANGED', position: at },
      { kind: 'ARCHIVE', position: at },
    ]);
  });

  it('is hashed as the documentation says', async () => {
    const database = await sealed();
    const lines = await new StoredEvents(database.log).readAfter(0, 2);
    const sha = (...parts: (string | Buffer)[]) =>
      parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();
    let hash = sha('cartstream log');
    for (const { line } of lines) hash = sha(hash, line);
    expect((await new SealStore(database.log).hashAt(2))?.equals(hash)).toBe(true);
  });
});
