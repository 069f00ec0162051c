import type { Money } from '../values.ts';
import type { CouponTerms } from './discounts.ts';
import type { CartEvent } from './events.ts';

export interface CartLine {
  readonly name: string;
  readonly quantity: number;
  readonly unitPrice: Money;
}

interface CartContents {
  readonly currency: string;
  readonly customerId: string | null;
  /** By sku, in the order in which they were added. */
  readonly lines: ReadonlyMap<string, CartLine>;
  readonly coupon: CouponTerms | null;
  /** Merges whose lines this cart took in. */
  readonly takenIn: ReadonlySet<string>;
  /** Merges for which this cart handed its lines over, and took them back. */
  readonly takenBack: ReadonlySet<string>;
  /** Orders that this cart was to become, and did not. */
  readonly cancelledCheckOuts: ReadonlySet<string>;
}

/** A cart that shoppers may change. */
export interface UsableCart extends CartContents {
  readonly status: 'open' | 'abandoned';
}

/** A cart whose lines are on their way into another one, or there. */
export interface LeavingCart extends CartContents {
  readonly status: 'merging' | 'merged';
  readonly mergeId: string;
  readonly intoCartId: string;
}

/** A cart that is becoming an order, or became one. */
export interface OrderedCart extends CartContents {
  readonly status: 'checking_out' | 'checked_out';
  readonly orderId: string;
}

export type KnownCart = UsableCart | LeavingCart | OrderedCart;
export type CartState = { readonly status: 'unknown' } | KnownCart;

export function isUsable(cart: KnownCart): cart is UsableCart {
  return cart.status === 'open' || cart.status === 'abandoned';
}

export function evolveCart(state: CartState, event: CartEvent): CartState {
  if (event.type === 'CartCreated') {
    const nothing = { takenIn: new Set<string>(), takenBack: new Set<string>(), cancelledCheckOuts: new Set<string>() };
    return { status: 'open', ...event.data, lines: new Map(), coupon: null, ...nothing };
  }
  if (state.status === 'unknown') return state;
  switch (event.type) {
    case 'ItemAddedToCart':
      return withAdded(state, [event.data]);
    case 'ItemQuantityChanged': {
      const { sku, quantity } = event.data;
      const line = state.lines.get(sku);
      return line === undefined ? state : { ...state, lines: new Map(state.lines).set(sku, { ...line, quantity }) };
    }
    case 'ItemRemovedFromCart':
      return { ...state, lines: new Map([...state.lines].filter(([sku]) => sku !== event.data.sku)) };
    case 'CartCleared':
      return { ...state, lines: new Map() };
    case 'CartAbandoned':
      return { ...contentsOf(state), status: 'abandoned' };
    case 'CartReopened':
      return { ...contentsOf(state), status: 'open' };
    case 'CartMergeRequested':
      return state;
    case 'CartLinesHandedOver': {
      const { mergeId, intoCartId } = event.data;
      return { ...contentsOf(state), status: 'merging', mergeId, intoCartId };
    }
    case 'CartLinesTakenIn': {
      const { mergeId, lines } = event.data;
      return { ...withAdded(state, lines), takenIn: new Set(state.takenIn).add(mergeId) };
    }
    case 'CartMerged': {
      const { mergeId, intoCartId } = event.data;
      return { ...contentsOf(state), status: 'merged', mergeId, intoCartId, lines: new Map(), coupon: null };
    }
    case 'CartLinesTakenBack':
      return {
        ...contentsOf(state),
        status: 'open',
        takenBack: new Set(state.takenBack).add(event.data.mergeId),
      };
    case 'CouponApplied':
      return { ...state, coupon: event.data };
    case 'CouponRemoved':
      return { ...state, coupon: null };
    case 'CartCheckOutStarted':
      return { ...contentsOf(state), status: 'checking_out', orderId: event.data.orderId };
    case 'CartCheckedOut':
      return { ...contentsOf(state), status: 'checked_out', orderId: event.data.orderId };
    case 'CartCheckOutCancelled':
      return {
        ...contentsOf(state),
        status: 'open',
        cancelledCheckOuts: new Set(state.cancelledCheckOuts).add(event.data.orderId),
      };
    case 'CartRestored':
      return { ...state, lines: inOrder(state.lines, event.data.skus) };
    default:
      return event satisfies never;
  }
}

/** The same lines in another order. */
function inOrder(lines: KnownCart['lines'], skus: readonly string[]): KnownCart['lines'] {
  const placed = skus.flatMap((sku) => {
    const line = lines.get(sku);
    return line === undefined ? [] : [[sku, line] as const];
  });
  return new Map([...placed, ...lines]);
}

/** Pieces add up; name and price of the whole line are those that come with the newest. */
function withAdded(cart: KnownCart, added: readonly ({ readonly sku: string } & CartLine)[]): KnownCart {
  const lines = new Map(cart.lines);
  for (const { sku, name, quantity, unitPrice } of added) {
    lines.set(sku, { name, quantity: (lines.get(sku)?.quantity ?? 0) + quantity, unitPrice });
  }
  return { ...cart, lines };
}

function contentsOf(cart: KnownCart): CartContents {
  const { currency, customerId, lines, coupon, takenIn, takenBack, cancelledCheckOuts } = cart;
  return { currency, customerId, lines, coupon, takenIn, takenBack, cancelledCheckOuts };
}
