import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Engine } from '../../../src/eventsourcing/engine.ts';
import { type Database, openDatabase, type SqlClient } from '../../../src/platform/database.ts';
import { describeServerStore, openMigrated, type TestStore } from '../../support/stores.ts';
import { tallyStream } from '../../support/tally.ts';
import { readWholeLog, rejected, request, startTallyEngine, succeeded } from '../../support/tally-engine.ts';

const LENGTH = 3_000;

describeServerStore('A long stream that two engines write in turn', (kind) => {
  const tallyId = randomUUID();
  let store: TestStore;
  let engines: readonly [Engine, Engine];
  const closing: (() => Promise<unknown>)[] = [];
  let rowsRead = 0;

  beforeAll(async () => {
    store = await kind.create();
    const databases = [await openMigrated(store), await openDatabase(store.settings)] as const;
    const [one, other] = [
      await startTallyEngine(counting(databases[0])),
      await startTallyEngine(counting(databases[1])),
    ];
    engines = [one, other];
    closing.push(
      store.remove,
      ...databases.map((it) => it.close),
      () => one.stop(),
      () => other.stop(),
    );
    await Promise.all(
      Array.from({ length: LENGTH }, () => one.executor.execute(request('Add', { tallyId, amount: 1 }))),
    );
    // Each has seen the stream once.
    for (const engine of engines) await add(engine);
  });
  afterAll(async () => {
    for (const close of closing.reverse()) await close();
  });

  function counting(database: Database): Database {
    const { prisma, query }: SqlClient = database.log;
    const counted: SqlClient = {
      prisma,
      async query(sql, ...parameters) {
        const rows = await query(sql, ...parameters);
        if (/FROM events/.test(sql)) rowsRead += rows.length;
        return rows;
      },
    };
    return { ...database, log: counted };
  }

  const add = async (engine: Engine) =>
    succeeded(await engine.executor.execute(request('Add', { tallyId, amount: 1 })));

  it('is read only from where each knew it', async () => {
    const before = (await readWholeLog(engines[0].log)).length;
    rowsRead = 0;
    for (let turn = 1; turn <= 10; turn += 1) {
      const { receipt } = await add(engines[turn % 2 === 0 ? 0 : 1]);
      expect(receipt.version).toBe(before + turn);
    }
    expect(rowsRead).toBeLessThan(50);
    const [last] = (await engines[0].log.readStreams([tallyStream(tallyId)])).slice(-1);
    expect(last?.data).toMatchObject({ total: before + 10 });
  });

  it('is read only from where each knew it where nothing but rejections comes of it', async () => {
    const [one, other] = engines;
    const send = (engine: Engine, name: 'Lock' | 'Unlock') => engine.executor.execute(request(name, { tallyId }));
    rowsRead = 0;
    for (let turn = 0; turn < 5; turn += 1) {
      succeeded(await send(one, 'Lock'));
      expect(rejected(await send(other, 'Lock')).rejection).toMatchObject({ message: 'It is locked already.' });
      succeeded(await send(one, 'Unlock'));
      expect(rejected(await send(other, 'Unlock')).rejection).toMatchObject({ message: 'It is not locked.' });
    }
    expect(rowsRead).toBeLessThan(100);
  });
});
