import type { CartCheckOutRequested, CartMessage, CouponMessage } from '../contexts/cart/messages.ts';
import type { StockMessage } from '../contexts/catalog/messages.ts';
import { CANCELLED_BY_CUSTOMER, type OrderMessage, PAYMENT_TIMED_OUT } from '../contexts/ordering/messages.ts';
import type { PaymentMessage } from '../contexts/payment/messages.ts';
import type { ShipmentMessage } from '../contexts/shipping/messages.ts';
import { illegalState } from '../eventsourcing/commands/rejection.ts';
import type { ProcessContext } from '../eventsourcing/processes/process-manager.ts';
import type { CheckoutEvent } from './checkout-events.ts';
import { attemptOf, retryTime } from './checkout-retries.ts';
import { type Checkout, type CheckoutState, hasBegun, refundTimer, stepTimer } from './checkout-state.ts';

export type CheckoutMessage =
  | CartCheckOutRequested
  | Extract<CartMessage, { type: 'CartCheckOutCancelled' }>
  | CouponMessage
  | StockMessage
  | OrderMessage
  | PaymentMessage
  | ShipmentMessage;

export interface CheckoutSettings {
  /** Within so long an order has to be paid. */
  readonly paymentLimitMs: number;
  /** Who takes the money. */
  readonly provider: string;
}

/** What is reserved stays so for longer than it can be paid: a payment that is confirmed at the last moment is in time. */
const RESERVED_LONGER_MS = 600_000;

/** What a checkout makes of what it is told. What it does not wait for changes nothing: so repeats do not. */
export function onMessage(
  message: CheckoutMessage,
  state: CheckoutState,
  { instanceId: orderId, now }: ProcessContext,
  settings: CheckoutSettings,
): readonly CheckoutEvent[] {
  if (message.type === 'CartCheckOutRequested') {
    if (!hasBegun(state)) {
      const begun = started(message, now, settings);
      return isForgotten(message) ? [begun, { type: 'CheckoutRefused', data: { rejection: FORGOTTEN } }] : [begun];
    }
    // Clients may choose the id of an order: this one is somebody's already.
    const { cartId, commandId } = message;
    return state.asked.has(commandId) ? [] : [{ type: 'CheckoutIdTaken', data: { cartId, commandId } }];
  }
  if (!hasBegun(state)) return [];
  const { phase, asked } = state;
  switch (message.type) {
    case 'CouponRedeemed':
      return phase === 'redeeming coupon' ? [{ type: 'CheckoutCouponRedeemed', data: { orderId } }] : [];
    case 'OrderStockReserved':
      return phase === 'reserving' ? [{ type: 'CheckoutStockReserved', data: { orderId } }] : [];
    case 'OrderPlaced': {
      if (phase !== 'placing') return [];
      const placed = { type: 'CheckoutOrderPlaced', data: { orderId } } as const;
      return message.totalMinor === 0 ? [placed, { type: 'CheckoutNothingToPay', data: { orderId } }] : [placed];
    }
    case 'OrderStockCommitted':
      return phase === 'selling' ? [{ type: 'CheckoutStockSold', data: { orderId } }] : [];
    case 'OrderPaymentRequested': {
      const { paymentId, commandId, amount } = message;
      if (asked.has(commandId)) return [];
      return phase === 'awaiting payment'
        ? [{ type: 'CheckoutPaymentBegan', data: { paymentId, commandId, amount } }]
        : [{ type: 'CheckoutPaymentUnwanted', data: { paymentId, commandId } }];
    }
    case 'OrderPaid':
      return phase === 'sold' ? onPaid(state, orderId) : [];
    case 'OrderPaymentFailed': {
      const { paymentId } = message;
      const isNews = state.payment?.paymentId === paymentId && !state.payment.isFailureNoted;
      return isNews ? [{ type: 'CheckoutPaymentFailureNoted', data: { paymentId } }] : [];
    }
    case 'CartCheckOutCancelled': {
      const { cartId } = message;
      const isOwn = phase === 'refused' && cartId === state.cartId && !state.isClosed;
      const commandId = isOwn ? state.commandId : state.otherCarts.get(cartId);
      return commandId === undefined ? [] : [{ type: 'CheckoutCartReopened', data: { cartId, commandId } }];
    }
    case 'OrderCancelled':
      return phase === 'undone' && !state.isClosed ? [{ type: 'CheckoutOrderClosed', data: { orderId } }] : [];
    case 'OrderCancellationRequested':
      return asked.has(message.commandId) ? [] : onCancellation(message, state, orderId);
    case 'OrderCancellationRefused':
      return state.refusal === null ? [] : [{ type: 'CheckoutCancellationRefusalNoted', data: state.refusal }];
    case 'OrderItemsReturned': {
      const { returnId: refundId, refund, lines } = message;
      if (asked.has(refundId)) return [];
      return [{ type: 'CheckoutReturnAccepted', data: { refundId, refund, lines: [...lines] } }];
    }
    case 'OrderReturnRestocked': {
      const { returnId } = message;
      return state.returns.has(returnId) ? [{ type: 'CheckoutReturnRestocked', data: { returnId } }] : [];
    }
    case 'PaymentActionRequired':
    case 'PaymentConfirmed':
    case 'PaymentFailed':
    case 'PaymentTimedOut':
    case 'PaymentCancelled':
    case 'PaymentRefunded':
    case 'PaymentRefundFailed':
      return onPayment(message, state, now);
    case 'ShipmentPrepared':
      return phase === 'shipping' && !state.isPrepared ? onPrepared(state, orderId) : [];
    case 'ShipmentHandedOver':
      return phase === 'shipping' ? onHandedOver(message, state) : [];
    case 'ShipmentDelivered':
      return phase === 'on the way' ? [{ type: 'CheckoutDelivered', data: { orderId } }] : [];
    case 'ShipmentCancelled':
      return phase === 'shipping'
        ? [cancelled(orderId, state.cancellation === null ? 'SHIPMENT_CANCELLED' : CANCELLED_BY_CUSTOMER)]
        : [];
    default:
      return [];
  }
}

/** Forgotten between check-out and this, or before: nothing can be sent to whom nobody knows. */
export function isForgotten({ email, shippingAddress }: Pick<Checkout, 'email' | 'shippingAddress'>): boolean {
  return email === null || shippingAddress === null;
}

const FORGOTTEN = illegalState(
  'FORGOTTEN',
  'Whoever orders was forgotten: nothing is kept of them any more, so nothing can be sent. They need a new account.',
);

function started(message: CartCheckOutRequested, now: Date, { paymentLimitMs }: CheckoutSettings): CheckoutEvent {
  const { type: _, version: _version, orderId: _orderId, lines, discounts, ...rest } = message;
  const deadline = now.getTime() + paymentLimitMs;
  return {
    type: 'CheckoutStarted',
    data: {
      ...rest,
      lines: [...lines],
      discounts: [...discounts],
      paymentDeadline: new Date(deadline).toISOString(),
      reservedUntil: new Date(deadline + RESERVED_LONGER_MS).toISOString(),
    },
  };
}

/** Somebody may have asked for it to be cancelled while what was reserved was being sold. */
function onPaid(state: Checkout, orderId: string): readonly CheckoutEvent[] {
  const paid = { type: 'CheckoutOrderPaid', data: { orderId } } as const;
  return state.cancellation === null ? [paid] : [paid, cancelled(orderId, CANCELLED_BY_CUSTOMER)];
}

/** A cancellation may have come before the shipment itself: it is there now. */
function onPrepared({ retries }: Checkout, orderId: string): readonly CheckoutEvent[] {
  const prepared = { type: 'CheckoutShipmentPrepared', data: { orderId } } as const;
  const isCancelWaiting = retries.has(stepTimer('CancelShipment'));
  return isCancelWaiting
    ? [prepared, { type: 'CheckoutStepRetried', data: { command: 'CancelShipment' } }]
    : [prepared];
}

/** Whoever waits for a cancellation need not wait any more, also where nobody could ask the carrier for it. */
function onHandedOver(
  { carrier, trackingCode }: Extract<ShipmentMessage, { type: 'ShipmentHandedOver' }>,
  { cancellation }: Checkout,
): readonly CheckoutEvent[] {
  const began = { type: 'CheckoutShippingBegan', data: { carrier, trackingCode } } as const;
  return cancellation === null ? [began] : [began, cancellationRefused(cancellation.commandId)];
}

function onCancellation(
  { commandId }: Extract<OrderMessage, { type: 'OrderCancellationRequested' }>,
  state: Checkout,
  orderId: string,
): readonly CheckoutEvent[] {
  const asked = { type: 'CheckoutCancellationAsked', data: { commandId } } as const;
  switch (state.phase) {
    case 'awaiting payment':
      return [asked, cancelled(orderId, CANCELLED_BY_CUSTOMER)];
    case 'on the way':
    case 'delivered':
      return [asked, cancellationRefused(commandId)];
    default:
      // Found out by the shipment, or by what is being sold just now; where it is undone already, it is done.
      return [asked];
  }
}

export function cancellationRefused(commandId: string): CheckoutEvent {
  const rejection = illegalState('SHIPPED', 'The order is on its way: return it once it is there.');
  return { type: 'CheckoutCancellationRefused', data: { commandId, rejection } };
}

export function cancelled(orderId: string, reason: string): CheckoutEvent {
  return { type: 'CheckoutCancelled', data: { reason, refundId: `${orderId}:cancelled` } };
}

type PaymentNews = Extract<
  PaymentMessage,
  {
    type:
      | 'PaymentActionRequired'
      | 'PaymentConfirmed'
      | 'PaymentFailed'
      | 'PaymentTimedOut'
      | 'PaymentCancelled'
      | 'PaymentRefunded'
      | 'PaymentRefundFailed';
  }
>;

function onPayment(message: PaymentNews, state: Checkout, now: Date): readonly CheckoutEvent[] {
  const { paymentId } = message;
  const { payment, phase } = state;
  const isAwaited = phase === 'awaiting payment' && payment?.paymentId === paymentId && !payment.isOver;
  switch (message.type) {
    case 'PaymentActionRequired':
      return isAwaited && !payment.needsAction ? [{ type: 'CheckoutPaymentActionNeeded', data: { paymentId } }] : [];
    case 'PaymentFailed':
      return isAwaited ? failed(paymentId, message.reason, state) : [];
    case 'PaymentTimedOut':
      return isAwaited ? [{ type: 'CheckoutTimedOut', data: { reason: PAYMENT_TIMED_OUT } }] : [];
    case 'PaymentCancelled':
      return isAwaited ? failed(paymentId, 'CANCELLED', state) : [];
    case 'PaymentConfirmed': {
      const { amount } = message;
      if (isAwaited && !message.isLate) return [{ type: 'CheckoutPaymentConfirmed', data: { paymentId, amount } }];
      return tooLate(paymentId, amount, state);
    }
    case 'PaymentRefunded': {
      const { refundId, amount } = message;
      return state.refunds.has(refundId) ? [{ type: 'CheckoutRefunded', data: { paymentId, refundId, amount } }] : [];
    }
    case 'PaymentRefundFailed': {
      const { refundId, reason } = message;
      // Also of one that was done: a bank may send the money back.
      const isOurs = state.refunds.has(refundId) || state.refunded.some((it) => it.refundId === refundId);
      if (!isOurs || state.retries.has(refundTimer(refundId))) return [];
      const retryAt = retryTime(now, attemptOf(refundId));
      return [{ type: 'CheckoutRefundFailed', data: { refundId, reason, retryAt } }];
    }
    default:
      return message satisfies never;
  }
}

/** Once the time to pay is over, there is none left to pay otherwise. */
function failed(paymentId: string, reason: string, { overdueUntil }: Checkout): readonly CheckoutEvent[] {
  const failure = { type: 'CheckoutPaymentFailed', data: { paymentId, reason } } as const;
  if (overdueUntil === null) return [failure];
  return [failure, { type: 'CheckoutTimedOut', data: { reason: PAYMENT_TIMED_OUT } }];
}

/** Money that nobody waits for any more, unless it is the order's own, or is being paid back already, or was. */
function tooLate(paymentId: string, amount: CheckoutAmount, state: Checkout): readonly CheckoutEvent[] {
  const isKnown =
    state.paid?.paymentId === paymentId ||
    state.latePayments.has(paymentId) ||
    [...state.refunds.values(), ...state.refunded].some((refund) => refund.paymentId === paymentId);
  if (isKnown || amount.amountMinor === 0) return [];
  return [{ type: 'CheckoutPaymentTooLate', data: { paymentId, refundId: `${paymentId}:late`, amount } }];
}

type CheckoutAmount = Extract<PaymentMessage, { type: 'PaymentConfirmed' }>['amount'];
