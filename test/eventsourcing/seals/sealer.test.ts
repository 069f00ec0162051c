import { randomBytes } from 'node:crypto';
import { afterEach, expect, it, vi } from 'vitest';
import { KeyRing } from '../../../src/eventsourcing/keys/key-ring.ts';
import { rotateMasterKey } from '../../../src/eventsourcing/keys/key-rotation.ts';
import { StoredEvents } from '../../../src/eventsourcing/log/stored-events.ts';
import { chained, checkpointOf, checkpointToken, GENESIS, signed } from '../../../src/eventsourcing/seals/log-seal.ts';
import { SealKey, SealKeys } from '../../../src/eventsourcing/seals/seal-keys.ts';
import { SealStore } from '../../../src/eventsourcing/seals/seal-store.ts';
import { SmallSeals } from '../../../src/eventsourcing/seals/small-seals.ts';
import type { Database } from '../../../src/platform/database.ts';
import { createLogger } from '../../../src/platform/logger.ts';
import { testMasterKey } from '../../support/master-key.ts';
import { meddleWith } from '../../support/meddled-database.ts';
import { fillLog, placeInMemory, sealsOf, untilSealed, verifyLog } from '../../support/sealed-log.ts';
import { describeEachStore, openMigrated, type TestStore } from '../../support/stores.ts';
import { startTallyEngine, type TallyEngineOptions } from '../../support/tally-engine.ts';

const silent = createLogger('silent');
const PATIENCE = { timeout: 30_000, interval: 20 };

describeEachStore('The sealer', (kind) => {
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  async function create(): Promise<TestStore> {
    const store = await kind.create();
    closing.push(store.remove);
    return store;
  }
  async function open(store?: TestStore): Promise<Database> {
    const database = await openMigrated(store ?? (await create()));
    closing.push(database.close);
    return database;
  }
  async function start(database: Database, options: TallyEngineOptions = {}) {
    const engine = await startTallyEngine(database, options);
    closing.push(() => engine.stop());
    return engine;
  }
  const tokenOf = async (database: Database) => (await verifyLog(database)).walk.checkpoint ?? '';
  /** As somebody does it who has the database: seals are taken away, and what was under them is another. */
  const tamper = async ({ log }: Database, position: number) => {
    await log.query('DELETE FROM log_seals WHERE position >= $1::bigint', position);
    await log.query(`UPDATE events SET actor_id = 'mallory' WHERE position = $1::bigint`, position);
  };

  it('seals what is appended within about a second, and what came last when it stops', async () => {
    const database = await open();
    const place = placeInMemory();
    const engine = await start(database, { checkpointPlace: place });
    await fillLog(engine, 30);
    await untilSealed(engine);
    expect(await verifyLog(database)).toMatchObject({ findings: [], walk: { sealed: 30, position: 30 } });
    await fillLog(engine, 5);
    await engine.stop();
    const { findings, walk } = await verifyLog(database, { checkpoints: [place.token ?? ''] });
    expect([findings, walk.sealed, walk.checkpoint]).toEqual([[], 35, place.token]);
  });

  it('asks the database for nothing but what a seal takes, once for what comes within a second', async () => {
    const database = meddleWith(await open());
    const engine = await start(database);
    let asked = 0;
    database.onAnswer = (sql) => {
      if (sql.includes('log_seal')) asked += 1;
    };
    for (const round of [1, 2, 3]) {
      await fillLog(engine, 3);
      await untilSealed(engine);
      expect(asked, 'the newest seal, and the next').toBe(2 * round);
    }
  });

  it('catches up with a log from before there were seals, a stretch at a time', async () => {
    const database = await open();
    const before = await start(database, { isSealing: false });
    await fillLog(before, 2_345);
    await before.stop();
    expect(await sealsOf(database)).toEqual([]);
    const engine = await start(database);
    await untilSealed(engine);
    expect((await sealsOf(database)).map(({ first, position }) => [first, position])).toEqual([
      [1, 1_000],
      [1_001, 2_000],
      [2_001, 2_345],
    ]);
    expect((await verifyLog(database)).findings).toEqual([]);
  });

  it('does not seal anew what was changed under a seal that was taken away: not while it runs, nor after a restart', async () => {
    const database = await open();
    const place = placeInMemory();
    const first = await start(database, { checkpointPlace: place });
    await fillLog(first, 20);
    await untilSealed(first);
    await fillLog(first, 20);
    await untilSealed(first);
    const kept = place.token ?? '';
    await tamper(database, 35);
    await fillLog(first, 3);
    await vi.waitFor(() => expect(first.sealer.state.problem).toContain('Up to event 40 the log was sealed'), PATIENCE);
    await first.stop();
    expect(place.token).toBe(kept);

    const second = await start(database, { checkpointPlace: place });
    await vi.waitFor(() => expect(second.sealer.state.problem).toContain('now up to event 20 only'), PATIENCE);
    expect((await sealsOf(database)).at(-1)?.position).toBe(20);
    expect((await verifyLog(database, { checkpoints: [kept] })).findings).toMatchObject([
      { kind: 'CHECKPOINT', position: 40 },
    ]);
    // An operator knows why, and says so.
    await place.write(await tokenOf(database));
    await untilSealed(second);
    expect(second.sealer.state.problem).toBeNull();
    expect((await verifyLog(database)).findings).toEqual([]);
  });

  it('does not go on after seals that somebody else signed, nor over a gap', async () => {
    const database = await open();
    const first = await start(database);
    await fillLog(first, 20);
    await untilSealed(first);
    await first.stop();
    await database.log.query('UPDATE log_seals SET signature = set_byte(signature, 1, 255 - get_byte(signature, 1))');
    const second = await start(database);
    await vi.waitFor(() => expect(second.sealer.state.problem).toContain('not signed with a key'), PATIENCE);
    await second.stop();

    await database.log.query('DELETE FROM log_seals');
    await database.log.query('DELETE FROM events WHERE position = 7');
    const third = await start(database);
    await vi.waitFor(() => expect(third.sealer.state.problem).toContain('Event 7 is missing'), PATIENCE);
    expect(await sealsOf(database)).toEqual([]);
  });

  it('seals the log, and not what somebody put behind its end', async () => {
    const database = await open();
    const engine = await start(database, { isSealing: false });
    await fillLog(engine, 5);
    await engine.stop();
    for (const [at, position] of ['9000', '9000000000000000', '9223372036854775807'].entries())
      await database.log.query(
        `INSERT INTO events SELECT ${position}, gen_random_uuid(), 'tally-forged', aggregate_type, 'forged',
           ${at + 1}, type, schema_version, data, actor_kind, actor_id, command_id, correlation_id,
           causation_id, recorded_at FROM events WHERE events.position = 5`,
      );
    const sealing = await start(database);
    await untilSealed(sealing);
    expect(await sealsOf(database)).toMatchObject([{ first: 1, position: 5 }]);
    const { findings, walk } = await verifyLog(database);
    expect([walk.sealed, findings.map(({ kind: it }) => it)]).toEqual([5, ['EXTRA']]);
  });

  it('takes no offence at what another process sealed, and kept, while it looked', async () => {
    const database = meddleWith(await open());
    const place = placeInMemory();
    const before = await start(database, { isSealing: false });
    await fillLog(before, 5);
    await before.stop();
    const { log } = database;
    let isSealedByOther = false;
    database.onAnswer = async (sql) => {
      if (isSealedByOther || !sql.includes('FROM log_seals ORDER BY')) return;
      isSealedByOther = true;
      let hash: Buffer = GENESIS;
      const hashes = (await new StoredEvents(log).readAfter(0, 5)).map(({ line }) => {
        hash = chained(hash, line);
        return hash;
      });
      const unsigned = {
        epoch: 'e',
        firstPosition: 1,
        position: 5,
        hashes: Buffer.concat(hashes),
        sealedAt: new Date(),
      };
      const seal = signed(unsigned, new SealKey(testMasterKey));
      expect(await new SealStore(log).add(seal, GENESIS)).toBe(true);
      await place.write(checkpointToken(checkpointOf(seal)));
    };
    const engine = await start(database, { checkpointPlace: place });
    const problems: unknown[] = [];
    await vi.waitFor(() => {
      problems.push(engine.sealer.state.problem);
      expect(engine.sealer.state.position).toBe(5);
    }, PATIENCE);
    expect(isSealedByOther).toBe(true);
    expect(problems.every((it) => it === null)).toBe(true);
    expect(await sealsOf(database)).toHaveLength(1);
  });

  it('makes one seal of many small ones, which says no less', async () => {
    const database = await open();
    const engine = await start(database, { isSealing: false });
    await fillLog(engine, 70);
    const store = new SealStore(database.log);
    const key = new SealKey(testMasterKey);
    const small = new SmallSeals(store, new SealKeys(testMasterKey));
    const tokens: string[] = [];
    let hash: Buffer = GENESIS;
    for (const { position, line } of await new StoredEvents(database.log).readAfter(0, 70)) {
      const previous = hash;
      hash = chained(previous, line);
      const seal = signed({ epoch: 'e', firstPosition: position, position, hashes: hash, sealedAt: new Date() }, key);
      tokens.push(checkpointToken(checkpointOf(seal)));
      expect(await store.add(seal, previous)).toBe(true);
      // Another server that read the same is refused.
      expect(await store.add(seal, previous)).toBe(false);
      await small.added(key);
    }
    await engine.stop();
    const seals = await sealsOf(database);
    expect(seals.length).toBeLessThan(20);
    expect(seals[0]?.first).toBe(1);
    const verified = await verifyLog(database, { checkpoints: tokens });
    expect(tokens).toHaveLength(70);
    expect([verified.findings, verified.walk.sealed]).toEqual([[], 70]);
  });

  it('goes over to another master key: seals are signed anew, but for those that nobody known had signed', async () => {
    const database = await open();
    const engine = await start(database);
    await fillLog(engine, 20);
    await untilSealed(engine);
    await fillLog(engine, 20);
    await engine.stop();
    const next = randomBytes(32);
    const both = { masterKey: next, otherMasterKeys: [testMasterKey] };
    const rotated = await rotateMasterKey({ client: database.log, ...both, isAlone: true });
    expect(rotated).toMatchObject({ seals: 2, brokenSeals: 0 });
    expect((await verifyLog(database, { masterKey: next })).findings).toEqual([]);
    expect((await verifyLog(database)).findings.map(({ kind: it }) => it)).toEqual(['SEAL', 'SEAL']);

    const later = randomBytes(32);
    const forged =
      'UPDATE log_seals SET signature = set_byte(signature, 1, 255 - get_byte(signature, 1)) WHERE first_position = 1';
    await database.log.query(forged);
    const again = { masterKey: later, otherMasterKeys: [next], isAlone: true };
    expect(await rotateMasterKey({ client: database.log, ...again })).toMatchObject({ seals: 1, brokenSeals: 1 });
    const { findings } = await verifyLog(database, { masterKey: later });
    expect(findings).toMatchObject([{ kind: 'SEAL', position: 1 }]);
  });

  it('goes on with the new master key when the store goes over while it runs', async () => {
    const database = await open();
    await KeyRing.open({ client: database.log, masterKey: testMasterKey, logger: silent });
    const next = randomBytes(32);
    const both = { masterKey: next, otherMasterKeys: [testMasterKey] };
    const engine = await start(database, both);
    await fillLog(engine, 10);
    await untilSealed(engine);
    const filling = fillLog(engine, 60);
    await rotateMasterKey({ client: database.log, ...both, isAlone: kind.engine === 'pglite' });
    await filling;
    await untilSealed(engine);
    const keys = new Set((await sealsOf(database)).map(({ key }) => key));
    expect([...keys]).toEqual([new SealKey(next).id]);
    expect((await verifyLog(database, { masterKey: next })).findings).toEqual([]);
  });

  it('is walked beside everything else, in steps that are passed to and fro', async () => {
    const database = await open();
    const engine = await start(database);
    await fillLog(engine, 300);
    const filling = fillLog(engine, 1_500);
    const during = await verifyLog(database, { between: () => fillLog(engine, 1) });
    expect(during.findings.filter(({ kind: it }) => it !== 'UNSEALED')).toEqual([]);
    await filling;
    await untilSealed(engine);
    const { findings, walk } = await verifyLog(database);
    expect([findings, walk.position]).toEqual([[], engine.tail.head]);
  });

  if (kind.engine === 'pglite') return;

  it('never forks where several servers seal, and another goes on where one dies', async () => {
    const store = await create();
    const databases = await Promise.all([1, 2, 3].map(() => open(store)));
    const engines = await Promise.all(databases.map((it) => start(it)));
    const [database] = databases;
    const [first, , third] = engines;
    if (database === undefined || first === undefined || third === undefined) throw new Error('They did not start.');
    for (let round = 0; round < 4; round += 1) {
      await Promise.all(engines.map((engine) => fillLog(engine, 150)));
      await untilSealed(first);
    }
    const seals = await sealsOf(database);
    let last = 0;
    for (const { first: begin, position } of seals) {
      expect(begin).toBe(last + 1);
      last = position;
    }
    expect((await verifyLog(database)).findings).toEqual([]);
    await first.stop();
    await engines[1]?.stop();
    await fillLog(third, 20);
    await untilSealed(third);
    expect(await verifyLog(database)).toMatchObject({ findings: [], walk: { sealed: third.tail.head } });
  });
});
