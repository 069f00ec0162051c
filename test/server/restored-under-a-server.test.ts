import { once } from 'node:events';
import { afterEach, expect, it } from 'vitest';
import { openDatabase } from '../../src/platform/database.ts';
import { startServerProcess } from '../support/servers.ts';
import { describeServerStore } from '../support/stores.ts';
import { within } from '../support/within.ts';

describeServerStore('A server whose store is restored under it', (kind) => {
  const closing: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  it('ends, for what it knows is of the store before', async () => {
    const store = await kind.create();
    closing.push(store.remove);
    const server = await startServerProcess(store, ['--no-seed'], { LEASE_S: '1' });
    closing.push(() => server.kill());
    const ended = once(server.process, 'exit');
    const database = await openDatabase(store.settings);
    closing.push(() => database.close());
    await database.log.query(`UPDATE log_head SET epoch = 'ffffffffffff'`);
    expect(await within(30_000, 'its end', ended)).toEqual([1, null]);
    expect(server.output()).toContain('must be started anew');
  });
});
