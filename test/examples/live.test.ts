import { randomBytes } from 'node:crypto';
import { print } from 'graphql';
import type { Client } from 'graphql-ws';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { createApolloShop } from '../../examples/apollo/shop.ts';
import { WatchCart } from '../../examples/documents.ts';
import { connectLive, resuming } from '../../examples/live.ts';
import { createPlainShop } from '../../examples/plain/shop.ts';
import { webSocketUrl } from '../../examples/shop.ts';
import { createUrqlShop } from '../../examples/urql/shop.ts';
import type { WatchCartSubscription } from '../../generated/graphql.ts';
import { graphql } from '../../generated/index.ts';
import { issueToken } from '../../src/server/authentication.ts';
import { send } from '../support/requests.ts';
import { type LocalServer, startLocalServer } from '../support/servers.ts';
import type { TestStore } from '../support/stores.ts';
import { createEmbeddedStore } from './embedded-store.ts';

const PATIENCE = { timeout: 15_000, interval: 20 };
const SKU = 'LANTERN-1';
const secret = randomBytes(32).toString('hex');

let store: TestStore;
let server: LocalServer;
let socket: Client | undefined;

beforeAll(async () => {
  store = await createEmbeddedStore();
  server = await startLocalServer(store, { authMode: 'jwt', jwtSecret: secret });
  await stockTheShop();
});

afterEach(async () => {
  await socket?.dispose();
  socket = undefined;
});

afterAll(async () => {
  await server.stop();
  await store.remove();
});

async function stockTheShop(): Promise<void> {
  const addProduct = graphql(`
    mutation StockTheExampleShop($input: AddProductInput!) {
      addProduct(input: $input) { __typename }
    }
  `);
  const authorization = `Bearer ${await issueToken(secret, 'staff', 'sam', 60)}`;
  const input = { sku: SKU, name: 'Lantern', price: { amountMinor: 199, currency: 'GBP' }, stock: 100 };
  const { data } = await send(server.url, addProduct, { input }, { authorization });
  expect(data?.addProduct.__typename).toBe('ProductPayload');
}

/** Begins a cart and watches it through the recipe. */
async function watchNewCart(client: Client) {
  const shop = createPlainShop(server.url, WebSocket);
  const begun = await shop.begin({});
  if (begun.__typename !== 'CartPayload') throw new Error(begun.__typename);
  const cartId = begun.cart.id;
  const seen: number[] = [];
  const failures: unknown[] = [];
  const payloads = vi.fn();
  resuming(client).subscribe<WatchCartSubscription>(
    { query: print(WatchCart), variables: { id: cartId } },
    {
      next({ data }) {
        payloads();
        seen.push(...(data?.cartChanged.events ?? []).map(({ version }) => version));
      },
      error: (error) => failures.push(error),
      complete: () => {},
    },
  );
  await vi.waitFor(() => expect(payloads).toHaveBeenCalled(), PATIENCE);
  const add = async () => {
    const { __typename } = await shop.put({ cartId, sku: SKU, quantity: 1 });
    expect(__typename).toBe('CartPayload');
  };
  return { seen, failures, add };
}

/** The codes with which sockets of a client are closed. */
function closeCodesOf(client: Client): number[] {
  const codes: number[] = [];
  client.on('closed', (event) => codes.push((event as CloseEvent).code));
  return codes;
}

test('a live view outlives a deploy', async () => {
  socket = connectLive({ url: webSocketUrl(server.url), webSocketImpl: WebSocket });
  const closeCodes = closeCodesOf(socket);
  const { seen, failures, add } = await watchNewCart(socket);
  await add();
  await vi.waitFor(() => expect(seen).toEqual([2]), PATIENCE);

  const { port } = server;
  await server.stop();
  // Long enough for an attempt to find nobody.
  await vi.waitFor(() => expect(closeCodes.slice(0, 2)).toEqual([1012, 1006]), PATIENCE);
  server = await startLocalServer(store, { authMode: 'jwt', jwtSecret: secret, port });
  await add();
  await vi.waitFor(() => expect(seen).toEqual([2, 3]), PATIENCE);
  expect(failures).toEqual([]);
});

test('a live view goes on with a new token when the old one has expired', async () => {
  const lifetimes = [2, 60];
  const freshToken = () => issueToken(secret, 'customer', 'ada', lifetimes.shift() ?? 60);
  socket = connectLive({
    url: webSocketUrl(server.url),
    webSocketImpl: WebSocket,
    connectionParams: async () => ({ authorization: `Bearer ${await freshToken()}` }),
  });
  const closeCodes = closeCodesOf(socket);
  const { seen, failures, add } = await watchNewCart(socket);
  await add();
  await vi.waitFor(() => expect(closeCodes).toEqual([4403]), PATIENCE);
  await add();
  await vi.waitFor(() => expect(seen).toEqual([2, 3]), PATIENCE);
  expect(lifetimes).toEqual([]);
  expect(failures).toEqual([]);
});

test('a socket that does not answer is given up for a new one', async () => {
  /** Once cut off, it hears nothing any more, and nobody tells it so. */
  const deaf = new Set<WebSocket>();
  class DeafSocket extends WebSocket {
    override emit(event: string | symbol, ...args: unknown[]): boolean {
      return event === 'message' && deaf.has(this) ? false : super.emit(event, ...args);
    }
  }
  socket = connectLive({ url: webSocketUrl(server.url), webSocketImpl: DeafSocket, keepAlive: 100 });
  const sockets: WebSocket[] = [];
  socket.on('opened', (it) => sockets.push(it as WebSocket));
  const { seen, failures, add } = await watchNewCart(socket);
  for (const it of sockets) deaf.add(it);
  await add();
  await vi.waitFor(() => expect(seen).toEqual([2]), PATIENCE);
  expect(sockets).toHaveLength(2);
  for (const it of sockets) it.terminate();
  expect(failures).toEqual([]);
});

test('a live view that cannot go on from where it was ends with an error', async () => {
  socket = connectLive({ url: webSocketUrl(server.url), webSocketImpl: WebSocket });
  const live = resuming(socket);
  const results: unknown[] = [];
  await new Promise<void>((resolve, reject) => {
    const variables = { id: 'Q2FydDow', after: 'another-life.0000000000000001' };
    const sink = { next: (result: unknown) => results.push(result), error: reject, complete: resolve };
    live.subscribe({ query: print(WatchCart), variables }, sink);
  });
  expect(results).toMatchObject([{ errors: [{ extensions: { code: 'POSITION_UNKNOWN' } }] }]);
});

test.each([
  ['Apollo Client', createApolloShop],
  ['urql', createUrqlShop],
  ['plain graphql-ws', createPlainShop],
])('%s tells that there is no such cart', async (_name, createShop) => {
  const shop = createShop(server.url, WebSocket);
  const error = await new Promise((resolve) => shop.watch('Q2FydDow', resolve, resolve));
  await shop.close();
  expect(String(error)).toContain('There is nothing by that id to watch.');
});
