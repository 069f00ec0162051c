import { randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { cartProjection } from '../../src/contexts/cart/projection.ts';
import { issueToken } from '../../src/server/authentication.ts';
import { sendRaw, upgradeRaw } from '../support/raw-http.ts';
import { type LocalServer, startLocalServer } from '../support/servers.ts';
import { mutationOf, type Outcome, outcomeOf, Shop } from '../support/shop.ts';
import { endHandSockets, HandSocket, socketClient, watch } from '../support/sockets.ts';
import { storeKinds, type TestStore } from '../support/stores.ts';

afterEach(endHandSockets);

const SECRET = 'a secret of at least thirty-two bytes';
const token = (role: Parameters<typeof issueToken>[1], subject: string, seconds = 3_600) =>
  issueToken(SECRET, role, subject, seconds);
const [kind] = storeKinds;
const WATCH_CART =
  'subscription Watch($id: ID!) { cartChanged(id: $id) { position events { type } cart { itemCount } } }';

async function createStore(): Promise<TestStore> {
  if (kind === undefined) throw new Error('There is no store.');
  return kind.create();
}

describe('With AUTH_MODE=jwt', () => {
  let store: TestStore;
  let server: LocalServer;
  let anonymous: Shop;
  let staff: Shop;
  let carla: Shop;
  let bob: Shop;
  beforeAll(async () => {
    store = await createStore();
    server = await startLocalServer(store, { authMode: 'jwt', jwtSecret: SECRET });
    anonymous = new Shop(server.url);
    staff = new Shop(server.url, await token('staff', 'anna'));
    carla = new Shop(server.url, await token('customer', 'carla'));
    bob = new Shop(server.url, await token('customer', 'bob'));
    await staff.addProduct('A');
  });
  afterAll(async () => {
    await server.stop();
    await store.remove();
  });

  describe('the catalog', () => {
    const changes: readonly [string, object][] = [
      ['addProduct', { sku: 'X', name: 'X', price: { amountMinor: 1, currency: 'GBP' }, stock: 1 }],
      ['changeProductPrice', { sku: 'A', price: { amountMinor: 1, currency: 'GBP' } }],
      ['deactivateProduct', { sku: 'A' }],
      ['adjustStock', { sku: 'A', delta: -1, reason: 'theft' }],
    ];

    test.each(changes)('%s is forbidden for all but staff', async (field, input) => {
      const guest = new Shop(server.url, await token('guest', 'visitor'));
      const service = new Shop(server.url, await token('service', 'robot'));
      for (const shop of [anonymous, guest, carla, service]) {
        const outcome = await shop.run(field, { ...input });
        expect(outcome).toMatchObject({ __typename: 'Forbidden', code: 'FORBIDDEN', receipt: null });
      }
    });

    test('may be changed by staff and admins', async () => {
      const admin = new Shop(server.url, await token('admin', 'root'));
      expect(await staff.addProduct('B')).toMatchObject({ __typename: 'ProductPayload' });
      expect(await admin.addProduct('C')).toMatchObject({ __typename: 'ProductPayload' });
    });

    test('a command that was forbidden is not kept: its id may be used by who may', async () => {
      const commandId = randomUUID();
      expect((await anonymous.addProduct('D', { commandId })).__typename).toBe('Forbidden');
      expect(await staff.addProduct('D', { commandId })).toMatchObject({
        __typename: 'ProductPayload',
        receipt: { commandId, replayed: false },
      });
    });

    test("another actor's commandId is refused, and tells nothing of what it was for", async () => {
      const commandId = randomUUID();
      const cartId = await anonymous.newCart();
      await staff.addItem(cartId, 'A', 1, { commandId });
      const outcome = await carla.addItem(cartId, 'A', 1, { commandId });
      expect(outcome).toMatchObject({ __typename: 'CommandIdReused', receipt: null });
    });
  });

  describe("a customer's cart", () => {
    let cartId: string;
    beforeAll(async () => {
      cartId = await carla.newCart();
      await carla.addItem(cartId, 'A', 2);
    });
    const strangers = (): readonly Shop[] => [anonymous, bob];

    test('is there for the customer and for staff', async () => {
      expect((await carla.cart(cartId))?.itemCount).toBe(2);
      expect((await staff.cart(cartId))?.itemCount).toBe(2);
    });

    test('is not there for others, however it is asked for', async () => {
      for (const shop of strangers()) {
        expect(await shop.cart(cartId)).toBeNull();
        const query = 'query Q($id: ID!) { node(id: $id) { id } nodes(ids: [$id]) { id } }';
        expect(await shop.read(query, { id: cartId })).toEqual({ node: null, nodes: [null] });
      }
    });

    const commands: readonly [string, object][] = [
      ['addItemToCart', { sku: 'A', quantity: 1 }],
      ['changeItemQuantity', { sku: 'A', quantity: 1 }],
      ['removeItemFromCart', { sku: 'A' }],
      ['clearCart', {}],
    ];

    test.each(commands)('%s finds none for others', async (field, input) => {
      for (const shop of strangers()) {
        expect(await shop.run(field, { cartId, ...input })).toMatchObject({ __typename: 'NotFound', id: cartId });
      }
      expect(await carla.cart(cartId)).toMatchObject({ version: 2, itemCount: 2 });
    });

    test.each(commands)('%s does not betray it by its version either', async (field, input) => {
      for (const shop of strangers()) {
        const outcome = await shop.run(field, { cartId, ...input, expectedVersion: 0 });
        expect(outcome).toMatchObject({ __typename: 'NotFound', id: cartId });
      }
    });

    test('cannot be watched by others: there is nothing by that id', async () => {
      for (const shop of strangers()) {
        const client = socketClient(server.webSocketUrl, shop.headers['authorization']);
        const watching = watch(client, { query: WATCH_CART, variables: { id: cartId } });
        await watching.ended;
        const told = JSON.stringify(watching.error ?? watching.results);
        expect(told).toContain('NOT_FOUND');
        await client.dispose();
      }
      expect(server.engine.view(cartProjection).live.watched.subscribers).toBe(0);
    });

    test('is watched by the customer, also with a header instead of connection parameters', async () => {
      const byParameters = await new HandSocket(server.webSocketUrl).hello(carla.headers);
      const byHeader = await new HandSocket(server.webSocketUrl, carla.headers).hello();
      for (const socket of [byParameters, byHeader]) {
        socket.subscribe('1', WATCH_CART, { id: cartId });
        expect(await socket.answer('1')).toMatchObject({
          type: 'next',
          payload: { data: { cartChanged: { cart: { itemCount: 2 } } } },
        });
        socket.socket.close();
      }
    });

    test("a guest's is there for whoever knows its id", async () => {
      const guests = await anonymous.newCart();
      await bob.addItem(guests, 'A', 1);
      expect((await carla.cart(guests))?.itemCount).toBe(1);
    });
  });

  describe('what staff did', () => {
    const EVENTS = `subscription Watch($sku: String!, $after: Position) {
      productChanged(sku: $sku, after: $after) {
        events {
          type actor { kind id } commandId causationId correlationId data
          ... on StockAdjusted { payload { delta reason } }
        }
      }
    }`;
    interface Watched {
      productChanged: {
        events: {
          type: string;
          actor: { kind: string; id: string | null };
          commandId: string | null;
          causationId: string | null;
          data: Record<string, unknown>;
          payload?: { delta: number; reason: string | null };
        }[];
      };
    }
    const commandId = randomUUID();

    async function seenBy(shop: Shop): Promise<Watched['productChanged']['events']> {
      const client = socketClient(server.webSocketUrl, shop.headers['authorization']);
      const watching = watch<Watched>(client, { query: EVENTS, variables: { sku: 'A' } });
      await vi.waitFor(() => expect(watching.results).toHaveLength(1), 30_000);
      await staff.run('adjustStock', { sku: 'A', delta: 1, reason: 'found behind the shelf', commandId: randomUUID() });
      await vi.waitFor(() => expect(watching.results.length).toBeGreaterThan(1), 30_000);
      await client.dispose();
      return watching.results.flatMap(({ data }) => data?.productChanged.events ?? []);
    }

    test('is seen by staff with all that belongs to it', async () => {
      expect(await seenBy(staff)).toEqual([
        expect.objectContaining({
          type: 'StockAdjusted',
          actor: { kind: 'STAFF', id: 'anna' },
          commandId: expect.any(String),
          causationId: expect.any(String),
          data: expect.objectContaining({ delta: 1, reason: 'found behind the shelf' }),
          payload: { delta: 1, reason: 'found behind the shelf' },
        }),
      ]);
    });

    test.each(['anonymous', 'carla'])('is seen by %s without the reason, and without who it was', async (name) => {
      const events = await seenBy(name === 'carla' ? carla : anonymous);
      expect(events).toMatchObject([
        {
          type: 'StockAdjusted',
          actor: { kind: 'STAFF', id: null },
          commandId: null,
          causationId: null,
          payload: { delta: 1, reason: null },
        },
      ]);
      expect(events[0]?.data).not.toHaveProperty('reason');
      expect(JSON.stringify(events)).not.toMatch(/behind the shelf|anna/);
    });

    test('is not given away by its commandId in another place', async () => {
      const client = socketClient(server.webSocketUrl);
      const watching = watch<Watched>(client, { query: EVENTS, variables: { sku: 'A' } });
      await vi.waitFor(() => expect(watching.results).toHaveLength(1), 30_000);
      await staff.run('adjustStock', { sku: 'A', delta: 1, reason: 'count', commandId });
      await vi.waitFor(() => expect(watching.results.length).toBeGreaterThan(1), 30_000);
      await client.dispose();
      expect(JSON.stringify(watching.results)).not.toContain(commandId);
    });

    test('is seen by each watcher as far as it is for them, of one and the same change', async () => {
      const clients = [staff, anonymous, carla].map((shop) =>
        socketClient(server.webSocketUrl, shop.headers['authorization']),
      );
      const watchings = clients.map((client) => watch<Watched>(client, { query: EVENTS, variables: { sku: 'A' } }));
      await vi.waitFor(() => expect(watchings.map(({ results }) => results.length)).toEqual([1, 1, 1]), 30_000);
      await staff.run('adjustStock', { sku: 'A', delta: 2, reason: 'secret' });
      await vi.waitFor(() => expect(watchings.map(({ results }) => results.length)).toEqual([2, 2, 2]), 30_000);
      const reasons = watchings.map(({ results }) => results[1]?.data?.productChanged.events[0]?.payload?.reason);
      expect(reasons).toEqual(['secret', null, null]);
      await Promise.all(clients.map((client) => client.dispose()));
    });
  });

  describe('a token', () => {
    const wrong: readonly [string, () => Promise<string> | string][] = [
      ['that is none', () => 'Bearer nope'],
      ['without Bearer', async () => token('staff', 'anna')],
      ['of another kind', () => 'Basic YW5uYTpzZWNyZXQ='],
      ['that has expired', async () => `Bearer ${await token('staff', 'anna', -10)}`],
      ['signed by another', async () => `Bearer ${await issueToken(`${SECRET}!`, 'staff', 'anna', 60)}`],
      ['that is not signed', () => `Bearer ${unsigned({ alg: 'none' }, 'admin')}.`],
      ['with an unknown role', async () => `Bearer ${await signed({ role: 'king' })}`],
      ['without a role', async () => `Bearer ${await signed({})}`],
      ['of another issuer', async () => `Bearer ${await signed({ role: 'admin' }, 'somebody')}`],
      [
        'of somebody with a control character in their name',
        async () => `Bearer ${await token('customer', 'a\u001f7')}`,
      ],
      ['of somebody with half a character in their name', async () => `Bearer ${await token('customer', 'a\ud800')}`],
      ['that never expires', async () => `Bearer ${await signed({ role: 'admin' }, 'cartstream', false)}`],
    ];

    test.each(wrong)('%s is answered with UNAUTHENTICATED and 401', async (_, authorization) => {
      const answer = await sendRaw(server.url, {
        headers: { 'content-type': 'application/json', authorization: await authorization() },
        body: JSON.stringify({ query: '{ __typename }' }),
      });
      expect(answer.status).toBe(401);
      expect(JSON.parse(answer.text)).toMatchObject({ errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] });
      expect(JSON.parse(answer.text)).not.toHaveProperty('data');
    });

    test('of somebody who cannot be named so is said to be that', async () => {
      for (const [role, subject] of [
        ['customer', 'a\u0000'],
        ['staff', 'a\n'],
        ['customer', 'guest:ada'],
      ] as const) {
        const { errors } = await new Shop(server.url, await token(role, subject)).ask('{ __typename }');
        expect(errors).toMatchObject([{ message: expect.stringContaining("The token's subject must have 1 to 200") }]);
      }
    });

    test.each(wrong)('%s closes the WebSocket that it came over with 4403', async (_, authorization) => {
      const socket = new HandSocket(server.webSocketUrl);
      await socket.opened();
      socket.send({ type: 'connection_init', payload: { authorization: await authorization() } });
      expect((await socket.closed).code).toBe(4403);
    });

    test('that is no text closes the WebSocket with 4403', async () => {
      const socket = new HandSocket(server.webSocketUrl);
      await socket.opened();
      socket.send({ type: 'connection_init', payload: { authorization: { role: 'admin' } } });
      expect((await socket.closed).code).toBe(4403);
    });

    test('that expires closes its WebSocket with 4403, and no other', async () => {
      const short = `Bearer ${await token('customer', 'carla', 2)}`;
      const socket = await new HandSocket(server.webSocketUrl).hello({ authorization: short });
      const other = await new HandSocket(server.webSocketUrl).hello(carla.headers);
      expect((await socket.closed).code).toBe(4403);
      other.subscribe('1', '{ __typename }');
      expect((await other.answer('1')).type).toBe('next');
      other.socket.close();
    });

    test('that expires ends its events over SSE, too', async () => {
      const id = await carla.newCart();
      const headers = { authorization: `Bearer ${await token('customer', 'carla', 2)}`, accept: 'text/event-stream' };
      const response = await fetch(server.url, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: JSON.stringify({ query: WATCH_CART, variables: { id } }),
        signal: AbortSignal.timeout(6_000),
      });
      let received = '';
      const read = async () => {
        for await (const chunk of response.body ?? []) received += Buffer.from(chunk).toString();
      };
      // Cut and not completed: a client comes back.
      await expect(read()).rejects.toThrow('terminated');
      expect(received).toContain('event: next');
      expect(received).not.toContain('event: complete');
    });

    test('leaves no timer behind when its socket is gone before it was checked', async () => {
      const timers = () => process.getActiveResourcesInfo().filter((it) => it === 'Timeout').length;
      const before = timers();
      for (let round = 0; round < 30; round += 1) {
        const sockets = Array.from({ length: 10 }, () => new HandSocket(server.webSocketUrl));
        await Promise.all(sockets.map((socket) => socket.opened()));
        for (const { socket } of sockets) {
          // One token for each: one that is known already is not checked again.
          const payload = { authorization: `Bearer ${await token('customer', randomUUID())}` };
          socket.send(JSON.stringify({ type: 'connection_init', payload }), () => socket.terminate());
        }
        await Promise.all(sockets.map(({ closed }) => closed));
      }
      await vi.waitFor(() => expect(timers()).toBeLessThanOrEqual(before + 2), 10_000);
    });
  });

  describe('a web page', () => {
    test('of the server itself may call it, another may not', async () => {
      const { host } = new URL(server.url);
      const headers = { 'content-type': 'application/json' };
      const body = JSON.stringify({ query: '{ __typename }' });
      expect((await sendRaw(server.url, { headers: { ...headers, origin: `http://${host}` }, body })).status).toBe(200);
      const foreign = await sendRaw(server.url, { headers: { ...headers, origin: 'https://evil.example' }, body });
      expect(foreign.status).toBe(403);
      expect(foreign.headers['access-control-allow-origin']).toBeUndefined();
    });
  });
});

describe('With AUTH_MODE=open', () => {
  let store: TestStore;
  let server: LocalServer;
  beforeAll(async () => {
    store = await createStore();
    server = await startLocalServer(store, { corsOrigins: ['https://shop.example'] });
  });
  afterAll(async () => {
    await server.stop();
    await store.remove();
  });
  const body = JSON.stringify({ query: '{ __typename }' });
  const json = { 'content-type': 'application/json' };

  test('a request without a token may do everything', async () => {
    const shop = new Shop(server.url);
    expect((await shop.addProduct('A')).__typename).toBe('ProductPayload');
  });

  test('a token is refused where there is no secret to check it with', async () => {
    const answer = await sendRaw(server.url, { headers: { ...json, authorization: 'Bearer a.b.c' }, body });
    expect(answer.status).toBe(401);
  });

  const refused: readonly [string, Record<string, string>][] = [
    ['from a page elsewhere', { origin: 'https://evil.example' }],
    ['from a page that names itself after this machine', { origin: 'http://localhost.evil.example' }],
    ['from a page without an origin of its own', { origin: 'null' }],
    ['for another host: DNS that was rebound', { host: 'evil.example' }],
    ['for another host, with its page', { host: 'evil.example:4000', origin: 'http://evil.example:4000' }],
    ['for a host like this machine', { host: '127.0.0.1.evil.example' }],
  ];

  test.each(refused)('a request %s is refused', async (_, headers) => {
    const answer = await sendRaw(server.url, { headers: { ...json, ...headers }, body });
    expect(answer.status).toBe(403);
    expect(JSON.parse(answer.text)).toMatchObject({ errors: [{ extensions: { code: 'FORBIDDEN' } }] });
    expect(answer.headers['access-control-allow-origin']).toBeUndefined();
  });

  test.each(refused)('a preflight %s is refused', async (_, headers) => {
    const answer = await sendRaw(server.url, { method: 'OPTIONS', headers });
    expect(answer.status).toBe(403);
    expect(answer.headers['access-control-allow-origin']).toBeUndefined();
  });

  test.each(refused)('a WebSocket %s is refused', async (_, headers) => {
    expect((await upgradeRaw(server.url, headers)).status).toBe(403);
  });

  const allowed: readonly [string, Record<string, string>][] = [
    ['that is from no page', {}],
    ['from a page of this machine', { origin: 'http://localhost:5173' }],
    ['from a page of this machine by its number', { origin: 'http://127.0.0.1:8080' }],
    ['from a page of this machine by its long number', { origin: 'http://[::1]:8080' }],
    ['from a page that is listed', { origin: 'https://shop.example' }],
    ['for localhost', { host: 'localhost:4000' }],
  ];

  test.each(allowed)('a request %s is answered', async (_, headers) => {
    const answer = await sendRaw(server.url, { headers: { ...json, ...headers }, body });
    expect(answer.status).toBe(200);
    expect(answer.headers['access-control-allow-origin']).toBe(headers['origin']);
  });

  test.each(allowed)('a WebSocket %s is opened', async (_, headers) => {
    expect((await upgradeRaw(server.url, headers)).status).toBe(101);
  });

  test('there is no WebSocket elsewhere', async () => {
    expect((await upgradeRaw(server.url, {}, '/elsewhere')).status).toBe(404);
  });

  test('mutations are made over WebSocket as well', async () => {
    const socket = await new HandSocket(server.webSocketUrl).hello();
    socket.subscribe('1', mutationOf('createCart'), { input: {} });
    const { payload } = await socket.answer('1');
    const { data } = payload as { data: Record<string, Outcome> };
    expect(outcomeOf('createCart', data)).toMatchObject({ __typename: 'CartPayload' });
    socket.socket.close();
  });
});

function signed(payload: Record<string, string>, issuer = 'cartstream', expires = true): Promise<string> {
  const jwt = new SignJWT(payload).setProtectedHeader({ alg: 'HS256' }).setIssuer(issuer).setSubject('anna');
  return (expires ? jwt.setExpirationTime('1h') : jwt).sign(new TextEncoder().encode(SECRET));
}

function unsigned(header: object, role: string): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part(header)}.${part({ role, sub: 'root', iss: 'cartstream', exp: 4_000_000_000 })}`;
}
