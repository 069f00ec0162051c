import { type Decision, isRejection } from '../../eventsourcing/commands/decider.ts';
import { illegalState, notFound, type Rejection } from '../../eventsourcing/commands/rejection.ts';
import { insufficientStock } from '../rejections.ts';
import type { MovedLine } from '../values.ts';
import { applyCoupon } from './check-out-decider.ts';
import type { CartCommand } from './commands.ts';
import type { CartEvent } from './events.ts';
import { type CartFacts, productIn } from './facts.ts';
import { MAX_LINES, MAX_QUANTITY, notSold, tooManyLines, tooManyPieces } from './policy.ts';
import type { PastContents, UndoStep } from './restore-commands.ts';
import type { UsableCart } from './state.ts';

/**
 * How a cart is given back what was in it at an earlier version: by events like those of any shopper, and one at the end
 * that says what they were for. They are decided on the cart of now and on today's catalog; nothing is half done.
 */

type CommandData<Type extends CartCommand['type']> = Extract<CartCommand, { type: Type }>['data'];
type RestoredData = Extract<CartEvent, { type: 'CartRestored' }>['data'];

interface Today {
  readonly facts: CartFacts;
  readonly now: Date;
}

export function restore(data: CommandData<'RestoreCart'>, cart: UsableCart, today: Today): Decision<CartEvent> {
  const { cartId, toVersion, past } = data;
  const changes = changesTo(past, cartId, cart, today);
  if ('code' in changes) return changes;
  const { events, ...rest } = changes;
  if (events.length === 0 && isInOrder(cart, rest.skus)) return [];
  return [...events, { type: 'CartRestored', data: { ...rest, toVersion, nextUndoAt: null } }];
}

export function undo(data: CommandData<'UndoCartChange'>, cart: UsableCart, today: Today): Decision<CartEvent> {
  const { cartId, step } = data;
  if (step.kind !== 'UNDO') return whyNot(cartId, step);
  const changes = changesTo(step.past, cartId, cart, today);
  if ('code' in changes) return changes;
  const { events, ...rest } = changes;
  const { toVersion, nextUndoAt } = step;
  // Also where nothing had to change: or the next undo would find the same change again.
  return [...events, { type: 'CartRestored', data: { ...rest, toVersion, nextUndoAt } }];
}

function whyNot(cartId: string, step: Exclude<UndoStep, { kind: 'UNDO' }>): Rejection {
  if (step.kind === 'NOTHING')
    return illegalState('NOTHING_TO_UNDO', `There is nothing to undo in the cart ${cartId}.`);
  const change = `The newest change of the cart ${cartId} (${step.type}, version ${step.version})`;
  const way = `restoreCart with an earlier version gives back what was in the cart then.`;
  return step.kind === 'FOREIGN'
    ? illegalState('NOT_YOURS', `${change} is not yours: ${step.madeBy} made it. ${way}`)
    : illegalState('NOT_UNDOABLE', `${change} cannot be undone, since it was more than a change of this cart. ${way}`);
}

type Changes = { readonly events: readonly CartEvent[] } & Pick<RestoredData, 'skus' | 'couponLeftOut'>;

function changesTo(past: PastContents, cartId: string, cart: UsableCart, { facts, now }: Today): Changes | Rejection {
  if (past.lines.length > MAX_LINES) return tooManyLines();
  const put: CartEvent[] = [];
  for (const line of past.lines) {
    const decision = putBack(line, cart, facts);
    if (isRejection(decision)) return decision;
    put.push(...decision);
  }
  const coupon = couponOf(past.couponCode, cartId, cart, { facts, now });
  const events = [...takenOut(past, cart), ...put, ...coupon.events];
  return { events, skus: past.lines.map(({ sku }) => sku), couponLeftOut: coupon.leftOut };
}

function takenOut({ lines }: PastContents, cart: UsableCart): CartEvent[] {
  const wanted = new Set(lines.map(({ sku }) => sku));
  const gone = [...cart.lines].filter(([sku]) => !wanted.has(sku));
  if (gone.length > 1 && gone.length === cart.lines.size) {
    return [{ type: 'CartCleared', data: { lineCount: gone.length } }];
  }
  return gone.map(([sku, { quantity }]) => ({ type: 'ItemRemovedFromCart', data: { sku, quantity } }));
}

/**
 * A line that still has its price of then keeps it, as with any change of quantity; so does one that has the price of now
 * already. Any other is put in anew, at the price of now. Fewer pieces are always possible, also of what is not sold any
 * more.
 */
function putBack(
  { sku, quantity, unitPrice: then }: MovedLine,
  cart: UsableCart,
  facts: CartFacts,
): Decision<CartEvent> {
  if (quantity > MAX_QUANTITY) return tooManyPieces(sku);
  const present = cart.lines.get(sku);
  const product = productIn(facts, sku);
  if (present === undefined || quantity > present.quantity) {
    if (product === undefined) return notFound('product', sku);
    if (!product.active) return notSold(sku);
    if (present === undefined && product.currency !== cart.currency)
      return inOtherCurrency(sku, product.currency, cart);
    if (quantity > product.available) return insufficientStock(sku, quantity, product.available);
  }
  const today = product?.active === true && product.currency === cart.currency ? product.priceMinor : undefined;
  const has = present?.unitPrice.amountMinor;
  const keepsPrice = has === then.amountMinor || has === today || today === undefined;
  if (present !== undefined && keepsPrice) {
    const { quantity: previousQuantity } = present;
    if (quantity === previousQuantity) return [];
    return [{ type: 'ItemQuantityChanged', data: { sku, quantity, previousQuantity } }];
  }
  if (product === undefined) return notFound('product', sku);
  const { name, priceMinor: amountMinor, currency } = product;
  const removed = present === undefined ? [] : [{ sku, quantity: present.quantity }];
  return [
    ...removed.map((data): CartEvent => ({ type: 'ItemRemovedFromCart', data })),
    { type: 'ItemAddedToCart', data: { sku, name, quantity, unitPrice: { amountMinor, currency } } },
  ];
}

function inOtherCurrency(sku: string, currency: string, cart: UsableCart) {
  const message = `The product "${sku}" is sold in ${currency} by now, and the cart is in ${cart.currency}.`;
  return illegalState('OTHER_CURRENCY', message);
}

/** The coupon of then, if it can be used now. */
function couponOf(code: string | null, cartId: string, cart: UsableCart, { facts, now }: Today) {
  const present = cart.coupon?.code ?? null;
  if (code === present) return { events: [], leftOut: null };
  const removed: readonly CartEvent[] = present === null ? [] : [{ type: 'CouponRemoved', data: { code: present } }];
  if (code === null) return { events: removed, leftOut: null };
  const applied = applyCoupon({ cartId, code }, cart, facts, now);
  return isRejection(applied) ? { events: removed, leftOut: code } : { events: applied, leftOut: null };
}

function isInOrder({ lines }: UsableCart, skus: readonly string[]): boolean {
  return [...lines.keys()].every((sku, place) => sku === skus[place]);
}
