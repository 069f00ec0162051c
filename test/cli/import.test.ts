import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { commandLine } from '../support/command-line.ts';
import { startServerProcess } from '../support/servers.ts';
import { Shop } from '../support/shop.ts';
import { describeEachStore, type TestStore } from '../support/stores.ts';

describeEachStore('cartstream import', (kind) => {
  const closing: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });
  async function create(): Promise<TestStore> {
    const store = await kind.create();
    closing.push(store.remove);
    return store;
  }
  async function serve(store: TestStore) {
    const server = await startServerProcess(store, ['--no-seed']);
    closing.push(() => server.kill());
    return server;
  }
  const rebuild = (url: string) => commandLine(['rebuild', 'cart.carts', '--url', url]);

  test('makes a store in which everything can be rebuilt, also what was rebuilt before', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cartstream-import-'));
    closing.push(() => rmSync(folder, { recursive: true }));
    const [source, target, file] = [await create(), await create(), join(folder, 'log.jsonl')];
    const server = await serve(source);
    const shop = new Shop(server.url);
    await shop.addProduct('A');
    const cart = await shop.newCart();
    await shop.addItem(cart, 'A');
    expect(await rebuild(server.url)).toMatchObject({ code: 0 });
    await server.stop();
    expect(await commandLine(['export', file], source.environment)).toMatchObject({ code: 0 });

    expect(await commandLine(['import', file], target.environment)).toMatchObject({ code: 0 });
    const imported = await serve(target);
    expect(await rebuild(imported.url)).toMatchObject({
      code: 0,
      out: expect.stringContaining('all rows are as they were'),
    });
    expect(imported.output()).toContain('the store is paused');
    await imported.stop();
  });
});
