import { afterAll, beforeAll, expect, test } from 'vitest';
import { changesIn, watchOrder } from '../support/buyer.ts';
import { eventually, rawId } from '../support/operator.ts';
import { ORDER, type Order } from '../support/order-views.ts';
import { diff, orderAsOf, QUERIES, refusal } from '../support/past.ts';
import { describeEachStore } from '../support/stores.ts';
import { TradingShop } from '../support/trading-shop.ts';

/** All that an order shows but what is not of that point: ids, who the customer is, and the process, which are of now. */
function shown({ customer: _, process: __, ...order }: Order): unknown {
  return JSON.parse(JSON.stringify(order, (name, value: unknown) => (name === 'id' ? undefined : value)));
}

const versionsOf = (order: Order) => Array.from({ length: order.version }, (_, at) => at + 1);

describeEachStore('The past of an order', (kind) => {
  let shop: TradingShop;
  let order: Order;
  let lives: readonly Order[];

  beforeAll(async () => {
    shop = await TradingShop.open(kind);
    const { buyer } = shop;
    await buyer.addProduct('LAMP', { price: 500, stock: 10 });
    const placed = await buyer.placed({ LAMP: 2 });
    const live = watchOrder(shop.client, placed.id);
    await eventually(() => expect(live.results).not.toHaveLength(0));
    await buyer.pay(placed.id, 'tok_decline');
    await buyer.pay(placed.id);
    const prepared = await buyer.untilOrder(placed.id, { status: 'PREPARING', shipments: [{ status: 'PREPARED' }] });
    order = await shop.deliver(prepared);
    await eventually(() => expect(live.results.at(-1)?.data?.orderChanged.order.status).toBe('DELIVERED'));
    live.stop();
    lives = changesIn(live).map((it) => it.order);
  }, 60_000);
  afterAll(() => shop.close());

  const node = async (id: string) =>
    (
      await shop.buyer.read<{ node: Order | null }>(
        `query Node($id: ID!) { node(id: $id) { ... on Order { ${ORDER} } } }`,
        { id },
      )
    ).node;

  test('is what its watchers were shown, with the payments and shipments of then', async () => {
    expect(lives.length).toBeGreaterThan(4);
    for (const live of lives) {
      const id = Buffer.from(`Order@${Number(live.position.split('.')[1])}:${rawId(order.id)}`).toString('base64url');
      const past = await node(id);
      expect(past?.id).toBe(id);
      expect(past && shown(past)).toEqual(shown(live));
    }
    const now = await orderAsOf(shop.buyer, order.id, { at: '2999-01-01T00:00:00Z' });
    expect(now && shown(now)).toEqual(shown(order));
  });

  test('has, at each of its versions, what had happened by the position of that event', async () => {
    const statuses: string[] = [];
    const positions: string[] = [];
    for (const version of versionsOf(order)) {
      const past = await orderAsOf(shop.buyer, order.id, { version });
      expect(past).toMatchObject({ version });
      statuses.push(past?.status ?? '');
      positions.push(past?.position ?? '');
    }
    expect(statuses[0]).toBe('PLACED');
    expect([...new Set(statuses)]).toEqual(['PLACED', 'PAID', 'PREPARING', 'SHIPPED', 'DELIVERED']);
    expect(positions.toSorted()).toEqual(positions);
    expect(await orderAsOf(shop.buyer, order.id, { version: 1 })).toMatchObject({ payments: [], shipments: [] });
    expect(await orderAsOf(shop.buyer, order.id, { version: 0 })).toBeNull();
    expect(await orderAsOf(shop.buyer, order.id, { version: order.version + 1 })).toBeNull();
  });

  test('has ids of its own for all that is in it, which lead back to it', async () => {
    const versions = await Promise.all(
      versionsOf(order).map((version) => orderAsOf(shop.buyer, order.id, { version })),
    );
    const found = versions.flatMap((it) => (it === null ? [] : [it]));
    const ids = (it: Order) => [it.id, ...it.payments.map(({ id }) => id), ...it.shipments.map(({ id }) => id)];
    const all = [order, ...found].flatMap(ids);
    expect(new Set(all).size).toBe(all.length);
    const before = found.find(({ payments, status }) => status === 'PLACED' && payments.length > 0);
    const past = before?.payments[0];
    expect(past?.status).not.toBe(order.payments.at(-1)?.status);
    expect(await shop.buyer.payment(past?.id ?? '')).toMatchObject({ ...past });
    const shipment = found.at(-1)?.shipments[0];
    expect(await shop.buyer.shipment(shipment?.id ?? '')).toMatchObject({ ...shipment });
    expect(await shop.buyer.payment(order.payments[0]?.id ?? '')).toMatchObject({ ...order.payments[0] });
  });

  test('cannot be paid, cancelled or watched', async () => {
    const { buyer } = shop;
    const past = (await orderAsOf(buyer, order.id, { version: 1 }))?.id ?? '';
    const told = [
      expect.objectContaining({
        path: ['orderId'],
        message: expect.stringContaining('send the id of the Order itself'),
      }),
    ];
    expect(await buyer.pay(past)).toMatchObject({ __typename: 'ValidationFailed', fields: told });
    expect(await buyer.cancel(past)).toMatchObject({ __typename: 'ValidationFailed', fields: told });
    const live = watchOrder(shop.client, past);
    await live.ended;
    expect(JSON.stringify([live.error, live.results])).toContain('BAD_USER_INPUT');
    expect(await refusal(buyer, 'query Order($id: ID!) { order(id: $id) { id } }', { id: past })).toMatchObject({
      code: 'BAD_USER_INPUT',
    });
    expect(await refusal(buyer, QUERIES.orderAsOf, { id: order.id, asOf: {} })).toMatchObject({
      code: 'BAD_USER_INPUT',
    });
  });

  test('is compared, as is that of its payment, its stock, and the process that took it through', async () => {
    const changes = async (aggregateType: string, aggregateId: string) =>
      Object.fromEntries(
        (await diff(shop.buyer, { aggregateType, aggregateId, from: { version: 0 } })).map(({ path, to }) => [
          path,
          to,
        ]),
      );
    expect(await changes('order', order.id)).toMatchObject({ '/status': 'delivered' });
    expect(await changes('payment', order.payments.at(-1)?.id ?? '')).toMatchObject({ '/status': 'confirmed' });
    const stock = await changes('stock', 'LAMP');
    expect(stock).toMatchObject({
      '/onHand': 8,
      '/orders': { [rawId(order.id)]: { status: 'committed', quantity: 2 } },
    });
    expect(Object.keys(stock).some((path) => path.startsWith('/expiries'))).toBe(false);
    expect(await changes('checkout', order.id)).toMatchObject({ '/phase': 'delivered' });
  });
});
