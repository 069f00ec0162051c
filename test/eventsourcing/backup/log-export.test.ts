import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { exportLog } from '../../../src/eventsourcing/backup/log-export.ts';
import { importLog } from '../../../src/eventsourcing/backup/log-import.ts';
import { StoredEvents } from '../../../src/eventsourcing/log/stored-events.ts';
import { type Database, openDatabase } from '../../../src/platform/database.ts';
import { Buyer } from '../../support/buyer.ts';
import type { Order } from '../../support/order-views.ts';
import { startLocalServer } from '../../support/servers.ts';
import { describeEachStore, type TestStore } from '../../support/stores.ts';

const processes = ['checkout', 'telling-customers'];

describeEachStore('The log as JSON lines', (kind) => {
  const folder = mkdtempSync(join(tmpdir(), 'cartstream-export-'));
  const [bare, keyed] = [join(folder, 'log.jsonl'), join(folder, 'log.jsonl.gz')];
  let store: TestStore;
  let order: Order;
  let lines: readonly string[];

  const linesOf = async ({ log }: Database) =>
    (await new StoredEvents(log).readAfter(0, 10_000)).map(({ line }) => line);

  beforeAll(async () => {
    store = await kind.create();
    const server = await startLocalServer(store);
    const buyer = new Buyer(server.url);
    await buyer.addProduct('A');
    order = await buyer.placed({ A: 2 });
    await server.stop();
    const database = await openDatabase(store.settings);
    lines = await linesOf(database);
    await exportLog(database, bare, false);
    await exportLog(database, keyed, true);
    await database.close();
  });
  afterAll(async () => {
    await store.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  test('is what is stored, line by line', () => {
    const written = readFileSync(bare, 'utf8').trimEnd().split('\n');
    expect(written.slice(1, -1)).toEqual(lines);
  });

  test.each([
    ['with its keys', keyed],
    ['without keys', bare],
  ])('fills an empty store %s, and read tables follow', async (_, path) => {
    const target = await kind.create();
    const database = await openDatabase(target.settings);
    const { header } = await importLog({ database, path, processes });
    expect(await linesOf(database)).toEqual(lines);
    expect(header.position).toBe(lines.length);
    await database.close();
    const server = await startLocalServer(target);
    try {
      const found = await new Buyer(server.url).untilOrder(order.id, { number: order.number, total: order.total });
      expect(found.email).toBe(path === keyed ? order.email : null);
      expect((await server.engine.store.read()).pauseReason).toMatch(/^It was imported/);
    } finally {
      await server.stop();
      await target.remove();
    }
  });
});
