import { expect } from 'vitest';
import type { CouponState } from '../../src/contexts/cart/coupon-decider.ts';
import type { CartState } from '../../src/contexts/cart/state.ts';
import type { StockState } from '../../src/contexts/catalog/stock-state.ts';
import { orderDecider } from '../../src/contexts/ordering/decider.ts';
import type { KnownOrder, OrderState } from '../../src/contexts/ordering/state.ts';
import type { ShipmentState } from '../../src/contexts/shipping/state.ts';
import type { AnyCommand } from '../../src/eventsourcing/commands/decider.ts';
import type { Rejection } from '../../src/eventsourcing/commands/rejection.ts';
import { checkout } from '../../src/processes/checkout.ts';
import { shipmentIdOf } from '../../src/processes/checkout-requests.ts';
import { coupon, granting, product, selling } from './carts.ts';
import { CheckoutWorld } from './checkout-world.ts';
import { GUEST, STAFF } from './given.ts';
import { ModelOutside } from './model-outside.ts';

/** A small shop in memory, and what has to add up in it once nothing is under way. */

export const MINUTE = 60_000;
export const process = checkout({ paymentLimitMs: 15 * MINUTE, provider: 'simulated' });
const id = (kind: number, at: number) => `${kind}${at}111111-1111-4111-8111-111111111111`;
/** More carts than orders: so now and then two want to become the same. */
export const CARTS = [1, 2, 3, 4].map((at) => id(1, at));
export const ORDERS = [1, 2, 3].map((at) => id(2, at));
const STOCK: Readonly<Record<string, number>> = { A: 5, B: 4, C: 100 };
export const SKUS = Object.keys(STOCK);
const HALF = coupon('HALF', { percent: 50, maxUses: 1 });
const ALL = coupon('ALL', { percent: 100 });
const facts = new Map<string, unknown>([
  ...selling(...SKUS.map((sku, at) => product(sku, { priceMinor: 101 + at }))).facts,
  ...granting(HALF, ALL).facts,
]);

const NEXT_PAYMENT = id(3, 1);

export interface Shop {
  readonly world: CheckoutWorld;
  readonly outside: ModelOutside;
}
export type Step = (shop: Shop) => void;

export function begin(): Shop {
  const outside = new ModelOutside();
  const world = new CheckoutWorld(process, outside, facts, checkAnswer);
  for (const [each, quantity] of Object.entries(STOCK)) {
    world.run({ type: 'OpenStock', data: { sku: each, quantity } }, STAFF);
  }
  for (const { code, label, percent, maxUses } of [HALF, ALL]) {
    world.run({ type: 'AddCoupon', data: { code, label, percent, maxUses } }, STAFF);
  }
  for (const each of CARTS) {
    world.run({ type: 'CreateCart', data: { cartId: each, currency: 'GBP' } }, GUEST);
  }
  return { world, outside };
}

const orderOf = (world: CheckoutWorld, order: string) => world.stateOf('order', order) as OrderState;
const isStanding = (order: OrderState): order is KnownOrder =>
  order.status !== 'unknown' && order.status !== 'cancelled';

/** Pieces that are with customers, or on their way to them. */
function soldOf(world: CheckoutWorld, each: string): number {
  return ORDERS.map((order) => orderOf(world, order))
    .filter(isStanding)
    .map((order) => order.lines.get(each))
    .reduce((sum, line) => sum + (line === undefined ? 0 : line.quantity - line.returned), 0);
}

export function checkStock(world: CheckoutWorld): void {
  for (const each of SKUS) {
    const stock = world.stateOf('stock', each) as StockState;
    expect(stock).toMatchObject({ reserved: 0, onHand: (STOCK[each] ?? 0) - soldOf(world, each) });
  }
}

/** What the provider took of an order and did not give back is what the order is worth. */
export function checkMoney({ world, outside }: Shop): void {
  for (const order of ORDERS) {
    const payments = [...outside.payments.values()].filter(({ paymentId }) => {
      const [requested] = world.logOf('payment', paymentId);
      return (requested?.data as { orderId?: string } | undefined)?.orderId === order;
    });
    const kept = payments
      .filter(({ status }) => status === 'captured')
      .map(({ amount, refundedMinor }) => amount.amountMinor - refundedMinor)
      .reduce((sum, it) => sum + it, 0);
    expect(payments.filter(({ status }) => ['processing', 'requires_action', 'authorised'].includes(status))).toEqual(
      [],
    );
    const state = orderOf(world, order);
    expect(kept).toBe(isStanding(state) ? state.totalMinor - state.refundedForReturnsMinor : 0);
  }
}

const STATUSES: Readonly<Record<string, readonly string[]>> = {
  refused: ['unknown'],
  undone: ['cancelled'],
  shipping: ['paid', 'preparing'],
  'on the way': ['shipped'],
  delivered: ['delivered'],
};

/** Nobody has both the goods and the money: of an order that does not stand, the carrier has nothing, and fetches nothing. */
export function checkGoods({ world, outside }: Shop): void {
  for (const order of ORDERS.filter((it) => !isStanding(orderOf(world, it)))) {
    const { status = 'cancelled' } = outside.shipments.get(shipmentIdOf(order)) ?? {};
    expect({ order, status }).toEqual({ order, status: 'cancelled' });
  }
}

export function checkOrders(world: CheckoutWorld): void {
  for (const order of ORDERS) {
    const begun = world.checkoutOf(order);
    if (begun === undefined) continue;
    const state = orderOf(world, order);
    expect(STATUSES[begun.phase] ?? [`an end, not ${begun.phase}`]).toContain(state.status);
    expect({ ...begun.refunds, ...begun.returns, ...begun.retries }).toEqual({});
    expect([begun.refunds.size, begun.returns.size, begun.retries.size]).toEqual([0, 0, 0]);
    expect(state).not.toMatchObject({ isCancelling: true });
    const shipment = world.stateOf('shipment', shipmentIdOf(order)) as ShipmentState;
    const isShipped = !['unknown', 'cancelled'].includes(shipment.status);
    expect({ order, isShipped }).toEqual({ order, isShipped: isStanding(state) });
    const cart = world.stateOf('cart', begun.cartId) as CartState;
    if (state.status !== 'unknown') expect(cart).toMatchObject({ status: 'checked_out', orderId: order });
  }
  for (const each of CARTS) {
    expect(['open', 'checked_out']).toContain((world.stateOf('cart', each) as CartState).status);
  }
}

export function checkCoupons(world: CheckoutWorld): void {
  for (const code of ['HALF', 'ALL']) {
    const standing = ORDERS.filter(
      (order) => isStanding(orderOf(world, order)) && world.checkoutOf(order)?.couponCode === code,
    );
    expect(world.stateOf('coupon', code) as CouponState).toMatchObject({ uses: standing.length });
  }
}

/** Whoever is answered can go by it at once: what the answer says is stored by then, not only on its way. */
function checkAnswer(world: CheckoutWorld, commandId: string, outcome: Rejection | 'SUCCEEDED'): void {
  const { type, data } = world.awaiting.get(commandId) as AnyCommand;
  const { orderId: order, cartId: cart, paymentId } = data as Record<'orderId' | 'cartId' | 'paymentId', string>;
  const state = orderOf(world, order);
  const isDone = outcome === 'SUCCEEDED';
  if (type === 'CheckOutCart') {
    if (isDone) expect(state.status).not.toBe('unknown');
    // Whoever shops may be at it again already, for another order.
    else expect(world.stateOf('cart', cart)).not.toMatchObject({ status: 'checking_out', orderId: order });
  }
  if (type === 'CancelOrder' && isDone) expect(state.status).toBe('cancelled');
  if (type === 'CancelOrder' && !isDone) {
    const log = world.logOf('order', order);
    const since = log.slice(log.findIndex((it) => it.commandId === commandId));
    expect(since.map((it) => it.type)).toContain('OrderCancellationRefused');
  }
  if (type !== 'PayOrder' || state.status === 'unknown') return;
  if (isDone) {
    const isActionNeeded = world.logOf('payment', paymentId).some((it) => it.type === 'PaymentActionRequired');
    const paid = world.logOf('order', order).filter((it) => it.type === 'OrderPaid');
    if (!isActionNeeded) expect(paid.map((it) => it.data)).toEqual([{ paymentId }]);
    return;
  }
  expect(state.paymentId).not.toBe(paymentId);
  const isLost = state.status === 'cancelled' || state.isCancelling || world.now.toISOString() > state.paymentDeadline;
  const isTriedAgain = state.paymentId !== null;
  if (isLost || isTriedAgain) return;
  const again = { type: 'PayOrder', data: { orderId: order, paymentId: NEXT_PAYMENT, paymentToken: 'tok' } } as const;
  const context = { actor: GUEST, now: world.now, facts: new Map<string, never>() };
  expect(orderDecider.decide(again, state, context)).toMatchObject([{ type: 'OrderPaymentRequested' }]);
}

/** Whoever waited was answered, with what became true. */
export function checkOutcomes(world: CheckoutWorld): void {
  expect([...world.outcomes.keys()].sort()).toEqual([...world.awaiting.keys()].sort());
  for (const [commandId, { type, data }] of world.awaiting) {
    const { orderId: order, cartId: cart } = data as { orderId: string; cartId: string };
    const state = orderOf(world, order);
    const isDone = world.outcomes.get(commandId) === 'SUCCEEDED';
    if (type === 'CheckOutCart') {
      const isIts = world.checkoutOf(order)?.commandId === commandId && world.checkoutOf(order)?.cartId === cart;
      expect(isDone).toBe(isIts && state.status !== 'unknown');
    }
    if (type === 'CancelOrder' && isDone) expect(state.status).toBe('cancelled');
    if (type === 'PayOrder' && !isDone) {
      const { paymentId } = data as { paymentId: string };
      const paid = world.logOf('order', order).filter((it) => it.type === 'OrderPaid');
      expect(paid.map((it) => it.data)).not.toContainEqual({ paymentId });
    }
  }
}
