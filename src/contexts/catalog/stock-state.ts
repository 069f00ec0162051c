import { PersistentMap } from '../../eventsourcing/commands/persistent-map.ts';
import type { StockEvent } from './events.ts';
import { type Expiries, withExpiry, withoutSoonest } from './expiries.ts';

/** What became of an order's pieces of this product. */
export type OrderStock =
  /** `expiresAt`: milliseconds since 1970. */
  | { readonly status: 'reserved'; readonly quantity: number; readonly expiresAt: number }
  /** `quantity`: how many are with the customer, without those that came back. */
  | { readonly status: 'committed'; readonly quantity: number }
  | { readonly status: 'expired' | 'released' };

/**
 * The stock of one product: an aggregate of its own, so that a sale never conflicts with a change of price. Orders stay
 * known for good, so that whatever is repeated changes nothing: in maps that are not copied at each event.
 */
export interface OpenStock {
  readonly status: 'open';
  /** Pieces in stock, those that are reserved included. */
  readonly onHand: number;
  readonly reserved: number;
  readonly orders: PersistentMap<OrderStock>;
  /** Returns whose pieces are in stock again. */
  readonly returns: PersistentMap<true>;
  /** Of all that is reserved; some of those behind the soonest may be of orders that are not any more. */
  readonly expiries: Expiries;
}

export type StockState = { readonly status: 'unknown' } | OpenStock;

export function availableOf({ onHand, reserved }: OpenStock): number {
  return onHand - reserved;
}

export interface ExpiredReservation {
  readonly orderId: string;
  readonly quantity: number;
}

/** Reservations that others may take over, the oldest first. */
export function* expiredReservations({ expiries, orders }: OpenStock, now: Date): Generator<ExpiredReservation> {
  let rest = expiries;
  while (rest !== undefined && rest.expiry.at <= now.getTime()) {
    const { orderId } = rest.expiry;
    const order = orders.get(orderId);
    if (order?.status === 'reserved') yield { orderId, quantity: order.quantity };
    rest = withoutSoonest(rest);
  }
}

export function evolveStock(state: StockState, event: StockEvent): StockState {
  if (event.type === 'StockOpened') {
    const nobody = { orders: PersistentMap.empty<OrderStock>(), returns: PersistentMap.empty<true>() };
    return { status: 'open', onHand: event.data.quantity, reserved: 0, ...nobody, expiries: undefined };
  }
  if (state.status === 'unknown') return state;
  const { onHand, reserved, orders } = state;
  switch (event.type) {
    case 'StockAdjusted':
      return { ...state, onHand: event.data.quantity };
    case 'StockReserved': {
      const { orderId, quantity } = event.data;
      const expiresAt = Date.parse(event.data.expiresAt);
      return {
        ...state,
        reserved: reserved + quantity,
        orders: orders.set(orderId, { status: 'reserved', quantity, expiresAt }),
        expiries: withExpiry(state.expiries, { at: expiresAt, orderId }),
      };
    }
    case 'StockReservationExpired': {
      const { orderId, quantity } = event.data;
      const ended = orders.set(orderId, { status: 'expired' });
      return tidied({ ...state, reserved: reserved - quantity, orders: ended });
    }
    case 'StockCommitted': {
      const { orderId, quantity } = event.data;
      const sold = orders.set(orderId, { status: 'committed', quantity });
      return tidied({ ...state, onHand: onHand - quantity, reserved: reserved - quantity, orders: sold });
    }
    case 'StockReleased':
      return released(state, event.data);
    case 'StockRestocked': {
      const { orderId, returnId, quantity } = event.data;
      const order = orders.get(orderId);
      return {
        ...state,
        onHand: onHand + quantity,
        returns: state.returns.set(returnId, true),
        orders:
          order?.status === 'committed'
            ? orders.set(orderId, { ...order, quantity: order.quantity - quantity })
            : orders,
      };
    }
    default:
      return event satisfies never;
  }
}

function released(state: OpenStock, { orderId, quantity }: { orderId: string; quantity: number }): OpenStock {
  const wasSold = state.orders.get(orderId)?.status === 'committed';
  const orders = state.orders.set(orderId, { status: 'released' });
  if (wasSold) return { ...state, onHand: state.onHand + quantity, orders };
  return tidied({ ...state, reserved: state.reserved - quantity, orders });
}

/** Without the expiries of what is not reserved any more, as far as they come first. */
function tidied(state: OpenStock): OpenStock {
  let { expiries } = state;
  while (expiries !== undefined && state.orders.get(expiries.expiry.orderId)?.status !== 'reserved') {
    expiries = withoutSoonest(expiries);
  }
  return { ...state, expiries };
}
