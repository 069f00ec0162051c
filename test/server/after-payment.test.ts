import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeGlobalId } from '../../src/graphql/global-id.ts';
import { type Buyer, onlyOne } from '../support/buyer.ts';
import { eventually, receiptOf } from '../support/operator.ts';
import type { Order } from '../support/order-views.ts';
import { describeEachStore } from '../support/stores.ts';
import { TradingShop } from '../support/trading-shop.ts';

const REFUND_RETRY_MS = 61_000;

describeEachStore('An order', (kind) => {
  let shop: TradingShop;
  let buyer: Buyer;

  beforeAll(async () => {
    shop = await TradingShop.open(kind);
    buyer = shop.buyer;
    await buyer.addProduct('A', { price: 500 });
    await buyer.addProduct('B', { price: 333 });
    await buyer.run('addCoupon', { code: 'TENTH', label: 'A tenth', percent: 10 });
  });
  afterAll(() => shop.close());

  async function delivered(pieces: Readonly<Record<string, number>>, coupon?: string): Promise<Order> {
    const cartId = await buyer.cartWith(pieces);
    if (coupon !== undefined) await buyer.run('applyCoupon', { cartId, code: coupon });
    const { order } = await buyer.checkOut(cartId);
    const id = order?.id ?? '';
    await buyer.pay(id);
    return shop.deliver(await buyer.untilOrder(id, { status: 'PREPARING', shipments: [{ status: 'PREPARED' }] }));
  }

  const untilAvailable = (sku: string, pieces: number | undefined) =>
    eventually(async () => expect(await buyer.available(sku)).toBe(pieces));

  describe('that is cancelled', () => {
    test('before it is paid frees what was reserved', async () => {
      const stock = await buyer.available('A');
      const { id } = await buyer.placed({ A: 2 });
      const commandId = randomUUID();
      const first = await buyer.cancel(id, { commandId });
      expect(first).toMatchObject({
        __typename: 'OrderPayload',
        receipt: { status: 'SUCCEEDED', replayed: false },
      });
      const over = { status: 'CANCELLED', statusReason: 'CANCELLED_BY_CUSTOMER', payments: [], paymentDeadline: null };
      await buyer.untilOrder(id, over);
      await untilAvailable('A', stock);
      expect((await buyer.cancel(id, { commandId })).receipt).toEqual({ ...receiptOf(first), replayed: true });
      expect(await buyer.cancel(id)).toMatchObject({ __typename: 'IllegalState', state: 'CANCELLED' });
      expect(await buyer.pay(id)).toMatchObject({ __typename: 'IllegalState', state: 'CANCELLED' });
      await eventually(async () => expect((await buyer.told(id)).at(-1)?.subject).toContain('was cancelled'));
    });

    test('while its payment is under way lets go of that', async () => {
      const stock = await buyer.available('A');
      const { id } = await buyer.placed({ A: 1 });
      const paying = buyer.pay(id, 'tok_silent');
      const { payments } = await buyer.untilOrder(id, { payments: [{ status: 'REQUESTED' }] });
      await eventually(() => shop.atProvider(onlyOne(payments)));
      expect(await buyer.cancel(id)).toMatchObject({ __typename: 'OrderPayload' });
      expect(await paying).toMatchObject({ __typename: 'PaymentDeclined', reason: 'CANCELLED' });
      await buyer.untilOrder(id, { status: 'CANCELLED', payments: [{ status: 'CANCELLED' }] });
      await eventually(async () => expect((await shop.atProvider(onlyOne(payments))).status).toBe('cancelled'));
      await untilAvailable('A', stock);
    });

    test('after it is paid is paid back, and its goods are in stock again', async () => {
      const stock = await buyer.available('A');
      const order = await buyer.prepared({ A: 2 });
      expect(await buyer.available('A')).toBe((stock ?? 0) - 2);
      expect(await buyer.cancel(order.id)).toMatchObject({ __typename: 'OrderPayload' });
      const over = await buyer.untilOrder(order.id, {
        status: 'CANCELLED',
        statusReason: 'CANCELLED_BY_CUSTOMER',
        payments: [{ status: 'REFUNDED', refunded: { amountMinor: 1_000 } }],
        shipments: [{ status: 'CANCELLED' }],
      });
      await untilAvailable('A', stock);
      expect(await shop.atProvider(onlyOne(over.payments))).toMatchObject({
        capturedMinor: 1_000,
        refundedMinor: 1_000,
      });
      await eventually(async () => {
        const subjects = (await buyer.told(order.id)).slice(1).map(({ subject }) => subject);
        expect(subjects.sort()).toEqual([
          expect.stringContaining('Money back'),
          expect.stringContaining('was cancelled'),
        ]);
        expect((await buyer.order(order.id))?.process?.status).toBe('COMPENSATED');
      });
    });

    test('after it is shipped is not', async () => {
      const order = await buyer.prepared({ A: 1 });
      await shop.carry(order);
      await buyer.untilOrder(order.id, { status: 'SHIPPED' });
      const commandId = randomUUID();
      const refusal = { __typename: 'IllegalState', state: 'SHIPPED' };
      expect(await buyer.cancel(order.id, { commandId })).toMatchObject({ ...refusal, receipt: { replayed: false } });
      expect(await buyer.cancel(order.id, { commandId })).toMatchObject({ ...refusal, receipt: { replayed: true } });
      await shop.carry(order);
      await buyer.untilOrder(order.id, { status: 'DELIVERED', payments: [{ status: 'CONFIRMED' }] });
      expect(await buyer.cancel(order.id)).toMatchObject({ __typename: 'IllegalState', state: 'DELIVERED' });
    });

    test('just when it leaves goes on, or is undone: one of both', async () => {
      const order = await buyer.prepared({ A: 1 });
      const [outcome] = await Promise.all([buyer.cancel(order.id), shop.carry(order)]);
      if (outcome.__typename === 'OrderPayload') {
        await buyer.untilOrder(order.id, { status: 'CANCELLED', payments: [{ status: 'REFUNDED' }] });
      } else {
        expect(outcome).toMatchObject({ __typename: 'IllegalState', state: 'SHIPPED' });
        await buyer.untilOrder(order.id, {
          status: 'SHIPPED',
          statusReason: null,
          payments: [{ status: 'CONFIRMED' }],
        });
      }
    });

    test('later is accepted, and done at its time', async () => {
      const { id } = await buyer.placed({ A: 1 });
      const dueAt = shop.clock.inMs(60_000);
      const commandId = await buyer.queue('cancelOrder', { orderId: id, reason: 'too slow' }, { dueAt });
      expect(await buyer.order(id)).toMatchObject({ status: 'PLACED' });
      shop.clock.advance(61_000);
      await buyer.untilStatus(commandId, 'SUCCEEDED');
      await buyer.untilOrder(id, { status: 'CANCELLED', statusReason: 'CANCELLED_BY_CUSTOMER' });
    });
  });

  describe('whose goods come back', () => {
    test('is paid back bit by bit, to the penny, and its goods are in stock again', async () => {
      const order = await delivered({ A: 1, B: 3 }, 'TENTH');
      // 500 + 3 * 333 = 1499, a tenth of it is 149.
      expect(order.total.amountMinor).toBe(1_350);
      const [a, b] = [await buyer.available('A'), await buyer.available('B')];
      const commandId = randomUUID();
      const first = await buyer.returnItems(order.id, { B: 1 }, { commandId });
      expect(first).toMatchObject({
        __typename: 'OrderPayload',
        order: { status: 'PARTIALLY_RETURNED', statusReason: 'too small', lines: [{ returned: 0 }, { returned: 1 }] },
      });
      expect((await buyer.returnItems(order.id, { B: 1 }, { commandId })).receipt).toEqual({
        ...receiptOf(first),
        replayed: true,
      });
      // 1350 * 333 / 1499, rounded down.
      await buyer.untilOrder(order.id, {
        payments: [{ status: 'PARTIALLY_REFUNDED', refunded: { amountMinor: 299 } }],
      });
      await untilAvailable('B', (b ?? 0) + 1);
      expect(await buyer.available('A')).toBe(a);
      expect(await buyer.returnItems(order.id, { A: 1, B: 2 })).toMatchObject({ order: { status: 'RETURNED' } });
      const back = await buyer.untilOrder(order.id, {
        status: 'RETURNED',
        payments: [{ status: 'REFUNDED', refunded: { amountMinor: 1_350 } }],
      });
      await untilAvailable('B', (b ?? 0) + 3);
      await untilAvailable('A', (a ?? 0) + 1);
      expect(await shop.atProvider(onlyOne(back.payments))).toMatchObject({ refundedMinor: 1_350 });
      await eventually(async () =>
        expect((await buyer.told(order.id)).filter(({ subject }) => subject?.includes('Money back'))).toHaveLength(2),
      );
      expect(await buyer.returnItems(order.id, { A: 1 })).toMatchObject({ __typename: 'IllegalState' });
    });

    test('later is accepted, and done at its time', async () => {
      const order = await shop.deliver(await buyer.prepared({ A: 1 }));
      const input = { orderId: order.id, lines: [{ sku: 'A', quantity: 1 }], reason: 'too small' };
      const commandId = await buyer.queue('returnItems', input, { dueAt: shop.clock.inMs(60_000) });
      expect(await buyer.order(order.id)).toMatchObject({ status: 'DELIVERED' });
      shop.clock.advance(61_000);
      await buyer.untilStatus(commandId, 'SUCCEEDED');
      await buyer.untilOrder(order.id, { status: 'RETURNED', payments: [{ status: 'REFUNDED' }] });
    });

    test('gets back no more than was bought, and nothing before it was delivered', async () => {
      const order = await buyer.prepared({ A: 2 });
      expect(await buyer.returnItems(order.id, { A: 1 })).toMatchObject({ __typename: 'IllegalState' });
      await shop.deliver(order);
      const tooMuch = { __typename: 'IllegalState', state: 'RETURNED' };
      expect(await buyer.returnItems(order.id, { A: 3 })).toMatchObject(tooMuch);
      expect(await buyer.returnItems(order.id, { B: 1 })).toMatchObject({ __typename: 'NotFound', id: 'B' });
      expect(await buyer.returnItems(order.id, { A: 1, B: 1 })).toMatchObject({ __typename: 'NotFound', id: 'B' });
      // Two at once of what is there once.
      const outcomes = await Promise.all([1, 2].map(() => buyer.returnItems(order.id, { A: 2 })));
      expect(outcomes.map(({ __typename }) => __typename).sort()).toEqual(['IllegalState', 'OrderPayload']);
      await buyer.untilOrder(order.id, { status: 'RETURNED', payments: [{ refunded: { amountMinor: 1_000 } }] });
    });

    test('is paid back in the end, also where that fails at first', async () => {
      const order = await shop.deliver(await buyer.prepared({ A: 1 }, 'tok_refund_fails'));
      await buyer.returnItems(order.id, { A: 1 });
      await eventually(async () =>
        expect((await buyer.order(order.id))?.process?.steps).toContainEqual(
          expect.objectContaining({ name: 'refund', status: 'FAILED' }),
        ),
      );
      expect((await shop.atProvider(onlyOne(order.payments))).refunds).toMatchObject([{ status: 'failed' }]);
      shop.clock.advance(REFUND_RETRY_MS);
      await buyer.untilOrder(order.id, { payments: [{ status: 'REFUNDED', refunded: { amountMinor: 500 } }] });
      const { refunds } = await shop.atProvider(onlyOne(order.payments));
      expect(refunds.map(({ status }) => status)).toEqual(['failed', 'succeeded']);
    });
  });

  describe('whose shipment staff move on', () => {
    const advance = (id: string, to: string, rest: object = {}) =>
      buyer.run('advanceShipment', { shipmentId: id, to, ...rest });

    test('goes step by step, and never back', async () => {
      const order = await buyer.prepared({ A: 1 });
      const { id } = onlyOne(order.shipments);
      const prepared = { __typename: 'IllegalState', state: 'PREPARED' };
      expect(await advance(id, 'DELIVERED')).toMatchObject(prepared);
      expect(await advance(id, 'IN_TRANSIT', { note: 'by bike' })).toMatchObject({
        __typename: 'ShipmentPayload',
        shipment: { id, status: 'IN_TRANSIT', history: [{}, {}, { status: 'IN_TRANSIT', note: 'by bike' }] },
        receipt: { status: 'SUCCEEDED' },
      });
      await buyer.untilOrder(order.id, { status: 'SHIPPED' });
      const back = await advance(id, 'PREPARED', { carrier: 'Me', trackingCode: '1' });
      expect(back).toMatchObject({ __typename: 'IllegalState', state: 'IN_TRANSIT' });
      expect(await advance(id, 'DELIVERED')).toMatchObject({ shipment: { status: 'DELIVERED' } });
      await buyer.untilOrder(order.id, { status: 'DELIVERED' });
      // The carrier is behind; what it tells is known already.
      await shop.carry(order);
      await shop.carry(order);
      expect(await buyer.order(order.id)).toMatchObject({ status: 'DELIVERED', shipments: [{ status: 'DELIVERED' }] });
    });

    test('cannot be moved to what is no step, nor where there is none', async () => {
      const order = await buyer.prepared({ A: 1 });
      const { id } = onlyOne(order.shipments);
      for (const to of ['REQUESTED', 'CANCELLED']) {
        expect(await advance(id, to)).toMatchObject({ __typename: 'ValidationFailed', fields: [{ path: ['to'] }] });
      }
      const unknown = encodeGlobalId('Shipment', randomUUID());
      expect(await advance(unknown, 'DELIVERED')).toMatchObject({ __typename: 'NotFound', id: unknown });
      await buyer.cancel(order.id);
      expect(await advance(id, 'IN_TRANSIT')).toMatchObject({ __typename: 'IllegalState', state: 'CANCELLED' });
    });
  });
});
