import type { Decision } from '../../eventsourcing/commands/decider.ts';
import { illegalState } from '../../eventsourcing/commands/rejection.ts';
import { currencyMismatch } from '../rejections.ts';
import type { CartCommand } from './commands.ts';
import type { CartEvent } from './events.ts';
import { MAX_LINES, MAX_QUANTITY, tooManyLines, tooManyPieces } from './policy.ts';
import { isUsable, type KnownCart, type LeavingCart, type UsableCart } from './state.ts';

/**
 * How lines move from one cart into another, so that each is in exactly one cart whatever happens in between:
 *
 * 1. The cart that they move from hands them over: it holds them, and nobody can change them.
 * 2. The other takes them in, or refuses to.
 * 3. The first one ends, or takes them back.
 *
 * Each step is known by the id of the merge, and done once.
 */

type CommandData<Type extends CartCommand['type']> = Extract<CartCommand, { type: Type }>['data'];

export function handOver(data: CommandData<'HandOverCartLines'>, cart: KnownCart): Decision<CartEvent> {
  const { cartId, mergeId, intoCartId } = data;
  if (!isUsable(cart)) return isLeaving(cart, mergeId) ? [] : notUsable(cartId, cart);
  if (cart.takenBack.has(mergeId)) return takenBackBefore(cartId, cart);
  const lines = [...cart.lines].map(([sku, line]) => ({ sku, ...line }));
  return [{ type: 'CartLinesHandedOver', data: { mergeId, intoCartId, currency: cart.currency, lines } }];
}

/** The other cart has these pieces already, so stock is not asked for. */
export function takeIn(data: CommandData<'TakeInCartLines'>, cart: UsableCart): Decision<CartEvent> {
  const { mergeId, fromCartId, currency, lines } = data;
  if (lines.length > 0 && currency !== cart.currency) {
    return currencyMismatch('the other cart is', cart.currency, currency);
  }
  if (new Set([...cart.lines.keys(), ...lines.map(({ sku }) => sku)]).size > MAX_LINES) return tooManyLines();
  const crowded = lines.find(({ sku, quantity }) => (cart.lines.get(sku)?.quantity ?? 0) + quantity > MAX_QUANTITY);
  if (crowded !== undefined) return tooManyPieces(crowded.sku);
  const added = lines.map((line) => {
    const present = cart.lines.get(line.sku);
    return present === undefined ? line : { ...line, name: present.name, unitPrice: present.unitPrice };
  });
  return [{ type: 'CartLinesTakenIn', data: { mergeId, fromCartId, lines: added } }];
}

export function completeMerge(data: CommandData<'CompleteCartMerge'>, cart: KnownCart): Decision<CartEvent> {
  const { cartId, mergeId } = data;
  if (!isLeaving(cart, mergeId)) return notInThisMerge(cartId, cart);
  if (cart.status === 'merged') return [];
  return [{ type: 'CartMerged', data: { mergeId, intoCartId: cart.intoCartId } }];
}

export function takeBack(data: CommandData<'TakeBackCartLines'>, cart: KnownCart): Decision<CartEvent> {
  const { cartId, mergeId } = data;
  if (cart.takenBack.has(mergeId)) return [];
  if (!isLeaving(cart, mergeId) || cart.status === 'merged') return notInThisMerge(cartId, cart);
  return [{ type: 'CartLinesTakenBack', data: { mergeId, intoCartId: cart.intoCartId } }];
}

function isLeaving(cart: KnownCart, mergeId: string): cart is LeavingCart {
  return 'mergeId' in cart && cart.mergeId === mergeId;
}

const WHY_NOT: Readonly<Record<Exclude<KnownCart['status'], UsableCart['status']>, string>> = {
  merging: 'Its lines are moving into another cart. Wait until they are there, or back.',
  merged: 'Its lines moved into another cart: go on with that one.',
  checking_out: 'It is becoming an order. Wait until it is one, or is given back.',
  checked_out: 'It became an order: begin another cart.',
};

/** Why a cart is not for shoppers any more, or not now. */
export function notUsable(cartId: string, { status }: Exclude<KnownCart, UsableCart>) {
  return illegalState(status.toUpperCase(), `The cart ${cartId} cannot be changed. ${WHY_NOT[status]}`);
}

function notInThisMerge(cartId: string, { status }: KnownCart) {
  return illegalState(status.toUpperCase(), `The cart ${cartId} handed no lines over in this merge.`);
}

function takenBackBefore(cartId: string, { status }: KnownCart) {
  return illegalState(status.toUpperCase(), `The cart ${cartId} took its lines back: ask for another merge.`);
}
