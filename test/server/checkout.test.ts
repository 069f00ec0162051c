import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { encodeGlobalId } from '../../src/graphql/global-id.ts';
import { ADDRESS, type Buyer, changesIn, EMAIL, onlyOne, orderOf, PAID_BY_NOW, watchOrder } from '../support/buyer.ts';
import { eventually, processNode, rawId, receiptOf } from '../support/operator.ts';
import { mendFaults, plantFault, skipPauses } from '../support/planted-faults.ts';
import { unknownCartId } from '../support/shop.ts';
import { describeEachStore } from '../support/stores.ts';
import { TradingShop } from '../support/trading-shop.ts';

const STORY = [
  'OrderPlaced',
  'OrderPaymentRequested',
  'PaymentRequested',
  'PaymentAuthorised',
  'PaymentConfirmed',
  'OrderPaid',
  'ShipmentRequested',
  'ShipmentPrepared',
  'OrderPreparationBegan',
  'ShipmentHandedOver',
  'OrderShipped',
  'ShipmentDelivered',
  'OrderDelivered',
];

describeEachStore('From a cart to goods that are delivered', (kind) => {
  let shop: TradingShop;
  let buyer: Buyer;

  beforeAll(async () => {
    shop = await TradingShop.open(kind);
    buyer = shop.buyer;
    await buyer.addProduct('A', { price: 250 });
    await buyer.addProduct('B', { price: 99 });
    await buyer.addProduct('SCARCE', { price: 10, stock: 3 });
  });
  afterEach(mendFaults);
  afterAll(() => shop.close());

  test('each step is seen live: every event once, in order, with what it made of the order', async () => {
    const cartId = await buyer.cartWith({ A: 2, B: 3 });
    const before = (await buyer.cart(cartId))?.position;
    const stock = await buyer.available('A');

    const checkedOut = await buyer.checkOut(cartId);
    expect(checkedOut).toMatchObject({
      __typename: 'OrderPayload',
      order: {
        status: 'PLACED',
        statusReason: null,
        lines: [
          { sku: 'A', quantity: 2, returned: 0, lineTotal: { amountMinor: 500 } },
          { sku: 'B', quantity: 3, returned: 0, lineTotal: { amountMinor: 297 } },
        ],
        subtotal: { amountMinor: 797, currency: 'GBP' },
        discounts: [],
        total: { amountMinor: 797, currency: 'GBP' },
        personalData: 'PRESENT',
        email: EMAIL,
        shippingAddress: ADDRESS,
        payments: [],
        shipments: [],
        process: { process: 'checkout', status: 'RUNNING' },
      },
      receipt: { status: 'SUCCEEDED', replayed: false },
    });
    const placed = orderOf(checkedOut);
    expect(Date.parse(placed.paymentDeadline ?? '')).toBeGreaterThan(Date.parse(placed.placedAt));
    await eventually(async () => expect((await buyer.cart(cartId))?.status).toBe('CHECKED_OUT'));
    expect(await buyer.available('A')).toBe((stock ?? 0) - 2);

    const watching = watchOrder(shop.client, placed.id);
    await eventually(() => expect(changesIn(watching)).toHaveLength(1));
    expect(await buyer.pay(placed.id)).toMatchObject({
      __typename: 'OrderPayload',
      order: {
        status: PAID_BY_NOW,
        payments: [{ status: 'CONFIRMED', amount: { amountMinor: 797, currency: 'GBP' } }],
      },
      receipt: { status: 'SUCCEEDED', replayed: false },
    });
    const prepared = await buyer.untilOrder(placed.id, { status: 'PREPARING', shipments: [{ status: 'PREPARED' }] });
    const delivered = await shop.deliver(prepared);
    expect(delivered).toMatchObject({
      total: { amountMinor: 797 },
      payments: [{ status: 'CONFIRMED', refunded: { amountMinor: 0 } }],
      shipments: [{ status: 'DELIVERED', carrier: 'Simulated Parcel', trackingCode: expect.any(String) }],
      paymentDeadline: null,
      process: { status: 'COMPLETED' },
    });
    await eventually(() => expect(changesIn(watching).at(-1)?.order.status).toBe('DELIVERED'));
    watching.stop();

    // The first shows how it stands; all that comes after it tells what happened since.
    const seen = changesIn(watching);
    expect(seen.flatMap(({ events }) => events.map(({ type }) => type))).toEqual(STORY.slice(1));
    expect(seen[0]).toMatchObject({ events: [], order: { status: 'PLACED' } });
    const reached = seen.map(({ order }) => order.status).filter((it, at, all) => it !== all[at - 1]);
    const statuses = ['PLACED', 'PAID', 'PREPARING', 'SHIPPED', 'DELIVERED'];
    expect(statuses.filter((it) => reached.includes(it))).toEqual(reached);
    for (const { order, position } of seen) expect(order.position).toBe(position);

    // Whoever comes back from before it all misses nothing.
    const resumed = watchOrder(shop.client, placed.id, before);
    await eventually(() => expect(changesIn(resumed)).not.toHaveLength(0));
    resumed.stop();
    const events = changesIn(resumed).flatMap((it) => it.events);
    expect(events.map(({ type }) => type)).toEqual(STORY);
    for (const of of ['order', 'payment', 'shipment']) {
      const versions = events.filter(({ aggregateType }) => aggregateType === of).map(({ version }) => version);
      expect(versions).toEqual(versions.map((_, at) => at + 1));
    }
    expect(delivered.version).toBe(events.filter(({ aggregateType }) => aggregateType === 'order').length);

    await eventually(async () => {
      const subjects = (await buyer.told(placed.id)).map(({ subject, to }) => [to, subject]);
      expect(subjects).toEqual([
        [EMAIL, expect.stringContaining(placed.number)],
        [EMAIL, expect.stringContaining('is on its way')],
        [EMAIL, expect.stringContaining('was delivered')],
      ]);
    });
    expect(await shop.atProvider(onlyOne(delivered.payments))).toMatchObject({
      status: 'captured',
      capturedMinor: 797,
    });
  });

  test('an order can be watched by the id that its client chose', async () => {
    const orderId = randomUUID();
    const cartId = await buyer.cartWith({ A: 1 });
    const order = orderOf(await buyer.checkOut(cartId, { newOrderId: orderId.toUpperCase() }));
    expect(rawId(order.id)).toBe(orderId);
    const another = await buyer.cartWith({ B: 1 });
    expect(await buyer.checkOut(another, { newOrderId: orderId })).toMatchObject({
      __typename: 'IllegalState',
      state: 'ID_TAKEN',
    });
    await eventually(async () => expect((await buyer.cart(another))?.status).toBe('OPEN'));
    expect(await buyer.checkOut(another)).toMatchObject({ __typename: 'OrderPayload' });
    expect(await buyer.order(order.id)).toMatchObject({ status: 'PLACED', lines: [{ sku: 'A', quantity: 1 }] });
  });

  describe('checkOutCart with the same commandId', () => {
    test('again gives the same order again', async () => {
      const cartId = await buyer.cartWith({ A: 1 });
      const commandId = randomUUID();
      const first = await buyer.checkOut(cartId, { commandId });
      const stock = await buyer.available('A');
      for (let time = 0; time < 2; time += 1) {
        const again = await buyer.checkOut(cartId, { commandId });
        expect(orderOf(again).id).toBe(orderOf(first).id);
        expect(again.receipt).toEqual({ ...receiptOf(first), replayed: true });
      }
      expect(await buyer.available('A')).toBe(stock);
    });

    test('many times at once is one order', async () => {
      const cartId = await buyer.cartWith({ A: 1 });
      const stock = await buyer.available('A');
      const input = { commandId: randomUUID() };
      const outcomes = await Promise.all(Array.from({ length: 5 }, () => buyer.checkOut(cartId, input)));
      expect(new Set(outcomes.map((it) => orderOf(it).id)).size).toBe(1);
      expect(outcomes.filter(({ receipt }) => receipt?.replayed === false)).toHaveLength(1);
      expect(await buyer.available('A')).toBe((stock ?? 0) - 1);
    });

    test('for something else is refused', async () => {
      const [cartId, other] = [await buyer.cartWith({ A: 1 }), await buyer.cartWith({ A: 1 })];
      const commandId = randomUUID();
      await buyer.checkOut(cartId, { commandId });
      expect((await buyer.checkOut(other, { commandId })).__typename).toBe('CommandIdReused');
      const elsewhere = { commandId, shippingAddress: { ...ADDRESS, city: 'Leeds' } };
      expect((await buyer.checkOut(cartId, elsewhere)).__typename).toBe('CommandIdReused');
      expect((await buyer.cart(other))?.status).toBe('OPEN');
    });

    test('keeps a refusal, too', async () => {
      const cartId = await buyer.newCart();
      const commandId = randomUUID();
      const refusal = { __typename: 'IllegalState', state: 'EMPTY' };
      expect(await buyer.checkOut(cartId, { commandId })).toMatchObject({ ...refusal, receipt: { replayed: false } });
      await buyer.addItem(cartId, 'A');
      expect(await buyer.checkOut(cartId, { commandId })).toMatchObject({ ...refusal, receipt: { replayed: true } });
      expect(await buyer.checkOut(cartId)).toMatchObject({ __typename: 'OrderPayload' });
    });
  });

  describe('A cart', () => {
    test('that is empty cannot be checked out, and one that is not there neither', async () => {
      expect(await buyer.checkOut(await buyer.newCart())).toMatchObject({ __typename: 'IllegalState', state: 'EMPTY' });
      const id = unknownCartId();
      expect(await buyer.checkOut(id)).toMatchObject({ __typename: 'NotFound', id });
    });

    test('that has moved on is not checked out as it was', async () => {
      const cartId = await buyer.cartWith({ A: 1 });
      const input = { commandId: randomUUID(), expectedVersion: 1 };
      expect(await buyer.checkOut(cartId, input)).toMatchObject({
        __typename: 'VersionConflict',
        actualVersion: 2,
        eventsSince: [{ type: 'ItemAddedToCart' }],
      });
      expect(await buyer.checkOut(cartId, { ...input, expectedVersion: 2 })).toMatchObject({
        __typename: 'OrderPayload',
        receipt: { replayed: false },
      });
    });

    test('cannot be changed while it is checked out, nor once it is an order', async () => {
      const cartId = await buyer.cartWith({ A: 1, B: 1 });
      const fault = await plantFault(
        shop.server.database,
        'events',
        `NEW.type = 'CheckoutStarted' AND NEW.data->>'cartId' = '${rawId(cartId)}'`,
      );
      const changes = [
        ['addItemToCart', { sku: 'A', quantity: 1 }],
        ['changeItemQuantity', { sku: 'A', quantity: 2 }],
        ['removeItemFromCart', { sku: 'A' }],
        ['clearCart', {}],
        ['applyCoupon', { code: 'NONE' }],
        ['checkOutCart', { email: EMAIL, shippingAddress: ADDRESS }],
      ] as const;
      const checkingOut = buyer.checkOut(cartId);
      await eventually(async () => expect((await buyer.cart(cartId))?.status).toBe('CHECKING_OUT'));
      for (const [field, input] of changes) {
        const outcome = await buyer.run(field, { cartId, ...input });
        expect(outcome, field).toMatchObject({ __typename: 'IllegalState', state: 'CHECKING_OUT' });
      }
      await fault.mend();
      await eventually(async () => {
        await skipPauses(shop.server);
        expect((await buyer.cart(cartId))?.status).toBe('CHECKED_OUT');
      });
      expect(orderOf(await checkingOut).lines.map(({ sku, quantity }) => [sku, quantity])).toEqual([
        ['A', 1],
        ['B', 1],
      ]);
      for (const [field, input] of changes) {
        const outcome = await buyer.run(field, { cartId, ...input });
        expect(outcome, field).toMatchObject({ __typename: 'IllegalState', state: 'CHECKED_OUT' });
      }
    });

    test('whose products are gone is open again, and nothing of it stays reserved', async () => {
      const [first, second] = [await buyer.cartWith({ SCARCE: 2 }), await buyer.cartWith({ A: 4, SCARCE: 2, B: 1 })];
      expect(await buyer.checkOut(first)).toMatchObject({ __typename: 'OrderPayload' });
      const stock = [await buyer.available('A'), await buyer.available('B')];
      const commandId = randomUUID();
      const refusal = { __typename: 'InsufficientStock', sku: 'SCARCE', requested: 2, available: 1 };
      expect(await buyer.checkOut(second, { commandId })).toMatchObject({ ...refusal, receipt: { replayed: false } });
      expect(await buyer.checkOut(second, { commandId })).toMatchObject({ ...refusal, receipt: { replayed: true } });
      await eventually(async () => expect(await buyer.cart(second)).toMatchObject({ status: 'OPEN', itemCount: 7 }));
      expect([await buyer.available('A'), await buyer.available('B')]).toEqual(stock);
      expect(await buyer.available('SCARCE')).toBe(1);
      await buyer.run('changeItemQuantity', { cartId: second, sku: 'SCARCE', quantity: 1 });
      expect(await buyer.checkOut(second)).toMatchObject({ __typename: 'OrderPayload' });
      expect(await buyer.available('SCARCE')).toBe(0);
    });
  });

  describe('checkOutCart with a schedule', () => {
    test('is accepted, done in the background, and its outcome is kept with its command', async () => {
      const cartId = await buyer.cartWith({ A: 1 });
      const orderId = randomUUID();
      const input = { commandId: randomUUID(), cartId, newOrderId: orderId, email: EMAIL, shippingAddress: ADDRESS };
      expect(await buyer.schedule('checkOutCart', input)).toMatchObject({
        __typename: 'CommandAccepted',
        receipt: { commandId: input.commandId, status: 'QUEUED' },
      });
      const command = await buyer.untilStatus(input.commandId, 'SUCCEEDED');
      expect(command).toMatchObject({ name: 'CheckOutCart', rejection: null });
      const order = await buyer.untilOrder(encodeGlobalId('Order', orderId), { status: 'PLACED', email: EMAIL });
      expect((await buyer.orders({ first: 1 })).nodes).toEqual([{ id: order.id, status: 'PLACED' }]);
      expect(await buyer.run('checkOutCart', input)).toMatchObject({
        __typename: 'OrderPayload',
        order: { id: order.id },
        receipt: { replayed: true },
      });
    });

    test('waits for its time, and is not done after its deadline', async () => {
      const [later, never] = [await buyer.cartWith({ A: 1 }), await buyer.cartWith({ A: 1 })];
      const input = { email: EMAIL, shippingAddress: ADDRESS };
      const dueAt = shop.clock.inMs(60_000);
      const first = await buyer.queue('checkOutCart', { ...input, cartId: later }, { dueAt });
      const dead = { dueAt, deadline: shop.clock.inMs(90_000) };
      const second = await buyer.queue('checkOutCart', { ...input, cartId: never }, dead);
      expect((await buyer.cart(later))?.status).toBe('OPEN');
      expect(await buyer.operate('cancelCommand', { target: second })).toMatchObject({ __typename: 'CommandPayload' });
      shop.clock.advance(61_000);
      expect(await buyer.untilStatus(first, 'SUCCEEDED')).toMatchObject({ name: 'CheckOutCart' });
      expect((await buyer.command(second))?.status).toBe('CANCELLED');
      expect((await buyer.cart(never))?.status).toBe('OPEN');
    });

    test('keeps a refusal with its command', async () => {
      const input = { cartId: await buyer.newCart(), email: EMAIL, shippingAddress: ADDRESS };
      const commandId = await buyer.queue('checkOutCart', input);
      expect(await buyer.untilStatus(commandId, 'REJECTED')).toMatchObject({ rejection: { code: 'ILLEGAL_STATE' } });
    });
  });

  test('of each thing there is a node', async () => {
    const prepared = await buyer.prepared({ A: 1 });
    const told = await eventually(async () => onlyOne(await buyer.told(prepared.id)));
    const ids = [prepared.id, onlyOne(prepared.payments).id, onlyOne(prepared.shipments).id, told.id];
    const process = processNode('checkout', rawId(prepared.id));
    expect(prepared.process?.id).toBe(process);
    const query = 'query Nodes($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }';
    const all = [...ids, prepared.customer?.id, process];
    const { nodes } = await buyer.read<{ nodes: unknown[] }>(query, { ids: all });
    const types = ['Order', 'Payment', 'Shipment', 'Notification', 'Customer', 'ProcessInstance'];
    expect(nodes).toEqual(all.map((id, at) => ({ __typename: types[at], id })));
    expect(await buyer.payment(ids[1] ?? '')).toMatchObject({ ...onlyOne(prepared.payments) });
    expect(await buyer.shipment(ids[2] ?? '')).toMatchObject({ ...onlyOne(prepared.shipments) });
    const unknown = types.slice(0, 5).map((type) => encodeGlobalId(type, randomUUID()));
    expect(await buyer.read(query, { ids: unknown })).toEqual({ nodes: unknown.map(() => null) });
  });

  test('orders are listed page by page, forwards and backwards, and by their status', async () => {
    const first = (await buyer.placed({ A: 1 })).id;
    const second = (await buyer.placed({ A: 1 })).id;
    const third = (await buyer.placed({ A: 1 })).id;
    await buyer.cancel(second);
    const newest = await buyer.orders({ first: 2 });
    expect(newest.nodes.map(({ id }) => id)).toEqual([third, second]);
    expect(newest.pageInfo).toMatchObject({ hasNextPage: true, hasPreviousPage: false });
    const next = await buyer.orders({ first: 1, after: newest.pageInfo.endCursor });
    expect(next.nodes.map(({ id }) => id)).toEqual([first]);
    const back = await buyer.orders({ last: 2, before: next.pageInfo.startCursor });
    expect(back.nodes.map(({ id }) => id)).toEqual([third, second]);
    expect((await buyer.orders({ first: 1, status: ['CANCELLED'] })).nodes[0]).toEqual({
      id: second,
      status: 'CANCELLED',
    });
    expect((await buyer.orders({ first: 100, status: [] })).nodes).toEqual([]);
    expect(newest.totalCount).toBeGreaterThanOrEqual(3);
    for (const wrong of [{ first: -1 }, { after: 'nonsense' }]) {
      const query = 'query Q($first: Int, $after: String) { orders(first: $first, after: $after) { nodes { id } } }';
      const { errors } = await buyer.ask(query, wrong);
      expect(errors?.[0]?.extensions?.code, JSON.stringify(wrong)).toBe('BAD_USER_INPUT');
    }
  });

  describe('Bad input', () => {
    const long = 'x'.repeat(501);
    const address = (rest: object) => ({ shippingAddress: { ...ADDRESS, ...rest } });
    const wrong: readonly [string, object, readonly string[]][] = [
      ['an email that is none', { email: 'ada' }, ['email']],
      ['an email that is too long', { email: `${'a'.repeat(250)}@example.com` }, ['email']],
      ['an email with a line break', { email: 'ada@example.com\r\nBcc: eve@example.com' }, ['email']],
      ['an empty city', address({ city: ' ' }), ['shippingAddress', 'city']],
      ['a street that is too long', address({ street: long }), ['shippingAddress', 'street']],
      ['a name with U+0000', address({ name: 'A\u0000' }), ['shippingAddress', 'name']],
      ['an order id that is none', { newOrderId: 'mine' }, ['newOrderId']],
      ['a commandId that is none', { commandId: 'mine' }, ['commandId']],
    ];

    test.each(wrong)('%s is refused', async (_, input, path) => {
      const cartId = await buyer.cartWith({ A: 1 });
      const outcome = await buyer.checkOut(cartId, { ...input });
      expect(outcome).toMatchObject({ __typename: 'ValidationFailed', fields: [{ path }], receipt: null });
      // What is personal is not repeated in what is said about it.
      expect(outcome.message).not.toMatch(/ada|eve|xxx/);
      expect((await buyer.cart(cartId))?.status).toBe('OPEN');
    });

    test('ids of other types are refused by each mutation', async () => {
      const { id } = await buyer.placed({ A: 1 });
      const cartId = await buyer.cartWith({ A: 1 });
      const invalid = (path: string) => ({ __typename: 'ValidationFailed', fields: [{ path: [path] }] });
      expect(await buyer.checkOut(id)).toMatchObject(invalid('cartId'));
      for (const wrongId of [cartId, 'nope', '', rawId(id)]) {
        expect(await buyer.pay(wrongId)).toMatchObject(invalid('orderId'));
        expect(await buyer.cancel(wrongId)).toMatchObject(invalid('orderId'));
        expect(await buyer.returnItems(wrongId, { A: 1 })).toMatchObject(invalid('orderId'));
        const step = { shipmentId: wrongId, to: 'IN_TRANSIT' };
        expect(await buyer.run('advanceShipment', step)).toMatchObject(invalid('shipmentId'));
      }
      const query = 'query Q($id: ID!) { order(id: $id) { id } }';
      expect((await buyer.ask(query, { id: cartId })).errors?.[0]?.extensions?.code).toBe('BAD_USER_INPUT');
    });

    test('tokens, reasons and lines that cannot be are refused', async () => {
      const { id } = await buyer.placed({ A: 1 });
      const invalid = (...path: string[]) => ({ __typename: 'ValidationFailed', fields: [{ path }] });
      expect(await buyer.pay(id, '')).toMatchObject(invalid('paymentToken'));
      // The provider takes no more than 200.
      expect(await buyer.pay(id, `tok_ok_${'x'.repeat(194)}`)).toMatchObject(invalid('paymentToken'));
      const tooLong = await buyer.pay(id, long);
      expect(tooLong).toMatchObject(invalid('paymentToken'));
      expect(JSON.stringify(tooLong)).not.toContain('xxx');
      for (const reason of ['', '  ', long])
        expect(await buyer.cancel(id, { reason })).toMatchObject(invalid('reason'));
      expect(await buyer.returnItems(id, {})).toMatchObject(invalid('lines'));
      expect(await buyer.returnItems(id, { A: 0 })).toMatchObject(invalid('lines', '0', 'quantity'));
      const twice = { lines: [1, 1].map((quantity) => ({ sku: 'A', quantity })) };
      expect(await buyer.returnItems(id, {}, twice)).toMatchObject(invalid('lines'));
      expect(await buyer.order(id)).toMatchObject({ status: 'PLACED', payments: [] });
    });

    test('an order that is not there is not found', async () => {
      const id = encodeGlobalId('Order', randomUUID());
      for (const outcome of [await buyer.pay(id), await buyer.cancel(id), await buyer.returnItems(id, { A: 1 })]) {
        expect(outcome).toMatchObject({ __typename: 'NotFound', id });
      }
      expect(await buyer.order(id)).toBeNull();
      const watching = watchOrder(shop.client, id);
      await watching.ended;
      expect(JSON.stringify(watching.error ?? watching.results)).toContain('NOT_FOUND');
    });
  });
});
