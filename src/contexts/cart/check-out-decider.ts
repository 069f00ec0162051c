import type { Actor } from '../../eventsourcing/actor.ts';
import type { Decision } from '../../eventsourcing/commands/decider.ts';
import { forbidden, illegalState, notFound } from '../../eventsourcing/commands/rejection.ts';
import { MAX_AMOUNT_MINOR } from '../values.ts';
import type { CartCommand } from './commands.ts';
import { couponInvalid, problemOf } from './coupon-rejection.ts';
import { discountsOf } from './discounts.ts';
import type { CartEvent } from './events.ts';
import { type CartFacts, couponIn } from './facts.ts';
import type { KnownCart, UsableCart } from './state.ts';

/**
 * How a cart becomes an order: it is checked out, and nobody can change it any more; then it is an order, or is given
 * back to its shopper. Each step is known by the id of the order, and done once.
 */

type CommandData<Type extends CartCommand['type']> = Extract<CartCommand, { type: Type }>['data'];

export function checkOut(data: CommandData<'CheckOutCart'>, cart: UsableCart, actor: Actor): Decision<CartEvent> {
  const { cartId, orderId, customerId, email, shippingAddress } = data;
  const { currency, coupon } = cart;
  // A customer who checks a guest's cart out gets the order: nobody else who knows the cart does.
  const ownerId = cart.customerId ?? (actor.kind === 'CUSTOMER' ? actor.id : null);
  if (ownerId !== null && ownerId !== customerId) return forbidden('The order would be for somebody else.');
  if (cart.lines.size === 0) return illegalState('EMPTY', `The cart ${cartId} is empty: there is nothing to order.`);
  if (cart.cancelledCheckOuts.has(orderId)) {
    return illegalState(cart.status.toUpperCase(), `There will be no order ${orderId}: check the cart out again.`);
  }
  const lines = [...cart.lines].map(([sku, line]) => ({ sku, ...line }));
  const amountMinor = lines.reduce((sum, { quantity, unitPrice }) => sum + quantity * unitPrice.amountMinor, 0);
  // What is paid at once has to be an amount of money like any other.
  if (amountMinor > MAX_AMOUNT_MINOR) {
    return illegalState('TOO_LARGE', `An order comes to at most ${MAX_AMOUNT_MINOR} in the smallest unit: order less.`);
  }
  const discounts = discountsOf(coupon, { amountMinor, currency });
  const contents = { currency, lines, discounts, couponCode: coupon?.code ?? null };
  const order = { orderId, customerId, ownerId, ...contents, email, shippingAddress };
  return [{ type: 'CartCheckOutStarted', data: order }];
}

export function completeCheckOut(data: CommandData<'CompleteCartCheckOut'>, cart: KnownCart): Decision<CartEvent> {
  const { cartId, orderId } = data;
  if (!('orderId' in cart) || cart.orderId !== orderId) return notBecoming(cartId, orderId, cart);
  return cart.status === 'checked_out' ? [] : [{ type: 'CartCheckedOut', data: { orderId } }];
}

export function cancelCheckOut(data: CommandData<'CancelCartCheckOut'>, cart: KnownCart): Decision<CartEvent> {
  const { cartId, orderId, reason } = data;
  if (cart.cancelledCheckOuts.has(orderId)) return [];
  if (cart.status !== 'checking_out' || cart.orderId !== orderId) return notBecoming(cartId, orderId, cart);
  return [{ type: 'CartCheckOutCancelled', data: { orderId, reason } }];
}

function notBecoming(cartId: string, orderId: string, { status }: KnownCart) {
  return illegalState(status.toUpperCase(), `The cart ${cartId} is not becoming the order ${orderId}.`);
}

/** An early word: whether the coupon can still be used is decided when the cart is checked out. */
export function applyCoupon(
  { code }: CommandData<'ApplyCoupon'>,
  cart: UsableCart,
  facts: CartFacts,
  now: Date,
): Decision<CartEvent> {
  if (cart.coupon?.code === code) return [];
  const coupon = couponIn(facts, code);
  if (coupon === undefined) return couponInvalid(code, 'UNKNOWN');
  const { label, percent, amountMinor, currency } = coupon;
  const isOther = currency !== null && currency !== cart.currency;
  const problem = problemOf(coupon, now) ?? (isOther ? 'OTHER_CURRENCY' : undefined);
  if (problem !== undefined) return couponInvalid(code, problem);
  const amount = amountMinor === null || currency === null ? null : { amountMinor, currency };
  const before: CartEvent[] = cart.coupon === null ? [] : [{ type: 'CouponRemoved', data: { code: cart.coupon.code } }];
  return [...before, { type: 'CouponApplied', data: { code, label, percent, amount } }];
}

export function removeCoupon({ code }: CommandData<'RemoveCoupon'>, cart: UsableCart): Decision<CartEvent> {
  if (cart.coupon?.code !== code) return notFound('coupon of this cart with the code', code);
  return [{ type: 'CouponRemoved', data: { code } }];
}
