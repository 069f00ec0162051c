import { randomUUID } from 'node:crypto';
import { createClient as createSseClient } from 'graphql-sse';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { issueToken } from '../../src/server/authentication.ts';
import { commandRow, insertCommands } from '../support/command-rows.ts';
import {
  type Appended,
  CAUSATION,
  EVENTS,
  EVENTS_APPENDED,
  type EventView,
  Historian,
  idOf,
  nameOf,
} from '../support/historian.ts';
import { commandNode, eventually, processNode, rawId, receiptOf } from '../support/operator.ts';
import { type LocalServer, startLocalServer } from '../support/servers.ts';
import type { Input } from '../support/shop.ts';
import { endHandSockets, HandSocket, socketClient, watch } from '../support/sockets.ts';
import { describeEachStore, describeServerStore } from '../support/stores.ts';
import { TradingShop } from '../support/trading-shop.ts';

const SECRET = 'a secret of at least thirty-two bytes';

describeEachStore('The history', (kind) => {
  let shop: TradingShop;
  let historian: Historian;

  beforeAll(async () => {
    shop = await TradingShop.open(kind, { settings: { jwtSecret: SECRET }, pace: { preparedMs: 20, inTransitMs: 20 } });
    historian = new Historian(shop.server.url);
    for (const sku of ['A', 'B']) await shop.buyer.addProduct(sku);
  });
  afterEach(endHandSockets);
  afterAll(() => shop.close());

  const as = async (role: 'guest' | 'customer' | 'service' | 'staff', name: string) =>
    new Historian(shop.server.url, await issueToken(SECRET, role, name, 3_600));
  const typesOf = (events: readonly EventView[]) => events.map(({ type }) => type);
  const codes = async (query: string, variables: Input, asker = historian) =>
    (await asker.ask(query, variables)).errors?.map(({ extensions }) => extensions?.code);

  describe('as a list of events', () => {
    test('is filtered by the aggregate: by its id, by its raw id, with and without its type', async () => {
      const product = await shop.buyer.product('A');
      await historian.run('changeProductPrice', { sku: 'A', price: { amountMinor: 120, currency: 'GBP' } });
      const both = ['ProductAdded', 'StockOpened', 'ProductPriceChanged'];
      for (const aggregateId of [product?.id, 'A']) {
        expect(typesOf((await historian.events({ aggregateId })).nodes).sort()).toEqual([...both].sort());
        const ofStock = await historian.events({ aggregateId, aggregateType: 'stock' });
        expect(ofStock.nodes.map((it) => it.aggregateType)).toEqual(['stock']);
        expect((await historian.events({ aggregateId, aggregateType: 'cart' })).nodes).toEqual([]);
      }
      expect((await historian.events({ aggregateId: 'nothing' })).totalCount).toBe(0);
    });

    test('is filtered by what happened, by whom, because of which request, and when', async () => {
      const anna = await as('staff', 'anna');
      const correlationId = randomUUID();
      const sender = new Historian(shop.server.url, anna.headers['authorization']?.slice(7), correlationId);
      const cartId = await sender.newCart();
      await sender.addItem(cartId, 'A', 2);
      await historian.addItem(cartId, 'B', 1);
      const aggregateId = cartId;
      const all = (await historian.events({ aggregateId, aggregateType: 'cart' })).nodes;
      expect(typesOf(all)).toEqual(['CartCreated', 'ItemAddedToCart', 'ItemAddedToCart']);
      expect(all[1]).toMatchObject({ actor: { kind: 'STAFF', id: 'anna' }, correlationId });
      const list = async (filter: Input) => typesOf((await historian.events(filter)).nodes);
      expect(await list({ aggregateId, types: ['CartCreated'] })).toEqual(['CartCreated']);
      expect(await list({ aggregateId, types: [] })).toEqual([]);
      expect(await list({ aggregateId, types: ['ItemAddedToCart'], actorId: 'anna' })).toEqual(['ItemAddedToCart']);
      expect(await list({ actorId: 'anna', types: ['CartCreated', 'ItemAddedToCart'] })).toEqual([
        'CartCreated',
        'ItemAddedToCart',
      ]);
      await eventually(async () => {
        // What processes did because of it began with it, too.
        const begun = await historian.events({ correlationId });
        expect(begun.nodes.map((it) => it.aggregateType)).toContain('abandoned-carts');
        expect(begun.nodes.every((it) => it.correlationId === correlationId)).toBe(true);
      });
      expect(await list({ correlationId: correlationId.toUpperCase(), aggregateType: 'cart' })).toHaveLength(2);
      const ofProcess = { aggregateId: processNode('abandoned-carts', rawId(cartId)) };
      const watched = (await historian.events(ofProcess)).nodes;
      expect(new Set(watched.map((it) => it.aggregateType))).toEqual(new Set(['abandoned-carts']));

      const [, second, third] = all.map(({ recordedAt }) => recordedAt);
      const during = await historian.events({ aggregateId, aggregateType: 'cart', from: second, to: third });
      expect(during.nodes.map(({ recordedAt }) => recordedAt).every((it) => it >= `${second}` && it < `${third}`)).toBe(
        true,
      );
      expect(await list({ aggregateId, to: all[0]?.recordedAt })).toEqual([]);
      expect(await list({ from: '9999-12-31T23:59:59Z' })).toEqual([]);
      expect(await list({ aggregateId, aggregateType: 'cart', from: '0000-01-01T00:00:00Z' })).toHaveLength(3);
    });

    test('is read page by page, forward and backward', async () => {
      const cartId = await historian.newCart();
      for (let quantity = 1; quantity < 7; quantity += 1) await historian.addItem(cartId, 'A', quantity);
      const filter = { aggregateId: cartId, aggregateType: 'cart' };
      const { nodes, totalCount } = await historian.events(filter);
      expect(totalCount).toBe(7);
      const versions = (events: readonly EventView[]) => events.map(({ version }) => version);
      expect(versions(nodes)).toEqual([1, 2, 3, 4, 5, 6, 7]);
      const first = await historian.events(filter, { first: 3 });
      expect([versions(first.nodes), first.pageInfo.hasNextPage, first.pageInfo.hasPreviousPage]).toEqual([
        [1, 2, 3],
        true,
        false,
      ]);
      const next = await historian.events(filter, { first: 3, after: first.pageInfo.endCursor });
      expect([versions(next.nodes), next.pageInfo.hasPreviousPage]).toEqual([[4, 5, 6], true]);
      const last = await historian.events(filter, { last: 2 });
      expect([versions(last.nodes), last.pageInfo.hasPreviousPage, last.pageInfo.hasNextPage]).toEqual([
        [6, 7],
        true,
        false,
      ]);
      const before = await historian.events(filter, { last: 9, before: last.pageInfo.startCursor });
      expect([versions(before.nodes), before.pageInfo.hasPreviousPage]).toEqual([[1, 2, 3, 4, 5], false]);
      const all = await historian.allEvents();
      expect(all.map(({ position }) => position)).toEqual(all.map(({ position }) => position).toSorted());
      expect((await historian.events({}, { first: 1_000 })).nodes.length).toBeLessThanOrEqual(100);
    });

    test('has one event by its id', async () => {
      const [event] = (await historian.events({}, { first: 1 })).nodes;
      const one = 'query One($id: ID!) { event(eventId: $id) { eventId type } }';
      expect(await historian.read(one, { id: event?.eventId })).toEqual({
        event: { eventId: event?.eventId, type: event?.type },
      });
      for (const id of [randomUUID(), 'nope', '\u0000'])
        expect(await historian.read(one, { id })).toEqual({ event: null });
    });

    test.each([
      ['a cursor that is none', { after: 'garbage' }],
      ['a cursor of another list', { after: cursor('commands', 1) }],
      ['a cursor with what does not fit', { before: cursor('events', 'one') }],
      ['a cursor before the beginning', { before: cursor('events', -1) }],
      ['a negative page', { first: -1 }],
      ['too many types', { filter: { types: Array.from({ length: 101 }, () => 'CartCreated') } }],
      ['an instant that is none', { filter: { from: 'yesterday' } }],
    ])('refuses %s', async (_, variables) => {
      expect(await codes(EVENTS, variables)).toEqual(['BAD_USER_INPUT']);
    });

    test.each([
      [{ types: ['OrderPaid', 'OrderPlacd'] }, '"OrderPlacd". Did you mean OrderPlaced or OrderPaid?'],
      [{ types: ['itemaddedtocart'] }, 'Did you mean ItemAddedToCart'],
      [{ types: ['\u0000'] }, '"\\u0000". All are the types that implement Event.'],
      [{ types: ['x'.repeat(9_000)] }, `${'x'.repeat(80)}…"`],
      [{ aggregateType: 'Cart' }, '"Cart": there are abandoned-carts, '],
      [{ aggregateType: 'checkouts', aggregateId: 'x' }, ', checkout, '],
    ])('names what there is where %j names nothing, over both transports', async (filter, words) => {
      const { errors } = await historian.ask(EVENTS, { filter });
      expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
      expect(errors?.[0]?.message).toContain(words);
      const client = socketClient(shop.server.webSocketUrl);
      const watching = watch<Appended>(client, { query: EVENTS_APPENDED, variables: { filter } });
      await watching.ended;
      expect(JSON.stringify([watching.error, watching.results])).toContain('BAD_USER_INPUT');
      await client.dispose();
    });

    test('is not confused by what is no id', async () => {
      for (const filter of [{ aggregateId: '\u0000' }, { correlationId: 'x' }, { actorId: '\u0000' }])
        expect((await historian.events(filter)).totalCount).toBe(0);
    });
  });

  test('is for staff alone', async () => {
    for (const asker of [await as('guest', 'visitor'), await as('customer', 'carla'), await as('service', 'robot')]) {
      expect(await codes(EVENTS, {}, asker)).toEqual(['FORBIDDEN']);
      const [event] = (await historian.events({}, { first: 1 })).nodes;
      expect(await asker.causation({ eventId: event?.eventId })).toBeNull();
      expect(await asker.read('query One($id: ID!) { event(eventId: $id) { type } }', { id: event?.eventId })).toEqual({
        event: null,
      });
      const client = socketClient(shop.server.webSocketUrl, asker.headers['authorization']);
      const watching = watch<Appended>(client, { query: EVENTS_APPENDED });
      await watching.ended;
      expect(JSON.stringify([watching.error, watching.results])).toContain('FORBIDDEN');
      await client.dispose();
    }
    const anna = await as('staff', 'anna');
    expect((await anna.events({}, { first: 1 })).nodes).toHaveLength(1);
  });

  describe('live', () => {
    const follow = (variables: Input) => watch<Appended>(shop.client, { query: EVENTS_APPENDED, variables });

    test('begins at once and from now on, and tells of what happens then', async () => {
      const before = await historian.newCart();
      const watching = follow({ filter: { types: ['ItemAddedToCart'] } });
      await eventually(() => expect(watching.results).toHaveLength(1));
      const [first] = watching.results;
      expect(first?.data?.eventsAppended.events).toEqual([]);
      const { cart, receipt } = await historian.addItem(before, 'A', 1);
      await eventually(() => expect(watching.results.length).toBeGreaterThan(1));
      expect(watching.results.at(-1)?.data?.eventsAppended).toMatchObject({
        events: [{ __typename: 'ItemAddedToCart', position: cart?.position }],
      });
      expect((watching.results.at(-1)?.data?.eventsAppended.position ?? '') >= (receipt?.position ?? 'z')).toBe(true);
      watching.stop();
    });

    test('loses nothing and repeats nothing over sockets that break', async () => {
      const cartId = await historian.newCart();
      const start = (await historian.cart(cartId))?.position;
      const filter = { aggregateId: cartId, aggregateType: 'cart' };
      const seen: EventView[] = [];
      let after = start;
      const lanes = Array.from({ length: 4 }, async () => {
        for (let at = 0; at < 25; at += 1) await historian.addItem(cartId, 'A', 1);
      });
      for (let life = 0; life <= 8; life += 1) {
        const socket = await new HandSocket(shop.server.webSocketUrl).hello();
        const wanted = life === 8 ? 100 : Math.min(100, seen.length + 8);
        socket.socket.on('message', (data) => {
          const message = JSON.parse(String(data)) as { type: string; payload?: { data: Appended } };
          if (message.type !== 'next' || message.payload === undefined) return;
          seen.push(...message.payload.data.eventsAppended.events);
          after = message.payload.data.eventsAppended.position;
        });
        socket.subscribe('1', EVENTS_APPENDED, { filter, after });
        await vi.waitFor(() => expect(seen.length).toBeGreaterThanOrEqual(wanted), { timeout: 30_000, interval: 2 });
        socket.socket.terminate();
        socket.socket.removeAllListeners('message');
      }
      await Promise.all(lanes);
      expect(seen.map(({ version }) => version)).toEqual(Array.from({ length: 100 }, (_, at) => at + 2));
      expect(seen.map(({ position }) => position)).toEqual(seen.map(({ position }) => position).toSorted());
    });

    test('catches up with all that was before, over SSE too', async () => {
      const all = await historian.allEvents();
      const [{ position: begin = '' } = {}] = all;
      const after = `${begin.slice(0, 13)}${'0'.repeat(16)}`;
      const sse = createSseClient({ url: shop.server.url, retryAttempts: 0 });
      const seen: EventView[] = [];
      for await (const { data } of sse.iterate<Appended>({ query: EVENTS_APPENDED, variables: { after } })) {
        expect(data?.eventsAppended.events.length).toBeLessThanOrEqual(500);
        seen.push(...(data?.eventsAppended.events ?? []));
        if (seen.length >= all.length) break;
      }
      sse.dispose();
      expect(seen.slice(0, all.length)).toEqual(all);
    });

    test('says how far it has read where nothing passes, at most once a second', async () => {
      const watching = follow({ filter: { actorId: 'nobody' } });
      const began = performance.now();
      await eventually(() => expect(watching.results).toHaveLength(1));
      const cartId = await historian.newCart();
      while (watching.results.length < 3) await historian.addItem(cartId, 'A', 1);
      expect(performance.now() - began).toBeGreaterThan(1_900);
      const positions = watching.results.map(({ data }) => data?.eventsAppended.position ?? '');
      expect(positions).toEqual([...new Set(positions)].sort());
      const { position = '' } = receiptOf(await historian.addItem(cartId, 'A', 1));
      await eventually(() =>
        expect((watching.results.at(-1)?.data?.eventsAppended.position ?? '') >= `${position}`).toBe(true),
      );
      expect(watching.results.flatMap(({ data }) => data?.eventsAppended.events ?? [])).toEqual([]);
      watching.stop();
    });

    test('refuses positions that were never given', async () => {
      const { position } = (await historian.events({}, { last: 1 })).nodes[0] ?? { position: '' };
      const epoch = position.slice(0, 12);
      for (const after of ['garbage', `${epoch}.${'9'.repeat(16)}`, `000000000000.${position.slice(13)}`]) {
        const watching = follow({ after });
        await watching.ended;
        expect(JSON.stringify([watching.error, watching.results])).toContain('POSITION_UNKNOWN');
      }
    });

    test('leaves nothing behind, however its watchers go', async () => {
      const { tail } = shop.server.engine;
      const before = tail.followerCount;
      const sockets = await Promise.all(
        Array.from({ length: 20 }, () => new HandSocket(shop.server.webSocketUrl).hello()),
      );
      for (const [at, socket] of sockets.entries()) {
        // Some wait for news, some for the second in which progress is told, some for nothing at all.
        if (at % 3 === 0) socket.subscribe('1', EVENTS_APPENDED, { filter: { actorId: 'nobody' } });
        else socket.subscribe('1', EVENTS_APPENDED);
        if (at % 3 > 0) await socket.answer('1');
      }
      await historian.newCart();
      await eventually(() => expect(tail.followerCount).toBeGreaterThan(before));
      for (const [at, { socket }] of sockets.entries()) {
        if (at % 2 === 0) socket.terminate();
        else socket.close();
      }
      await eventually(() => expect(tail.followerCount).toBe(before));
    });
  });

  describe('of a checkout', () => {
    /** From the cart to the door. */
    const story = async () => {
      const order = await shop.buyer.placed({ A: 1 });
      expect(await shop.buyer.pay(order.id)).toMatchObject({ __typename: 'OrderPayload' });
      await shop.buyer.untilOrder(order.id, { status: 'DELIVERED' });
      await eventually(async () => {
        const { nodes } = await historian.events({ aggregateId: order.id, types: ['OrderDelivered'] });
        expect(nodes).toHaveLength(1);
      });
      return order;
    };

    test('is traced across contexts: up to who paid, and down to all that followed', async () => {
      const { id } = await story();
      const [delivered] = (await historian.events({ aggregateId: id, types: ['OrderDelivered'] })).nodes;
      const eventId = delivered?.eventId;
      const told = await eventually(async () => {
        const found = await historian.causation({ eventId });
        // Mails are told of by events of their own, which come a little later.
        expect(found?.steps.map(nameOf).filter((it) => it === 'NotificationQueued')).toHaveLength(2);
        return found;
      });
      const path = told?.path.map(nameOf) ?? [];
      expect(told?.root).toMatchObject({ command: { name: 'PayOrder', causationId: null, actor: { kind: 'ADMIN' } } });
      // The carrier told of it, because of a shipment that it was asked for, because the order was paid.
      const main = ['PayOrder', 'OrderPaid', 'ShipmentRequested', 'ShipmentDelivered', 'OrderDelivered'];
      expect(path.filter((it) => main.includes(it))).toEqual(main);
      for (const [at, node] of (told?.path ?? []).slice(1).entries()) {
        const cause = told?.path[at];
        expect((node.command ?? node.event)?.causationId).toBe(cause && idOf(cause));
      }

      const steps = told?.steps ?? [];
      const ids = steps.map(idOf);
      expect(new Set(ids).size).toBe(ids.length);
      const all = steps.map(nameOf);
      for (const name of ['PaymentConfirmed', 'StockCommitted', 'OrderPaid', 'ShipmentPrepared', 'OrderDelivered'])
        expect(all).toContain(name);
      const contexts = new Set(steps.map(({ command, event }) => (command ?? event)?.aggregateType));
      for (const it of ['order', 'payment', 'shipment', 'stock', 'notification', 'checkout'])
        expect(contexts).toContain(it);
      // Each after its cause, one step below it.
      const depths = new Map(steps.map((step) => [idOf(step), step.depth]));
      for (const { depth, command, event } of steps.slice(1))
        expect(depths.get((command ?? event)?.causationId ?? '')).toBe(depth - 1);
      const ofRoot = steps.filter(({ depth }) => depth === 1).map(idOf);
      expect(told?.root.children.map(idOf)).toEqual(ofRoot);

      // The same tree, whatever of it is asked about.
      const { commandId = '' } = told?.root.command ?? {};
      for (const about of [commandId, commandNode(commandId), commandId.toUpperCase()]) {
        const again = await historian.causation({ commandId: about });
        expect(again?.steps.map(idOf).slice(0, 20)).toEqual(ids.slice(0, 20));
        expect(again?.path.map(idOf)).toEqual([commandId]);
      }
    });
  });

  test('tells the cause of one thing that there is', async () => {
    for (const about of [
      { eventId: randomUUID() },
      { commandId: randomUUID() },
      { eventId: 'nope' },
      { commandId: '\u0000' },
    ])
      expect(await historian.causation(about)).toBeNull();
    for (const about of [{}, { eventId: randomUUID(), commandId: randomUUID() }, { eventId: null }])
      expect(await codes(CAUSATION, about)).toEqual(['BAD_USER_INPUT']);
  });

  test('says where to read on what is too much for one tree', async () => {
    const correlation_id = randomUUID();
    const root = commandRow({ command_id: correlation_id });
    const caused = Array.from({ length: 10_000 }, () => commandRow({ correlation_id, causation_id: correlation_id }));
    await insertCommands(shop.server.database.log, root, ...caused.slice(1));
    const depths = 'query Q($commandId: ID) { causation(commandId: $commandId) { steps { depth } } }';
    const whole = await historian.read<{ causation: { steps: object[] } }>(depths, { commandId: correlation_id });
    expect(whole.causation.steps).toHaveLength(10_000);
    await insertCommands(shop.server.database.log, ...caused.slice(0, 1));
    const { errors } = await historian.ask(depths, { commandId: correlation_id });
    expect(errors).toMatchObject([{ extensions: { code: 'OPERATION_TOO_COSTLY' } }]);
    expect(errors?.[0]?.message).toContain(correlation_id);
  });

  test('may be asked for as a deep tree, but not for too much at once', async () => {
    const nested = (depth: number): string => (depth === 0 ? '' : `children { event { type } ${nested(depth - 1)} }`);
    const query = (depth: number) =>
      `query Q($id: ID) { causation(commandId: $id) { root { command { name } ${nested(depth)} } } }`;
    expect(await codes(query(10), { id: randomUUID() })).toBeUndefined();
    expect(await codes(query(17), { id: randomUUID() })).toEqual(['OPERATION_TOO_COSTLY']);
  });
});

describeServerStore('The log, live on two servers,', (kind) => {
  test('is the same on each, whoever appended', async () => {
    const store = await kind.create();
    const servers: LocalServer[] = [await startLocalServer(store), await startLocalServer(store)];
    try {
      const [here, there] = servers.map(({ url }) => new Historian(url));
      if (here === undefined || there === undefined) throw new Error('There are two.');
      await here.addProduct('A');
      const clients = servers.map(({ webSocketUrl }) => socketClient(webSocketUrl));
      const filter = { types: ['ItemAddedToCart'] };
      const watchings = clients.map((client) =>
        watch<Appended>(client, { query: EVENTS_APPENDED, variables: { filter } }),
      );
      await eventually(() => expect(watchings.map(({ results }) => results.length)).toEqual([1, 1]));
      const cartId = await here.newCart();
      for (let at = 0; at < 20; at += 1) await (at % 2 === 0 ? here : there).addItem(cartId, 'A', 1);
      const seen = watchings.map(
        ({ results }) =>
          () =>
            results.flatMap(({ data }) => data?.eventsAppended.events ?? []),
      );
      await eventually(() => expect(seen.map((events) => events().length)).toEqual([20, 20]));
      for (const events of seen)
        expect(events().map(({ version }) => version)).toEqual(Array.from({ length: 20 }, (_, at) => at + 2));
      await Promise.all(clients.map((client) => client.dispose()));
    } finally {
      for (const server of servers) await server.stop();
      await store.remove();
    }
  });
});

/** A cursor as a list would give it. */
function cursor(...values: readonly unknown[]): string {
  return Buffer.from(JSON.stringify(values)).toString('base64url');
}
