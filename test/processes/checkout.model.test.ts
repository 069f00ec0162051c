import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { StockState } from '../../src/contexts/catalog/stock-state.ts';
import type { AnyCommand } from '../../src/eventsourcing/commands/decider.ts';
import { shipmentIdOf } from '../../src/processes/checkout-requests.ts';
import { ADDRESS } from '../support/carts.ts';
import { GUEST, STAFF } from '../support/given.ts';
import {
  begin,
  CARTS,
  checkCoupons,
  checkGoods,
  checkMoney,
  checkOrders,
  checkOutcomes,
  checkStock,
  MINUTE,
  ORDERS,
  process,
  SKUS,
  type Step,
} from '../support/small-shop.ts';

const by =
  (command: AnyCommand, actor = GUEST): Step =>
  ({ world }) => {
    world.run(command, actor);
  };

const cartId = fc.constantFrom(...CARTS);
const orderId = fc.constantFrom(...ORDERS);
const sku = fc.constantFrom(...SKUS);
const nat = fc.nat(99);
const PERSON = { email: 'carla@example.org', shippingAddress: ADDRESS };

const filling = fc.record({ cartId, sku, quantity: fc.integer({ min: 1, max: 4 }) });
const returning = fc.tuple(orderId, fc.uuid({ version: 4 }), sku, fc.integer({ min: 1, max: 3 }));
const checkingOut = fc
  .tuple(cartId, orderId, fc.constantFrom(null, null, 'HALF', 'ALL'), filling)
  .map(([cart, order, code, line]): Step => {
    const filled = by({ type: 'AddItemToCart', data: { ...line, cartId: cart } });
    const applied = code === null ? () => {} : by({ type: 'ApplyCoupon', data: { cartId: cart, code } });
    const data = { cartId: cart, orderId: order, customerId: 'guest', ...PERSON };
    return (shop) => {
      for (const step of [filled, applied, by({ type: 'CheckOutCart', data })]) step(shop);
    };
  });
const paying = fc
  .tuple(
    orderId,
    fc.uuid({ version: 4 }),
    fc.constantFrom('authorised', 'authorised', 'captured', 'failed', 'processing', 'requires_action'),
  )
  .map(([order, paymentId, begins]): Step => {
    const pay = by({ type: 'PayOrder', data: { orderId: order, paymentId, paymentToken: 'tok' } });
    return (shop) => {
      shop.outside.begins = begins;
      pay(shop);
    };
  });
const moving = fc.tuple(nat, fc.constantFrom('requires_action', 'authorised', 'captured', 'failed', 'cancelled'));
const shipping = fc.tuple(orderId, fc.constantFrom('PREPARED', 'IN_TRANSIT', 'DELIVERED', 'IN_TRANSIT', 'DELIVERED'));
const CARRIED = { carrier: 'by hand', trackingCode: 'H-1' };

/** The goods leave while their order is being cancelled: by hand, or with a carrier that tells of it only later. */
const leaving = fc.tuple(orderId, fc.boolean()).map(([order, isByHand]): Step => {
  const shipmentId = shipmentIdOf(order);
  const byHand = by({ type: 'AdvanceShipment', data: { shipmentId, to: 'IN_TRANSIT', ...CARRIED } }, STAFF);
  return (shop) => {
    shop.world.workOn('');
    if (isByHand) byHand(shop);
    else shop.outside.carry(shipmentId, 'in_transit');
    by({ type: 'CancelOrder', data: { orderId: order, customerId: 'guest', reason: 'r' } })(shop);
  };
});

/** A payment is confirmed in time, but nobody is at work on it until others have taken what was reserved. */
const oversleeping = fc
  .tuple(orderId, orderId, cartId, fc.uuid({ version: 4 }))
  .map(([order, other, cart, paymentId]): Step => {
    const reserved = { type: 'AddItemToCart', data: { cartId: cart, sku: 'A', quantity: 4 } };
    const data = { cartId: cart, orderId: other, customerId: 'guest', ...PERSON };
    return (shop) => {
      const { world, outside } = shop;
      outside.begins = 'captured';
      world.workOn('');
      by({ type: 'PayOrder', data: { orderId: order, paymentId, paymentToken: 'tok' } })(shop);
      for (const lane of ['checkout', 'payment']) world.workOn(lane);
      world.pass(26 * MINUTE);
      for (const each of [by(reserved), by({ type: 'CheckOutCart', data })]) each(shop);
      for (const lane of [`checkout ${other}`, 'stock']) world.workOn(lane);
    };
  });

/** The goods arrive. */
const arriving = orderId.map((order): Step => {
  const advance = (to: string) =>
    by({ type: 'AdvanceShipment', data: { shipmentId: shipmentIdOf(order), to, ...CARRIED } }, STAFF);
  return (shop) => {
    shop.world.workOn('');
    for (const each of [advance('IN_TRANSIT'), advance('DELIVERED')]) each(shop);
    shop.world.workOn('');
  };
});

/** Word of the goods being on their way is given up, and they arrive before the order is told of it again. */
const unheard = orderId.map((order): Step => {
  const advance = (to: string) =>
    by({ type: 'AdvanceShipment', data: { shipmentId: shipmentIdOf(order), to, ...CARRIED } }, STAFF);
  return (shop) => {
    const { world } = shop;
    world.workOn('');
    advance('IN_TRANSIT')(shop);
    world.workOn('checkout');
    world.refuseIn(`order ${order}`, 'DROPPED');
    advance('DELIVERED')(shop);
    world.workOn('');
  };
});

/** The provider takes the money while the order is being cancelled. */
const crossing = fc.tuple(orderId, fc.uuid({ version: 4 })).map(
  ([order, paymentId]): Step =>
    (shop) => {
      shop.outside.begins = 'processing';
      by({ type: 'PayOrder', data: { orderId: order, paymentId, paymentToken: 'tok' } })(shop);
      shop.world.workOn('');
      for (let at = 0; at < shop.outside.payments.size; at += 1) shop.outside.move(at, 'captured');
      by({ type: 'CancelOrder', data: { orderId: order, customerId: 'guest', reason: 'r' } })(shop);
    },
);

/** In the very millisecond in which the time is over: nobody is heard of, or it fails just then; and is paid once more. */
const atTheLast = fc
  .tuple(orderId, fc.uuid({ version: 4 }), fc.uuid({ version: 4 }), fc.constantFrom('silent', 'failing', 'none'))
  .map(([order, first, second, before]): Step => {
    const pay = (paymentId: string) =>
      by({ type: 'PayOrder', data: { orderId: order, paymentId, paymentToken: 'tok' } });
    return (shop) => {
      const { world, outside } = shop;
      world.workOn('');
      const deadline = world.checkoutOf(order)?.paymentDeadline;
      if (deadline === undefined || world.now.toISOString() >= deadline) return;
      outside.begins = 'processing';
      if (before !== 'none') pay(first)(shop);
      world.workOn('');
      world.pass(Date.parse(deadline) - world.now.getTime());
      if (before !== 'none') world.workOn('checkout');
      if (before === 'failing') {
        const there = [...outside.payments.keys()].indexOf(first);
        if (there >= 0) outside.move(there, 'failed');
        for (const call of outside.news()) world.run(call, STAFF);
        for (const lane of ['checkout', 'order', 'checkout']) world.workOn(lane);
      }
      if (before === 'silent') world.pass(6 * MINUTE);
      pay(second)(shop);
    };
  });

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: atTheLast },
  { weight: 1, arbitrary: crossing },
  { weight: 2, arbitrary: arriving },
  { weight: 1, arbitrary: unheard },
  { weight: 1, arbitrary: leaving },
  { weight: 2, arbitrary: oversleeping },
  { weight: 3, arbitrary: checkingOut },
  { weight: 4, arbitrary: paying },
  {
    weight: 2,
    arbitrary: fc
      .tuple(orderId)
      .map(([order]) => by({ type: 'CancelOrder', data: { orderId: order, customerId: 'guest', reason: 'r' } })),
  },
  {
    weight: 3,
    arbitrary: returning.map(([order, returnId, each, quantity]) =>
      by({
        type: 'ReturnItems',
        data: { orderId: order, returnId, lines: [{ sku: each, quantity }], customerId: 'guest', reason: 'too small' },
      }),
    ),
  },
  {
    weight: 4,
    arbitrary: shipping.map(([order, to]) =>
      by({ type: 'AdvanceShipment', data: { shipmentId: shipmentIdOf(order), to, ...CARRIED } }, STAFF),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(orderId, fc.constantFrom('in_transit', 'delivered', 'cancelled', 'delivered')).map(
      ([order, to]): Step =>
        ({ outside }) =>
          outside.carry(shipmentIdOf(order), to),
    ),
  },
  {
    weight: 3,
    arbitrary: moving.map(
      ([at, to]): Step =>
        ({ outside }) =>
          outside.move(at, to),
    ),
  },
  {
    weight: 3,
    arbitrary: nat.map(
      (at): Step =>
        ({ world, outside }) => {
          const call = outside.call(at);
          if (call !== undefined) world.run(call, STAFF);
        },
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom('succeeded', 'failed', 'pending').map(
      (refunds): Step =>
        ({ outside }) => {
          outside.refunds = refunds;
          if (refunds !== 'pending') outside.endRefunds(refunds);
        },
    ),
  },
  {
    weight: 25,
    arbitrary: fc.tuple(nat, fc.integer({ min: 1, max: 6 }), fc.boolean()).map(
      ([at, times, twice]): Step =>
        ({ world }) => {
          for (let time = 0; time < times; time += 1) world.work(at + time, twice);
        },
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(nat, fc.constantFrom('DROPPED', 'TIMED_OUT', 'CANCELLED')).map(
      ([at, status]): Step =>
        ({ world }) =>
          world.refuse(at, status),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.integer({ min: 1, max: 10 * MINUTE }).map(
      (ms): Step =>
        ({ world }) =>
          world.pass(ms),
    ),
  },
);

const seen = new Set<string>();

test('Whatever happens in between, stock, money, coupons and orders add up, and whoever waits is answered', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
      const shop = begin();
      const { world } = shop;
      for (const each of steps) {
        each(shop);
        for (const one of SKUS) {
          const stock = world.stateOf('stock', one) as Extract<StockState, { status: 'open' }>;
          expect(stock.onHand - stock.reserved).toBeGreaterThanOrEqual(0);
        }
      }
      shop.outside.refunds = 'succeeded';
      world.settle();
      checkOrders(world);
      checkStock(world);
      checkMoney(shop);
      checkGoods(shop);
      checkCoupons(world);
      checkOutcomes(world);
      for (const { log } of world.streams.values()) for (const { type } of log) seen.add(type);
      for (const { events } of world.checkouts.values()) for (const { type } of events) seen.add(type);
    }),
    { numRuns: 300, seed: 4 },
  );
  // Otherwise it was not shown for them.
  const all = process.events.map(({ type }) => type);
  expect(all.filter((type) => !seen.has(type))).toEqual([]);
});
