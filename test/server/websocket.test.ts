import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { cartProjection } from '../../src/contexts/cart/projection.ts';
import { connectRaw } from '../support/raw-http.ts';
import { type LocalServer, type ServerProcess, startLocalServer, startServerProcess } from '../support/servers.ts';
import { Shop } from '../support/shop.ts';
import { endHandSockets, HandSocket, socketClient, watch } from '../support/sockets.ts';
import { describeEachStore, embeddedStores, type TestStore } from '../support/stores.ts';

const WATCH = `subscription Watch($id: ID!, $after: Position) {
  cartChanged(id: $id, after: $after) { position cart { version itemCount } events { type version position } }
}`;

afterEach(endHandSockets);

interface Watched {
  readonly cartChanged: {
    readonly position: string;
    readonly cart: { readonly version: number; readonly itemCount: number };
    readonly events: readonly { readonly type: string; readonly version: number; readonly position: string }[];
  };
}

const NOBODY = { topics: 0, subscribers: 0 };

describeEachStore('A WebSocket', (kind) => {
  let store: TestStore;
  let server: LocalServer;
  let shop: Shop;
  const watched = () => server.engine.view(cartProjection).live.watched;
  beforeAll(async () => {
    store = await kind.create();
    server = await startLocalServer(store);
    shop = new Shop(server.url);
    await shop.addProduct('A', { stock: 2_000_000_000 });
  });
  afterAll(async () => {
    await server.stop();
    await store.remove();
  });

  test.each([
    ['a syntax error', { query: 'subscription {' }, 'GRAPHQL_PARSE_FAILED'],
    ['an invalid operation', { query: 'subscription { nope }' }, 'GRAPHQL_VALIDATION_FAILED'],
    ['an unknown operation', { query: 'query A { __typename }', operationName: 'B' }, /^[A-Z_]+$/],
    ['no way to tell which operation', { query: 'query A { __typename } query B { __typename }' }, /^[A-Z_]+$/],
    ['a document without an operation', { query: 'fragment F on Query { __typename }' }, /^[A-Z_]+$/],
    ['a variable that does not fit', { query: WATCH, variables: { id: { no: 'id' } } }, 'BAD_USER_INPUT'],
    ['a cart that is not there', { query: WATCH, variables: { id: 'nope' } }, 'BAD_USER_INPUT'],
  ])('answers %s with an error on that operation, and the others live on', async (_, payload, code) => {
    const cartId = await shop.newCart();
    const socket = await new HandSocket(server.webSocketUrl).hello();
    socket.subscribe('live', WATCH, { id: cartId });
    await socket.answer('live');
    socket.send({ type: 'subscribe', id: 'bad', payload });
    const answer = await socket.answer('bad');
    const errors = answer.type === 'error' ? answer.payload : (answer.payload as { errors: unknown }).errors;
    expect(errors).toEqual([
      expect.objectContaining({ extensions: { code: typeof code === 'string' ? code : expect.stringMatching(code) } }),
    ]);
    await shop.addItem(cartId, 'A', 1);
    const next = await socket.message(
      ({ id, payload: it }) => id === 'live' && JSON.stringify(it).includes('"version":2'),
    );
    expect(next.type).toBe('next');
    socket.socket.close();
  });

  test('loses nothing and repeats nothing for a subscriber whose socket breaks 20 times during 1,000 changes', async () => {
    const cartId = await shop.newCart();
    const start = (await shop.cart(cartId))?.position ?? '';
    const seen: Watched['cartChanged']['events'][number][] = [];
    let after = start;
    const changing = Array.from({ length: 10 }, async () => {
      for (let at = 0; at < 100; at += 1) await shop.addItem(cartId, 'A', 1);
    });
    let isOver = false;
    const changed = Promise.all(changing).then(() => {
      isOver = true;
    });
    for (let life = 0; life <= 20; life += 1) {
      const socket = await new HandSocket(server.webSocketUrl).hello();
      const wanted = life === 20 ? 1_000 : Math.min(1_000, seen.length + 35);
      socket.socket.on('message', (data) => {
        const message = JSON.parse(String(data)) as { type: string; payload?: { data: Watched } };
        if (message.type !== 'next' || message.payload === undefined) return;
        seen.push(...message.payload.data.cartChanged.events);
        after = message.payload.data.cartChanged.position;
      });
      socket.subscribe('1', WATCH, { id: cartId, after });
      await vi.waitFor(() => expect(seen.length).toBeGreaterThanOrEqual(wanted), { timeout: 60_000, interval: 2 });
      socket.socket.terminate();
      socket.socket.removeAllListeners('message');
    }
    await changed;
    expect(isOver).toBe(true);
    expect(seen.map(({ version }) => version)).toEqual(Array.from({ length: 1_000 }, (_, at) => at + 2));
    expect(seen.map(({ position }) => position)).toEqual([...seen.map(({ position }) => position)].sort());
    await vi.waitFor(() => expect(watched()).toEqual(NOBODY), 30_000);
  }, 240_000);

  test('is given the state and no events by a subscription without `after`', async () => {
    const cartId = await shop.newCart();
    await shop.addItem(cartId, 'A', 5);
    const client = socketClient(server.webSocketUrl);
    const watching = watch<Watched>(client, { query: WATCH, variables: { id: cartId } });
    await vi.waitFor(() => expect(watching.results).toHaveLength(1), 30_000);
    expect(watching.results[0]?.data?.cartChanged).toMatchObject({ cart: { version: 2, itemCount: 5 }, events: [] });
    await client.dispose();
  });

  test('has at most 100 operations at a time, and the next is told so', async () => {
    const cartId = await shop.newCart();
    const socket = await new HandSocket(server.webSocketUrl).hello();
    for (let at = 0; at < 100; at += 1) socket.subscribe(`s${at}`, WATCH, { id: cartId });
    await Promise.all(Array.from({ length: 100 }, (_, at) => socket.answer(`s${at}`)));
    socket.subscribe('too many', WATCH, { id: cartId });
    expect(await socket.answer('too many')).toMatchObject({
      type: 'error',
      payload: [{ extensions: { code: 'OVERLOADED' } }],
    });
    socket.send({ type: 'complete', id: 's0' });
    await vi.waitFor(() => expect(watched().subscribers).toBe(99), 30_000);
    socket.subscribe('again', WATCH, { id: cartId });
    expect((await socket.answer('again')).type).toBe('next');
    socket.socket.close();
    await vi.waitFor(() => expect(watched()).toEqual(NOBODY), 30_000);
  });

  test('leaves nothing behind when it comes and goes thousands of times, however it goes', async () => {
    const cycles = kind.engine === 'pglite' ? 10_000 : 1_000;
    const carts = await Promise.all(Array.from({ length: 10 }, () => shop.newCart()));
    let begun = 0;
    const comeAndGo = async () => {
      while (begun < cycles) {
        begun += 1;
        const at = begun;
        const socket = await new HandSocket(server.webSocketUrl).hello();
        socket.subscribe('1', WATCH, { id: carts[at % 10] });
        // Some wait for the first payload, some do not; some say goodbye, some just vanish.
        if (at % 3 > 0) await socket.answer('1');
        if (at % 3 === 1) socket.send({ type: 'complete', id: '1' });
        if (at % 2 === 0) socket.socket.terminate();
        else socket.socket.close();
        await socket.closed;
      }
    };
    const timers = () => process.getActiveResourcesInfo().filter((it) => it === 'Timeout').length;
    const before = timers();
    await Promise.all(Array.from({ length: 50 }, comeAndGo));
    await vi.waitFor(() => expect(watched()).toEqual(NOBODY), 30_000);
    await vi.waitFor(() => expect(timers()).toBeLessThanOrEqual(before + 5), 30_000);
  }, 300_000);

  test('ends what it watched when it goes in the middle of a change', async () => {
    const cartId = await shop.newCart();
    const sockets = await Promise.all(Array.from({ length: 50 }, () => new HandSocket(server.webSocketUrl).hello()));
    for (const socket of sockets) socket.subscribe('1', WATCH, { id: cartId });
    const changes = Array.from({ length: 50 }, () => shop.addItem(cartId, 'A', 1));
    for (const { socket } of sockets) socket.terminate();
    await Promise.all(changes);
    await vi.waitFor(() => expect(watched()).toEqual(NOBODY), 30_000);
  });
});

describe('A server in a process of its own', () => {
  let store: TestStore;
  let server: ServerProcess;
  let shop: Shop;
  beforeAll(async () => {
    store = await embeddedStores.create();
    server = await startServerProcess(store);
    shop = new Shop(server.url);
    await shop.addProduct('A', { stock: 2_000_000_000 });
  });
  afterAll(async () => {
    if (server.process.exitCode === null && server.process.signalCode === null) await server.kill();
    await store.remove();
  });
  /** What it holds in memory, in MB. */
  const memory = () => {
    const pages = Number(readFileSync(`/proc/${server.process.pid}/statm`, 'utf8').split(' ')[1]);
    return (pages * 4_096) / 2 ** 20;
  };
  /** Without asking for the cart each time. */
  const add = (cartId: string, sku: string) => {
    const mutation = 'mutation Add($input: AddItemToCartInput!) { addItemToCart(input: $input) { __typename } }';
    return shop.read(mutation, { input: { cartId, sku, quantity: 1 } });
  };
  const change = async (cartId: string, times: number) => {
    const lanes = Array.from({ length: 8 }, async () => {
      for (let at = 0; at < times / 8; at += 1) await add(cartId, 'A');
    });
    await Promise.all(lanes);
  };

  test('is not slowed and does not grow by subscribers that never read', async () => {
    const cartId = await shop.newCart();
    // A cart with 400 lines makes payloads of some 20 kB: 1,200 of them for each of 20 sockets would be 480 MB.
    await Promise.all(Array.from({ length: 400 }, (_, at) => shop.addProduct(`line-${at}`)));
    await Promise.all(Array.from({ length: 400 }, (_, at) => add(cartId, `line-${at}`)));
    await change(cartId, 400);
    const query = `subscription Watch($id: ID!) {
      cartChanged(id: $id) { cart { lines { sku name quantity } } events { version } }
    }`;
    const deaf = await Promise.all(Array.from({ length: 20 }, () => new HandSocket(server.webSocketUrl).hello()));
    for (const { socket } of deaf) socket.pause();
    for (const socket of deaf) socket.subscribe('1', query, { id: cartId });
    const listening = watch<Watched>(socketClient(server.webSocketUrl), { query: WATCH, variables: { id: cartId } });
    await vi.waitFor(() => expect(listening.results).toHaveLength(1), 30_000);
    const before = memory();
    const began = Date.now();
    await change(cartId, 1_200);
    const took = Date.now() - began;
    const version = (await shop.cart(cartId))?.version ?? 0;
    await vi.waitFor(() => expect(listening.results.at(-1)?.data?.cartChanged.cart.version).toBe(version), 30_000);
    const events = listening.results.flatMap(({ data }) => data?.cartChanged.events ?? []);
    expect(events).toHaveLength(1_200);
    expect(took).toBeLessThan(60_000);
    expect(memory() - before).toBeLessThan(250);
    listening.stop();
    for (const { socket } of deaf) socket.terminate();
  }, 240_000);

  test('does not grow by a client that asks for pongs and never reads them', async () => {
    const socket = await new HandSocket(server.webSocketUrl).hello();
    socket.socket.pause();
    const before = memory();
    const payload = { it: 'x'.repeat(60_000) };
    for (let at = 0; at < 5_000 && socket.socket.readyState === socket.socket.OPEN; at += 1) {
      await new Promise<void>((resolve) =>
        socket.socket.send(JSON.stringify({ type: 'ping', payload }), () => resolve()),
      );
    }
    expect((await shop.cart(await shop.newCart()))?.version).toBe(1);
    const grown = memory() - before;
    socket.socket.terminate();
    expect(grown).toBeLessThan(150);
  }, 120_000);

  test.each(['//', '//[', '/elsewhere', '/graphql%'])('survives a WebSocket asked for at %s', async (path) => {
    const socket = await connectRaw(server.url, path);
    const answer = await new Promise<string>((resolve) => {
      socket.once('data', (data) => resolve(String(data))).once('close', () => resolve('closed'));
    });
    expect(answer).toMatch(/^HTTP\/1\.1 (404|400) /);
    socket.destroy();
    expect(server.process.exitCode).toBeNull();
  });

  test('survives clients that break off the handshake', async () => {
    for (let round = 0; round < 50; round += 1) {
      const sockets = await Promise.all(
        Array.from({ length: 20 }, (_, at) => connectRaw(server.url, at % 2 === 0 ? '/elsewhere' : '/graphql')),
      );
      for (const socket of sockets) socket.on('error', () => {}).resetAndDestroy();
    }
    expect((await shop.product('A'))?.sku).toBe('A');
    expect(server.process.exitCode).toBeNull();
  });

  test('closes its sockets with 1012 at SIGTERM, so that clients come back, and stops without an error', async () => {
    const cartId = await shop.newCart();
    const sockets = await Promise.all(Array.from({ length: 5 }, () => new HandSocket(server.webSocketUrl).hello()));
    for (const socket of sockets) socket.subscribe('1', WATCH, { id: cartId });
    await Promise.all(sockets.map((socket) => socket.answer('1')));
    const stopped = server.stop();
    const codes = await Promise.all(sockets.map(async ({ closed }) => (await closed).code));
    expect(codes).toEqual([1012, 1012, 1012, 1012, 1012]);
    expect(await stopped).toBe(0);
  });
});

test.each([
  ['a subscriber that does not say goodbye', 'socket'],
  ['somebody who reads events over SSE', 'sse'],
])(
  'SIGTERM does not wait long for %s',
  async (_, what) => {
    const store = await embeddedStores.create();
    const server = await startServerProcess(store);
    try {
      const cartId = await new Shop(server.url).newCart();
      if (what === 'socket') {
        const socket = await new HandSocket(server.webSocketUrl).hello();
        socket.subscribe('1', WATCH, { id: cartId });
        await socket.answer('1');
        socket.socket.pause();
      } else {
        const response = await fetch(server.url, {
          method: 'POST',
          headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
          body: JSON.stringify({ query: WATCH, variables: { id: cartId } }),
        });
        // It is being read, and ends with the server.
        response.text().catch(() => {});
      }
      const began = Date.now();
      expect(await server.stop()).toBe(0);
      expect(Date.now() - began).toBeLessThan(8_000);
    } finally {
      if (server.process.exitCode === null && server.process.signalCode === null) await server.kill();
      await store.remove();
    }
  },
  120_000,
);
