import { randomUUID } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import { commandLine } from '../support/command-line.ts';
import { startServerProcess } from '../support/servers.ts';
import { Shop } from '../support/shop.ts';
import { embeddedStores, type TestStore } from '../support/stores.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function served(store: TestStore) {
  const server = await startServerProcess(store, ['--no-seed']);
  closing.push(() => server.kill());
  return server;
}

async function created(): Promise<TestStore> {
  const store = await embeddedStores.create();
  closing.push(store.remove);
  return store;
}

test('of two servers, the one that has the store of DATA_DIR open is asked, wherever PORT points', async () => {
  const store = await created();
  const [server, other] = [await served(store), await served(await created())];
  const commandId = randomUUID();
  await new Shop(server.url).run('addProduct', {
    ...{ sku: 'A', name: 'Ink', stock: 1, commandId },
    price: { amountMinor: 100, currency: 'GBP' },
  });
  const environment = { ...store.environment, PORT: new URL(other.url).port };
  const traced = { code: 0, out: expect.stringContaining('ProductAdded') };
  expect(await commandLine(['trace', commandId], environment)).toMatchObject(traced);
  // Nor does what a killed server had said lead anywhere else.
  await server.kill();
  await served(store);
  expect(await commandLine(['trace', commandId], environment)).toMatchObject(traced);
});
