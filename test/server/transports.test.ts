import { ApolloClient, ApolloLink, gql as apolloGql, HttpLink, InMemoryCache } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { cacheExchange, fetchExchange, subscriptionExchange, Client as UrqlClient } from '@urql/core';
import { parse, print } from 'graphql';
import { createClient as createSseClient } from 'graphql-sse';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { addDemoCatalog } from '../../src/cli/demo-catalog.ts';
import { cartProjection } from '../../src/contexts/cart/projection.ts';
import { type LocalServer, startLocalServer } from '../support/servers.ts';
import { Shop } from '../support/shop.ts';
import { socketClient } from '../support/sockets.ts';
import { describeEachStore, type TestStore } from '../support/stores.ts';

const CREATE = `mutation Create { createCart { ... on CartPayload { cart { id version } receipt { position } } } }`;
const ADD = `mutation Add($id: ID!, $sku: String!, $quantity: Int!) {
  addItemToCart(input: { cartId: $id, sku: $sku, quantity: $quantity }) {
    ... on CartPayload { cart { id version itemCount } receipt { position } }
  }
}`;
const READ = `query Read($id: ID!, $minPosition: Position) {
  cart(id: $id, minPosition: $minPosition) { id version itemCount lines { sku quantity } }
}`;
const LIVE = `subscription Live($id: ID!) {
  cartChanged(id: $id) { position cart { id version itemCount } events { type version } }
}`;

interface Created {
  createCart: { cart: { id: string; version: number }; receipt: { position: string } };
}
interface Added {
  addItemToCart: { cart: { id: string; version: number; itemCount: number }; receipt: { position: string } };
}
interface Read {
  cart: { id: string; version: number; itemCount: number; lines: { sku: string; quantity: number }[] } | null;
}
interface Live {
  cartChanged: {
    position: string;
    cart: { id: string; version: number; itemCount: number };
    events: { type: string; version: number }[];
  };
}

/** How one kind of client does the three things. */
interface Transport {
  create(): Promise<Created | undefined>;
  add(variables: { id: string; sku: string; quantity: number }): Promise<Added | undefined>;
  read(variables: { id: string; minPosition: string }): Promise<Read | undefined>;
  live(id: string, next: (live: Live | undefined) => void): () => void;
  close(): void;
}

describeEachStore('Each kind of client', (kind) => {
  let store: TestStore;
  let server: LocalServer;
  beforeAll(async () => {
    store = await kind.create();
    server = await startLocalServer(store);
    await new Shop(server.url).addProduct('71053', { price: 339 });
  });
  afterAll(async () => {
    await server.stop();
    await store.remove();
  });

  const transports: Record<string, () => Transport> = {
    'fetch with POST, and events over SSE': () => plainTransport(server.url, false),
    'fetch with GET for queries, and events over SSE': () => plainTransport(server.url, true),
    'Apollo Client': () => apolloTransport(server),
    'urql with graphql-ws': () => urqlTransport(server),
    'graphql-ws alone': () => socketTransport(server),
    'graphql-sse': () => sseTransport(server.url),
  };

  test.each(Object.keys(transports))('%s creates a cart, adds to it, reads it back and sees it live', async (name) => {
    const transport = transports[name]?.();
    if (transport === undefined) throw new Error(`There is no ${name}.`);
    try {
      const created = await transport.create();
      const id = created?.createCart.cart.id ?? '';
      expect(created?.createCart.cart.version).toBe(1);

      const seen: (Live | undefined)[] = [];
      const stop = transport.live(id, (live) => seen.push(live));
      await vi.waitFor(() => expect(seen).toHaveLength(1), 10_000);
      expect(seen[0]?.cartChanged).toMatchObject({ cart: { id, version: 1, itemCount: 0 }, events: [] });

      const added = await transport.add({ id, sku: '71053', quantity: 3 });
      expect(added?.addItemToCart.cart).toMatchObject({ version: 2, itemCount: 3 });
      const minPosition = added?.addItemToCart.receipt.position ?? '';
      expect((await transport.read({ id, minPosition }))?.cart).toMatchObject({
        version: 2,
        lines: [{ sku: '71053', quantity: 3 }],
      });

      await vi.waitFor(() => expect(seen).toHaveLength(2), 10_000);
      expect(seen[1]?.cartChanged).toMatchObject({
        position: minPosition,
        cart: { id, version: 2, itemCount: 3 },
        events: [{ type: 'ItemAddedToCart', version: 2 }],
      });
      stop();
    } finally {
      transport.close();
    }
  });

  test.each(['application/json', 'application/graphql-response+json', 'text/plain'])(
    'a subscription is no answer in %s: it is refused, and does not go on unheard',
    async (accept) => {
      const id = await new Shop(server.url).newCart();
      const response = await fetch(server.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept },
        body: JSON.stringify({ query: LIVE, variables: { id } }),
      });
      await response.body?.cancel();
      expect(response.status).toBe(406);
      await vi.waitFor(() => expect(server.engine.view(cartProjection).live.watched.subscribers).toBe(0), 30_000);
    },
  );

  test('nobody is left watching when they have gone', async () => {
    await vi.waitFor(() => {
      expect(server.engine.views.map(({ live }) => live.watched)).toEqual(
        server.engine.views.map(() => ({ topics: 0, subscribers: 0 })),
      );
    }, 30_000);
  });
});

describe('What HTTP allows', () => {
  let store: TestStore;
  let server: LocalServer;
  beforeAll(async () => {
    const { storeKinds } = await import('../support/stores.ts');
    const [kind] = storeKinds;
    if (kind === undefined) throw new Error('There is no store.');
    store = await kind.create();
    server = await startLocalServer(store);
    await addDemoCatalog(server.engine);
  });
  afterAll(async () => {
    await server.stop();
    await store.remove();
  });

  test('no mutation by GET', async () => {
    const response = await fetch(`${server.url}?${new URLSearchParams({ query: CREATE })}`);
    expect(response.status).toBe(405);
    expect(server.engine.tail.head).toBeGreaterThan(0);
  });

  test('a correlation id of the caller, which its events carry', async () => {
    const correlationId = '0197f3c0-1111-7111-8111-111111111111';
    const response = await fetch(server.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-correlation-id': correlationId },
      body: JSON.stringify({ query: 'mutation C { createCart { ... on CartPayload { receipt { correlationId } } } }' }),
    });
    expect(await response.json()).toEqual({ data: { createCart: { receipt: { correlationId } } } });
  });

  test('browsers are shown GraphiQL, with the example operations and subscriptions over WebSocket', async () => {
    const response = await fetch(server.url, { headers: { accept: 'text/html,application/xhtml+xml' } });
    const page = await response.text();
    expect(response.headers.get('content-type')).toMatch(/^text\/html/);
    expect(page).toContain('GraphiQL');
    expect(page).toContain('Welcome to cartstream');
    expect(page).toMatch(/"subscriptionsProtocol":\s*"WS"/);
  });

  test('the page of GraphiQL needs nothing from elsewhere', async () => {
    const page = await (await fetch(server.url, { headers: { accept: 'text/html' } })).text();
    const foreign = [...page.matchAll(/<(?:script|link)[^>]*(?:src|href)="?(https?:[^"\s>]+)/g)].map(([, url]) => url);
    expect(foreign).toEqual([]);
  });
});

async function post<Data>(url: string, query: string, variables: object = {}): Promise<Data | undefined> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  });
  const { data } = (await response.json()) as { data?: Data };
  return data;
}

async function get<Data>(url: string, query: string, variables: object = {}): Promise<Data | undefined> {
  const parameters = new URLSearchParams({ query, variables: JSON.stringify(variables) });
  const response = await fetch(`${url}?${parameters}`, { headers: { accept: 'application/json' } });
  const { data } = (await response.json()) as { data?: Data };
  return data;
}

function plainTransport(url: string, readsByGet: boolean): Transport {
  return {
    create: () => post(url, CREATE),
    add: (variables) => post(url, ADD, variables),
    read: (variables) => (readsByGet ? get(url, READ, variables) : post(url, READ, variables)),
    live(id, next) {
      const abort = new AbortController();
      void readServerSentEvents(url, { query: LIVE, variables: { id } }, abort.signal, (data) =>
        next((data as { data?: Live }).data),
      );
      return () => abort.abort();
    },
    close() {},
  };
}

/** Reads the events named `next` of a stream. */
async function readServerSentEvents(
  url: string,
  operation: object,
  signal: AbortSignal,
  next: (data: unknown) => void,
): Promise<void> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      body: JSON.stringify(operation),
      signal,
    });
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
    let text = '';
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += chunk;
      const blocks = text.split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) {
        const [, data] = /^data: (.*)$/m.exec(block) ?? [];
        if (/^event: next$/m.test(block) && data !== undefined) next(JSON.parse(data));
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

function apolloTransport({ url, webSocketUrl }: LocalServer): Transport {
  const socket = socketClient(webSocketUrl);
  const link = ApolloLink.split(
    ({ operationType }) => operationType === 'subscription',
    new GraphQLWsLink(socket),
    new HttpLink({ uri: url }),
  );
  const client = new ApolloClient({ link, cache: new InMemoryCache() });
  return {
    create: async () => (await client.mutate<Created>({ mutation: apolloGql(CREATE) })).data,
    add: async (variables) => (await client.mutate<Added>({ mutation: apolloGql(ADD), variables })).data,
    read: async (variables) =>
      (await client.query<Read>({ query: apolloGql(READ), variables, fetchPolicy: 'network-only' })).data,
    live(id, next) {
      const subscription = client
        .subscribe<Live>({ query: apolloGql(LIVE), variables: { id } })
        .subscribe(({ data }) => next(data ?? undefined));
      return () => subscription.unsubscribe();
    },
    close() {
      client.stop();
      void socket.dispose();
    },
  };
}

function urqlTransport({ url, webSocketUrl }: LocalServer): Transport {
  const socket = socketClient(webSocketUrl);
  const client = new UrqlClient({
    url,
    preferGetMethod: false,
    exchanges: [
      cacheExchange,
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: ({ query = '', variables, operationName }) => ({
          subscribe: (sink) => ({
            unsubscribe: socket.subscribe(
              { query, variables: variables ?? {}, operationName: operationName ?? null },
              {
                next: ({ data = null }) => sink.next({ data }),
                error: (error) => sink.error(error),
                complete: () => sink.complete(),
              },
            ),
          }),
        }),
      }),
    ],
  });
  return {
    create: async () => (await client.mutation<Created>(CREATE, {})).data,
    add: async (variables) => (await client.mutation<Added>(ADD, variables)).data,
    read: async (variables) => (await client.query<Read>(READ, variables)).data,
    live(id, next) {
      return client.subscription<Live>(LIVE, { id }).subscribe(({ data }) => next(data)).unsubscribe;
    },
    close: () => void socket.dispose(),
  };
}

function socketTransport({ webSocketUrl }: LocalServer): Transport {
  const socket = socketClient(webSocketUrl);
  const once = async <Data>(query: string, variables: Record<string, unknown> = {}) => {
    for await (const { data } of socket.iterate<Data>({ query, variables })) return data ?? undefined;
    return undefined;
  };
  return {
    create: () => once<Created>(CREATE),
    add: (variables) => once<Added>(ADD, variables),
    read: (variables) => once<Read>(READ, variables),
    live(id, next) {
      return socket.subscribe<Live>(
        { query: LIVE, variables: { id } },
        { next: ({ data }) => next(data ?? undefined), error: () => {}, complete: () => {} },
      );
    },
    close: () => void socket.dispose(),
  };
}

function sseTransport(url: string): Transport {
  const client = createSseClient({ url });
  const once = async <Data>(query: string, variables: Record<string, unknown> = {}) => {
    for await (const { data } of client.iterate<Data>({ query, variables })) return data ?? undefined;
    return undefined;
  };
  return {
    create: () => once<Created>(CREATE),
    add: (variables) => once<Added>(ADD, variables),
    read: (variables) => once<Read>(READ, variables),
    live(id, next) {
      return client.subscribe<Live>(
        { query: print(parse(LIVE)), variables: { id } },
        { next: ({ data }) => next(data ?? undefined), error: () => {}, complete: () => {} },
      );
    },
    close: () => client.dispose(),
  };
}
