import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CommandRequest } from '../../src/eventsourcing/commands/command.ts';
import type { Engine } from '../../src/eventsourcing/engine.ts';
import { type Database, openDatabase } from '../../src/platform/database.ts';
import { addProducts, Load } from '../support/cart-load.ts';
import { startServerProcess } from '../support/servers.ts';
import { auditStore } from '../support/store-audit.ts';
import { openMigrated, storeKinds, type TestStore } from '../support/stores.ts';
import { emptyTallyStore, tallyProjection, tallyStream } from '../support/tally.ts';
import { rejected, request, startTallyEngine, succeeded } from '../support/tally-engine.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { within } from '../support/within.ts';

const postgresql = storeKinds.find(({ engine }) => engine === 'postgresql');

describe.skipIf(postgresql === undefined)('A PostgreSQL server that goes away', () => {
  let store: TestStore;
  let proxy: TcpProxy;

  beforeAll(async () => {
    if (postgresql === undefined) return;
    store = await postgresql.create();
    if (store.settings.engine !== 'postgresql') throw new Error('It is another engine.');
    proxy = await TcpProxy.start(store.settings.url);
  });
  afterAll(async () => {
    await proxy.cut();
    await store.remove();
  });

  it('and comes back: no command is lost or doubled, clients are told to wait, and the server lives on', async () => {
    const server = await startServerProcess({
      ...store,
      environment: { ...store.environment, DATABASE_URL: proxy.url },
    });
    try {
      const ready = async () => (await fetch(new URL('/health/ready', server.url))).status;
      const skus = Array.from({ length: 10 }, (_, at) => `SKU-${at}`);
      await addProducts(server.url, skus);
      const load = new Load(() => server.url, skus, 6);
      await load.begin(16);
      const answered = (more: number) => {
        const goal = load.acknowledged.length + more;
        return vi.waitFor(() => expect(load.acknowledged.length).toBeGreaterThan(goal), {
          timeout: 60_000,
          interval: 5,
        });
      };
      for (let cut = 0; cut < 2; cut += 1) {
        await answered(300);
        await proxy.cut();
        const awayUntil = delay(2_000);
        expect((await fetch(new URL('/health/live', server.url))).status).toBe(200);
        expect(await ready()).toBe(503);
        await awayUntil;
        await proxy.restore();
        await vi.waitFor(async () => expect(await ready()).toBe(200), { timeout: 60_000, interval: 50 });
      }
      await answered(300);
      await within(60_000, 'every client is answered', load.finish());
      expect(await server.stop()).toBe(0);
      const database = await openDatabase(store.settings);
      await auditStore(database, load.acknowledged).finally(() => database.close());
    } finally {
      await server.kill();
    }
  }, 180_000);
});

describe.skipIf(postgresql === undefined)('An answer of PostgreSQL that is lost on the way', () => {
  let store: TestStore;
  let proxy: TcpProxy;
  let database: Database;
  let engine: Engine;

  beforeAll(async () => {
    if (postgresql === undefined) return;
    store = await postgresql.create();
    if (store.settings.engine !== 'postgresql') throw new Error('It is another engine.');
    await (await openMigrated(store)).close();
    proxy = await TcpProxy.start(store.settings.url);
    database = await openDatabase({ engine: 'postgresql', url: proxy.url });
  });
  beforeEach(async () => {
    await emptyTallyStore(database);
    engine = await startTallyEngine(database, { projections: [tallyProjection()] });
  });
  afterEach(() => engine.stop());
  afterAll(async () => {
    await database.close();
    await proxy.cut();
    await store.remove();
  });

  const versions = async (id: string) => (await engine.log.readStreams([tallyStream(id)])).map((it) => it.version);
  const execute = (it: CommandRequest) => within(50_000, 'an outcome', engine.executor.execute(it));

  it.each(['request', 'answer'] as const)('leaves an append done once (%s lost)', async (what) => {
    const [tallyId, note] = [randomUUID(), randomUUID()];
    const lost = proxy.loseNext(what, note);
    const { receipt } = succeeded(await execute(request('Add', { tallyId, amount: 1, note })));
    await lost;
    expect(receipt).toMatchObject({ status: 'SUCCEEDED', version: 1, position: 1, replayed: false });
    expect(await versions(tallyId)).toEqual([1]);
  });

  it.each(['request', 'answer'] as const)('leaves a batch of commands done once each (%s lost)', async (what) => {
    const [hot, note] = [randomUUID(), randomUUID()];
    const others = Array.from({ length: 30 }, () => randomUUID());
    const lost = proxy.loseNext(what, note);
    const outcomes = await Promise.all([
      ...others.map((tallyId) => execute(request('Add', { tallyId, amount: 1 }))),
      ...others.map((_, at) => execute(request('Add', { tallyId: hot, amount: at + 1, note }))),
    ]);
    await lost;
    for (const outcome of outcomes) expect(succeeded(outcome).receipt.replayed).toBe(false);
    expect(await versions(hot)).toEqual(others.map((_, at) => at + 1));
    expect(await Promise.all(others.map(versions))).toEqual(others.map(() => [1]));
  });

  it('leaves a rejection that is kept no replay of itself', async () => {
    const [tallyId, note] = [randomUUID(), randomUUID()];
    await execute(request('Lock', { tallyId }));
    const lost = proxy.loseNext('answer', note);
    const { receipt } = rejected(await execute(request('Add', { tallyId, amount: 1, note })));
    await lost;
    expect(receipt).toMatchObject({ status: 'REJECTED', replayed: false });
  });

  it('tells a repeat that it is one', async () => {
    const [tallyId, note] = [randomUUID(), randomUUID()];
    const sent = request('Add', { tallyId, amount: 1, note });
    await execute(sent);
    const lost = proxy.loseNext('answer', note);
    const { receipt } = succeeded(await execute(sent));
    await lost;
    expect(receipt.replayed).toBe(true);
    expect(await versions(tallyId)).toEqual([1]);
  });

  it('of a projection is made up for: the row is right, and who watches it is told', async () => {
    const tallyId = randomUUID();
    await execute(request('Add', { tallyId, amount: 1 }));
    const view = engine.view(tallyProjection());
    expect(await view.follower.reach(1, 10_000)).toBe(true);
    const subscription = await view.live.subscribe(tallyId);
    await subscription?.next();
    const lost = proxy.loseNext('answer', '[1,987654]');
    const told = within(10_000, 'the watcher is told', subscription?.next() ?? Promise.reject());
    await execute(request('Add', { tallyId, amount: 987_654 }));
    await lost;
    expect(await view.follower.reach(2, 10_000)).toBe(true);
    expect((await view.read(tallyId))?.amounts).toEqual([1, 987_654]);
    const { value } = await told;
    expect(value?.events.map(({ version }) => version)).toEqual([2]);
  });
});
