import { afterAll, beforeAll, expect, test } from 'vitest';
import { type LocalServer, startLocalServer } from '../support/servers.ts';
import { Shop } from '../support/shop.ts';
import { describeEachStore, storeKinds, type TestStore } from '../support/stores.ts';

interface Ready {
  readonly status: string;
  readonly engine: string;
  readonly database: boolean;
  readonly followers: readonly {
    readonly name: string;
    readonly position: string;
    readonly lag: number;
    readonly failing: boolean;
    readonly active: boolean;
    readonly parked: number;
  }[];
}

describeEachStore('Health', (kind) => {
  let store: TestStore;
  let server: LocalServer;
  beforeAll(async () => {
    store = await kind.create();
    server = await startLocalServer(store);
  });
  afterAll(async () => {
    await server.stop();
    await store.remove();
  });
  const ask = (path: string) => fetch(new URL(path, server.url));

  test('is live as soon as it answers', async () => {
    const response = await ask('/health/live');
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ status: 'live' });
  });

  test('is ready, and tells how far each projection and process is', async () => {
    const { receipt } = await new Shop(server.url).addProduct('A');
    const response = await ask('/health/ready');
    expect(response.status).toBe(200);
    const ready = (await response.json()) as Ready;
    expect(ready).toMatchObject({ status: 'ready', engine: kind.engine, database: true });
    const names = ready.followers.map(({ name }) => name);
    expect(names).toEqual(server.engine.followers.map(({ task }) => task.name));
    expect(names).toEqual(expect.arrayContaining(['process:checkout', 'projection:ordering.orders']));
    const name = 'projection:catalog.products';
    const catalog = ready.followers.find((it) => it.name === name);
    const { position } = receipt ?? {};
    expect(catalog).toEqual({ name, position, lag: 0, failing: false, active: true, parked: 0 });
  });

  test('says what there is where something else is asked for', async () => {
    const response = await ask('/health/nope');
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: 'NOT_FOUND' } }] });
  });

  test('leads from the front door to the API, and nowhere else', async () => {
    const front = await fetch(new URL('/', server.url), { redirect: 'manual' });
    expect([front.status, front.headers.get('location')]).toEqual([302, '/graphql']);
    const elsewhere = await ask('/elsewhere');
    expect(elsewhere.status).toBe(404);
    expect(await elsewhere.json()).toMatchObject({ errors: [{ extensions: { code: 'NOT_FOUND' } }] });
  });
});

test.runIf(storeKinds.length > 1)('Health is live but not ready when the database is gone', async () => {
  const store = await storeKinds[1]?.create();
  if (store === undefined) return;
  const server = await startLocalServer(store);
  try {
    await store.remove();
    const ready = await fetch(new URL('/health/ready', server.url));
    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({ status: 'not ready', database: false });
    expect((await fetch(new URL('/health/live', server.url))).status).toBe(200);
  } finally {
    await server.stop();
  }
});
