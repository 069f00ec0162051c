import type { OrderEvent } from './events.ts';

export interface OrderedPieces {
  readonly quantity: number;
  readonly returned: number;
  readonly unitPriceMinor: number;
}

/** How far an order has come. `paying`: a payment of it is under way. */
export type OrderProgress = 'placed' | 'paying' | 'paid' | 'preparing' | 'shipped' | 'delivered' | 'cancelled';

export interface KnownOrder {
  readonly status: OrderProgress;
  /** Somebody asked for it to be cancelled, and what becomes of that is not known yet. */
  readonly isCancelling: boolean;
  /** Whom its personal data belongs to. */
  readonly customerId: string;
  readonly ownerId: string | null;
  readonly currency: string;
  /** By sku. */
  readonly lines: ReadonlyMap<string, OrderedPieces>;
  readonly totalMinor: number;
  readonly paymentDeadline: string;
  /** Of the payment that is under way. */
  readonly paymentId: string | null;
  readonly failedPayments: number;
  /** What the returns so far gave back. */
  readonly refundedForReturnsMinor: number;
  readonly refunds: ReadonlySet<string>;
}

export type OrderState = { readonly status: 'unknown' } | KnownOrder;

export function evolveOrder(state: OrderState, event: OrderEvent): OrderState {
  if (event.type === 'OrderPlaced') return placed(event.data);
  if (state.status === 'unknown') return state;
  switch (event.type) {
    case 'OrderPaymentRequested':
      return { ...state, status: 'paying', paymentId: event.data.paymentId };
    case 'OrderPaymentFailed':
      return { ...state, status: 'placed', paymentId: null, failedPayments: state.failedPayments + 1 };
    case 'OrderPaid':
      return { ...state, status: 'paid', paymentId: null };
    case 'OrderPreparationBegan':
      return { ...state, status: 'preparing' };
    case 'OrderShipped':
      return { ...state, status: 'shipped' };
    case 'OrderDelivered':
      return { ...state, status: 'delivered' };
    case 'OrderCancellationRequested':
      return { ...state, isCancelling: true };
    case 'OrderCancellationRefused':
      return { ...state, isCancelling: false };
    case 'OrderCancelled':
      return { ...state, status: 'cancelled', isCancelling: false, paymentId: null };
    case 'OrderItemsReturned':
      return returned(state, event.data);
    case 'OrderRefunded':
      return { ...state, refunds: new Set([...state.refunds, event.data.refundId]) };
    default:
      return event satisfies never;
  }
}

/** What the lines cost before anything was taken off. */
export function subtotalOf(lines: Iterable<OrderedPieces>, pieces: (line: OrderedPieces) => number): bigint {
  let sum = 0n;
  for (const line of lines) sum += BigInt(pieces(line)) * BigInt(line.unitPriceMinor);
  return sum;
}

function placed(data: Extract<OrderEvent, { type: 'OrderPlaced' }>['data']): KnownOrder {
  const { customerId, ownerId, currency, lines, totalMinor, paymentDeadline } = data;
  return {
    status: 'placed',
    isCancelling: false,
    customerId,
    ownerId,
    currency,
    lines: new Map(
      lines.map(({ sku, quantity, unitPrice }) => [
        sku,
        { quantity, returned: 0, unitPriceMinor: unitPrice.amountMinor },
      ]),
    ),
    totalMinor,
    paymentDeadline,
    paymentId: null,
    failedPayments: 0,
    refundedForReturnsMinor: 0,
    refunds: new Set(),
  };
}

function returned(
  state: KnownOrder,
  { lines, refund }: Extract<OrderEvent, { type: 'OrderItemsReturned' }>['data'],
): KnownOrder {
  const left = new Map(state.lines);
  for (const { sku, quantity } of lines) {
    const line = left.get(sku);
    if (line !== undefined) left.set(sku, { ...line, returned: line.returned + quantity });
  }
  return { ...state, lines: left, refundedForReturnsMinor: state.refundedForReturnsMinor + refund.amountMinor };
}
