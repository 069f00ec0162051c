import { randomUUID } from 'node:crypto';
import { createClient as createSseClient } from 'graphql-sse';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { encodeGlobalId } from '../../src/graphql/global-id.ts';
import { issueToken, type Role } from '../../src/server/authentication.ts';
import { Buyer, onlyOne } from '../support/buyer.ts';
import { eventually, processNode, rawId } from '../support/operator.ts';
import type { Order } from '../support/order-views.ts';
import { READ_AUDIT, type ReadView, readsOf } from '../support/read-audits.ts';
import { startServerOver } from '../support/servers.ts';
import { Shop } from '../support/shop.ts';
import { socketClient, watch } from '../support/sockets.ts';
import { describeEachStore } from '../support/stores.ts';
import { TradingShop } from '../support/trading-shop.ts';

const SECRET = 'a secret of at least thirty-two bytes';

describeEachStore('Who reads what, where that is recorded,', (kind) => {
  let shop: TradingShop;
  let admin: Shop;
  let order: Order;
  /** Whoever asks, each time by another name: so what they read is found apart. */
  const as = async (role: Role, name = `${role}-${randomUUID()}`) =>
    Object.assign(new Buyer(shop.server.url, await issueToken(SECRET, role, name, 3_600)), { name });

  /** What somebody read, oldest first, as `field outcome type:id`. */
  async function readBy(name: string): Promise<string[]> {
    await shop.server.readAudit.flush();
    return (await readsOf(admin, { actorId: name })).nodes.map(told).reverse();
  }

  beforeAll(async () => {
    shop = await TradingShop.open(kind, {
      settings: { authMode: 'jwt', jwtSecret: SECRET, auditReads: true },
      pace: { preparedMs: 20, inTransitMs: 20 },
    });
    admin = new Shop(shop.server.url, await issueToken(SECRET, 'admin', 'root', 3_600));
    const staff = await as('staff');
    for (const sku of ['A', 'B']) await staff.addProduct(sku);
    const carla = await as('customer', 'carla');
    const { id } = await carla.placed({ A: 2 });
    expect(await carla.pay(id)).toMatchObject({ __typename: 'OrderPayload' });
    order = await staff.untilOrder(id, { status: 'DELIVERED' });
  });
  afterAll(() => shop.close());

  const ofOrder = () => `order:${rawId(order.id)}`;

  test('is there with the aggregate, the person, the field, and what the operation was called', async () => {
    const anna = await as('staff');
    const correlationId = randomUUID();
    const asked = new Buyer(shop.server.url, anna.headers['authorization']?.slice(7), correlationId);
    await asked.read('query LookItUp($id: ID!) { mine: order(id: $id) { number total { amountMinor } } }', {
      id: order.id,
    });
    await shop.server.readAudit.flush();
    const { nodes, totalCount } = await readsOf(admin, { actorId: anna.name });
    expect(nodes).toEqual([
      {
        at: expect.any(String),
        actor: { kind: 'STAFF', id: anna.name },
        operation: 'LookItUp',
        field: 'Query.order',
        outcome: 'SHOWN',
        aggregateType: 'order',
        aggregateId: rawId(order.id),
        correlationId,
      },
    ]);
    expect(totalCount).toBe(1);
    expect(Math.abs(Date.parse(nodes[0]?.at ?? '') - Date.now())).toBeLessThan(60_000);
  });

  describe('each way to it', () => {
    const PAYMENT = () => `payment:${rawId(onlyOne(order.payments).id)}`;
    const SHIPMENT = () => `shipment:${rawId(onlyOne(order.shipments).id)}`;

    test('by its id, and by links from there', async () => {
      const anna = await as('staff');
      await anna.read(
        'query($id: ID!) { order(id: $id) { customer { email } payments { status } process { status } } }',
        {
          id: order.id,
        },
      );
      expect((await readBy(anna.name)).sort()).toEqual(
        [ofOrder(), 'customer:carla', PAYMENT(), `checkout:${rawId(order.id)}`]
          .map((it) => `Query.order SHOWN ${it}`)
          .sort(),
      );
    });

    test('by node and nodes, of whatever type, and what is not there is told apart', async () => {
      const anna = await as('staff');
      const nothing = encodeGlobalId('Order', randomUUID());
      const process = processNode('checkout', rawId(order.id));
      const product = encodeGlobalId('Product', 'A');
      await anna.read('query($ids: [ID!]!, $id: ID!) { nodes(ids: $ids) { id } node(id: $id) { id } }', {
        ids: [order.id, nothing, product],
        id: process,
      });
      expect((await readBy(anna.name)).sort()).toEqual([
        `Query.node SHOWN checkout:${rawId(order.id)}`,
        `Query.nodes NOTHING order:${rawId(nothing)}`,
        `Query.nodes SHOWN ${ofOrder()}`,
        'Query.nodes SHOWN product:A',
      ]);
    });

    test('as of an earlier point, and by the id that it has then', async () => {
      const anna = await as('staff');
      const past = await anna.read<{ orderAsOf: { id: string } }>(
        'query($id: ID!) { orderAsOf(id: $id, asOf: { version: 1 }) { id } }',
        { id: order.id },
      );
      await anna.read('query($id: ID!) { node(id: $id) { id } }', { id: past.orderAsOf.id });
      expect(await readBy(anna.name)).toEqual([`Query.orderAsOf SHOWN ${ofOrder()}`, `Query.node SHOWN ${ofOrder()}`]);
    });

    test('in a list: each that it showed, and that it was asked for', async () => {
      const anna = await as('staff');
      await anna.read('{ orders(first: 5) { nodes { number } edges { node { status } } } }');
      await anna.read('{ orders(first: 5, status: [RETURNED]) { nodes { number } } }');
      await anna.read('{ products { nodes { name } } }');
      expect(await readBy(anna.name)).toEqual([
        'Query.orders SHOWN',
        `Query.orders SHOWN ${ofOrder()}`,
        'Query.orders SHOWN',
        // What everybody may see is recorded for those who ask for it by its id.
        'Query.products SHOWN',
      ]);
    });

    test('as events, as a difference, as a cause, and as a command', async () => {
      const anna = await as('staff');
      await anna.read(
        `query($id: ID!) {
          events(filter: { aggregateId: $id, aggregateType: "order" }) { nodes { type } }
          diff(aggregateType: "order", aggregateId: $id, from: { version: 0 }) { path }
          commands(first: 1, filter: { name: ["PlaceOrder"] }) { nodes { name } }
        }`,
        { id: order.id },
      );
      const [placed] = (
        await anna.read<{ commands: { nodes: { commandId: string }[] } }>(
          '{ commands(first: 1, filter: { name: ["PlaceOrder"] }) { nodes { commandId } } }',
        )
      ).commands.nodes;
      const commandId = placed?.commandId ?? '';
      const bob = await as('staff');
      await bob.read(
        'query($id: ID!) { command(commandId: $id) { name } causation(commandId: $id) { path { command { name } } } }',
        {
          id: commandId.toUpperCase(),
        },
      );
      const byAnna = await readBy(anna.name);
      expect(byAnna).toEqual(
        expect.arrayContaining([
          `Query.events SHOWN ${ofOrder()}`,
          `Query.diff SHOWN ${ofOrder()}`,
          `Query.commands SHOWN ${ofOrder()}`,
          `Query.commands SHOWN command:${commandId}`,
        ]),
      );
      expect(await readBy(bob.name)).toEqual(
        expect.arrayContaining([
          `Query.command SHOWN command:${commandId}`,
          `Query.command SHOWN ${ofOrder()}`,
          `Query.causation SHOWN ${ofOrder()}`,
        ]),
      );
      expect(new Set(byAnna).size).toBeLessThanOrEqual(byAnna.length);
    });

    test('as all that is kept about somebody, and by a mail address, which is not recorded', async () => {
      const anna = await as('staff');
      const customer = encodeGlobalId('Customer', 'carla');
      await anna.read('query($id: ID!) { exportCustomer(id: $id) }', { id: customer });
      await anna.read('{ customersByEmail(email: "ada@example.com") { id } }');
      await anna.read('{ customersByEmail(email: "nobody@example.com") { id } }');
      expect(await readBy(anna.name)).toEqual([
        'Query.exportCustomer SHOWN customer:carla',
        'Query.customersByEmail SHOWN customer:carla',
        'Query.customersByEmail NOTHING',
      ]);
    });

    test('in the answer of a mutation', async () => {
      const anna = await as('staff');
      const outcome = await anna.returnItems(order.id, { A: 1 }, { reason: 'broken' });
      expect(outcome.__typename).toBe('OrderPayload');
      expect(await readBy(anna.name)).toEqual(
        expect.arrayContaining([`Mutation.returnItems SHOWN ${ofOrder()}`, `Mutation.returnItems SHOWN ${SHIPMENT()}`]),
      );
    });

    test('in a live view, over WebSocket and over SSE: once, however long it lasts', async () => {
      const anna = await as('staff');
      const cartId = await anna.newCart();
      const authorization = anna.headers['authorization'];
      const query = 'subscription Follow($id: ID!) { cartChanged(id: $id) { cart { itemCount } events { type } } }';
      const client = socketClient(shop.server.webSocketUrl, authorization);
      const [bob, view] = [await as('staff'), watch(client, { query, variables: { id: cartId } })];
      // Another watcher of the same row, for whom nothing is executed a second time.
      const second = watch(client, { query, variables: { id: cartId } });
      const sse = createSseClient({ url: shop.server.url, retryAttempts: 0, headers: bob.headers });
      const told: unknown[] = [];
      const stop = sse.subscribe(
        { query, variables: { id: cartId } },
        { next: (it) => told.push(it), error: () => {}, complete: () => {} },
      );
      await eventually(() => expect([view.results.length, second.results.length, told.length]).toEqual([1, 1, 1]));
      for (let quantity = 1; quantity <= 3; quantity += 1) await anna.addItem(cartId, 'B', quantity);
      await eventually(() => expect(JSON.stringify(told.at(-1))).toContain('"itemCount":6'));
      stop();
      await client.dispose();
      sse.dispose();
      const shown = `Subscription.cartChanged SHOWN cart:${rawId(cartId)}`;
      const follows = (reads: readonly string[]) => reads.filter((it) => it.startsWith('Subscription'));
      expect(follows(await readBy(anna.name))).toEqual([shown, shown]);
      expect(await readBy(bob.name)).toEqual([shown]);
    });

    test('in the log as it grows, and by who follows a command or a projection', async () => {
      const anna = await as('staff');
      const client = socketClient(shop.server.webSocketUrl, anna.headers['authorization']);
      const log = watch(client, { query: 'subscription Log { eventsAppended { events { type } } }' });
      const carts = watch(client, { query: 'subscription { projectionChanged(name: "cart.carts") { lag } }' });
      await eventually(() => expect([log.results.length, carts.results.length]).toEqual([1, 1]));
      const bob = await as('customer');
      const cartId = await bob.newCart();
      await eventually(() => expect(JSON.stringify(log.results)).toContain('CartCreated'));
      await client.dispose();
      expect(await readBy(anna.name)).toEqual(
        expect.arrayContaining([
          'Subscription.eventsAppended SHOWN',
          'Subscription.projectionChanged SHOWN projection:cart.carts',
          `Subscription.eventsAppended SHOWN cart:${rawId(cartId)}`,
        ]),
      );
    });
  });

  describe('also says', () => {
    test.each([
      ['order', 'NOTHING'],
      ['cart', 'NOTHING'],
    ])('that somebody asked for the %s of another, and was shown nothing', async (field, outcome) => {
      const eve = await as('customer');
      const cartId = await (await as('customer')).newCart();
      const id = field === 'order' ? order.id : cartId;
      expect(await eve.read(`query($id: ID!) { ${field}(id: $id) { id } }`, { id })).toEqual({ [field]: null });
      expect(await readBy(eve.name)).toEqual([`Query.${field} ${outcome} ${field}:${rawId(id)}`]);
    });

    test('what was refused, with what it was about, over each transport', async () => {
      const eve = await as('customer');
      const client = socketClient(shop.server.webSocketUrl, eve.headers['authorization']);
      const filter = `filter: { aggregateId: "${order.id}" }`;
      const log = watch(client, { query: `subscription { eventsAppended(${filter}) { position } }` });
      const live = watch(client, { query: `subscription { orderChanged(id: "${order.id}") { position } }` });
      await Promise.all([log.ended, live.ended]);
      await client.dispose();
      expect((await eve.ask(`{ events(${filter}) { nodes { type } } }`)).errors?.[0]?.extensions?.code).toBe(
        'FORBIDDEN',
      );
      expect((await eve.ask('{ readAudit { nodes { field } } }')).errors?.[0]?.extensions?.code).toBe('FORBIDDEN');
      expect((await eve.ask('{ coupon(code: "ten") { uses } }')).data).toEqual({ coupon: null });
      const reads = await readBy(eve.name);
      expect(reads.sort()).toEqual([
        'Query.coupon REFUSED coupon:TEN',
        `Query.events REFUSED ${ofOrder()}`,
        'Query.readAudit REFUSED',
        `Subscription.eventsAppended REFUSED ${ofOrder()}`,
        `Subscription.orderChanged NOTHING ${ofOrder()}`,
      ]);
    });

    test('what could not be answered', async () => {
      const anna = await as('staff');
      const late = await anna.ask('query($id: ID!) { order(id: $id, minPosition: "nonsense") { id } }', {
        id: order.id,
      });
      expect(late.errors?.[0]?.extensions?.code).toBe('POSITION_UNKNOWN');
      expect(await readBy(anna.name)).toEqual([`Query.order FAILED ${ofOrder()}`]);
    });

    test('who looks at who looked', async () => {
      const root = await as('admin');
      await readsOf(root, { aggregateId: order.id });
      expect(await readBy(root.name)).toEqual([`Query.readAudit SHOWN ${ofOrder()}`]);
    });
  });

  test('is read page by page, by aggregate, by person and by time', async () => {
    const anna = await as('staff');
    for (let i = 0; i < 5; i += 1)
      await anna.read(`query Turn${i}($id: ID!) { order(id: $id) { id } }`, { id: order.id });
    await shop.server.readAudit.flush();
    const filter = { actorId: anna.name, aggregateId: order.id };
    const first = await readsOf(admin, filter, { first: 2 });
    expect(first.nodes.map((it) => it.operation)).toEqual(['Turn4', 'Turn3']);
    const next = await readsOf(admin, filter, { first: 2, after: first.pageInfo.endCursor });
    expect(next.nodes.map((it) => it.operation)).toEqual(['Turn2', 'Turn1']);
    const last = await readsOf(admin, filter, { last: 2 });
    expect(last.nodes.map((it) => it.operation)).toEqual(['Turn1', 'Turn0']);
    expect([first.totalCount, first.pageInfo.hasNextPage, last.pageInfo.hasNextPage]).toEqual([5, true, false]);
    const operations = async (more: object) => (await readsOf(admin, { actorId: anna.name, ...more })).nodes.length;
    expect(await operations({ aggregateType: 'order', aggregateId: rawId(order.id) })).toBe(5);
    expect(await operations({ aggregateType: 'cart' })).toBe(0);
    const at = first.nodes[0]?.at;
    const [from, to] = [
      (await readsOf(admin, { ...filter, from: at })).nodes,
      (await readsOf(admin, { ...filter, to: at })).nodes,
    ];
    expect(from.length + to.length).toBe(5);
    expect(from[0]?.operation).toBe('Turn4');
    const wrong = await admin.ask(READ_AUDIT, { first: 1, after: 'nonsense' });
    expect(wrong.errors?.[0]?.extensions?.code).toBe('BAD_USER_INPUT');
  });

  test.each(['staff', 'customer', 'guest', 'service'] as const)('is not for %s', async (role) => {
    const asker = await as(role);
    expect((await asker.ask(READ_AUDIT)).errors?.[0]?.extensions?.code).toBe('FORBIDDEN');
  });

  test('is told to the person themselves, without the names of others', async () => {
    const carla = await as('customer', 'carla');
    const anna = await as('staff');
    await anna.read('query($id: ID!) { order(id: $id) { email } }', { id: order.id });
    await carla.read('query($id: ID!) { order(id: $id) { email } }', { id: order.id });
    await shop.server.readAudit.flush();
    const { exportCustomer } = await carla.read<{ exportCustomer: { reads: Record<string, string>[] } }>(
      'query($id: ID!) { exportCustomer(id: $id) }',
      { id: encodeGlobalId('Customer', 'carla') },
    );
    const about = { aggregateType: 'order', aggregateId: rawId(order.id), field: 'Query.order' };
    expect(exportCustomer.reads).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ ...about, by: 'THEMSELVES' }),
        expect.objectContaining({ ...about, by: 'STAFF' }),
      ]),
    );
    expect(JSON.stringify(exportCustomer.reads)).not.toContain(anna.name);
  });

  test('is how the health of the server says that it is recorded, and whether any is lost', async () => {
    const ready = (await (await fetch(new URL('/health/ready', shop.server.url))).json()) as { reads: object };
    expect(ready.reads).toMatchObject({ recorded: true, lost: 0 });
  });

  test('is not recorded by a server that was not asked to, which still shows what there is', async () => {
    if (kind.engine === 'pglite') return;
    const silent = await startServerOver(shop.server.database, { authMode: 'jwt', jwtSecret: SECRET });
    const anna = await as('staff');
    const there = new Shop(`http://127.0.0.1:${silent.port}/graphql`, anna.headers['authorization']?.slice(7));
    await there.read('query($id: ID!) { order(id: $id) { id } }', { id: order.id });
    await silent.stop();
    expect(await readBy(anna.name)).toEqual([]);
    expect((await readsOf(admin, {}, { first: 1 })).nodes).toHaveLength(1);
  });

  test('never holds an answer up: it is written behind it', async () => {
    const anna = await as('staff');
    let write = () => {};
    const insert = vi.spyOn(shop.server.readAudit.records, 'insert').mockImplementationOnce(
      () =>
        new Promise((resolve) => {
          write = resolve;
        }),
    );
    const { data } = await anna.ask<{ order: { id: string } }>('query($id: ID!) { order(id: $id) { id } }', {
      id: order.id,
    });
    expect(data?.order.id).toBe(order.id);
    await vi.waitFor(() => expect(insert).toHaveBeenCalled());
    write();
    insert.mockRestore();
  });
});

function told({ field, outcome, aggregateType, aggregateId }: ReadView): string {
  return [field, outcome, ...(aggregateType === null ? [] : [`${aggregateType}:${aggregateId}`])].join(' ');
}
