import type { Address, Discount, Money, OrderedLine } from '../contexts/values.ts';
import type { Rejection } from '../eventsourcing/commands/rejection.ts';
import type { CheckoutData, CheckoutEvent } from './checkout-events.ts';

/**
 * How far the checkout of an order has come.
 * `selling`: the money is there, and what was reserved is being sold. `undone`: there is no order any more. `refused`:
 * there never was one.
 */
export type CheckoutPhase =
  | 'redeeming coupon'
  | 'reserving'
  | 'placing'
  | 'awaiting payment'
  | 'selling'
  | 'sold'
  | 'shipping'
  | 'on the way'
  | 'delivered'
  | 'undone'
  | 'refused';

export interface Checkout {
  readonly phase: CheckoutPhase;
  /** The command that asked for the order. */
  readonly commandId: string;
  readonly cartId: string;
  /** Carts that were to become an order of the same id, and are not open again yet: each with the command that waits. */
  readonly otherCarts: ReadonlyMap<string, string>;
  readonly customerId: string;
  readonly ownerId: string | null;
  readonly currency: string;
  readonly lines: readonly OrderedLine[];
  readonly discounts: readonly Discount[];
  readonly couponCode: string | null;
  readonly paymentDeadline: string;
  readonly reservedUntil: string;
  /** Null: forgotten. */
  readonly email: string | null;
  readonly shippingAddress: Address | null;
  readonly isRedeemed: boolean;
  readonly isReserved: boolean;
  readonly isPrepared: boolean;
  /** The payment that is under way, or was the last to be. `isOver`: nothing is awaited of it. */
  readonly payment: Payment | null;
  /** The time to pay is over: until then it is waited for what became of the payment that was under way. */
  readonly overdueUntil: string | null;
  /** The command that began to pay when all had come to nothing, and waits for the order to know. */
  readonly unwantedBy: string | null;
  /** What was confirmed, and is the order's. */
  readonly paid: { readonly paymentId: string; readonly amount: Money } | null;
  /** Why it is to be cancelled, and the command that asked for it. */
  readonly cancellation: { readonly commandId: string } | null;
  /** A cancellation that came too late, until the order says so itself. */
  readonly refusal: CheckoutData<'CheckoutCancellationRefused'> | null;
  /** The order says itself that it is cancelled; or, where there never was one, the cart that it is open again. */
  readonly isClosed: boolean;
  /** Why it came to nothing. */
  readonly end: { readonly reason: string; readonly rejection: Rejection | null } | null;
  readonly carriage: { readonly carrier: string; readonly trackingCode: string } | null;
  /** What was asked to be paid back and is not yet, by the id of the refund. */
  readonly refunds: ReadonlyMap<string, { readonly paymentId: string; readonly amount: Money }>;
  readonly refunded: readonly Refund[];
  /** What comes back and is not in stock again yet, by the id of the return. */
  readonly returns: ReadonlyMap<string, CheckoutData<'CheckoutReturnAccepted'>['lines']>;
  /** Payments that came too late, and are paid back. */
  readonly latePayments: ReadonlySet<string>;
  /** What was asked for by others and is seen to, or was: the commands that asked, and the ids of returns. */
  readonly asked: ReadonlySet<string>;
  /** How often a step failed, by the name of its timer. */
  readonly failures: ReadonlyMap<string, number>;
  /** What failed, and is tried again: when, by the name of its timer. */
  readonly retries: ReadonlyMap<string, string>;
}

type Refund = CheckoutData<'CheckoutRefunded'>;

interface Payment {
  readonly paymentId: string;
  readonly commandId: string;
  readonly amount: Money;
  /** The customer has to do something first, and knows. */
  readonly needsAction: boolean;
  readonly isOver: boolean;
  /** The order knows that it failed. */
  readonly isFailureNoted: boolean;
  /** Why it came to nothing. */
  readonly failure: string | null;
}

export type CheckoutState = { readonly phase: 'not begun' } | Checkout;

export function hasBegun(state: CheckoutState): state is Checkout {
  return state.phase !== 'not begun';
}

/** The timer that brings a failed step back. */
export const stepTimer = (command: string) => `retry ${command}`;
/** The timer that brings a failed refund back. */
export const refundTimer = (refundId: string) => `refund ${refundId}`;

export function evolveCheckout(state: CheckoutState, event: CheckoutEvent): CheckoutState {
  if (event.type === 'CheckoutStarted') return started(event.data);
  if (!hasBegun(state)) return state;
  const after = evolveBegun(state, event);
  const asked = askedBy(event);
  return asked === undefined ? after : { ...after, asked: new Set([...after.asked, asked]) };
}

function askedBy(event: CheckoutEvent): string | undefined {
  switch (event.type) {
    case 'CheckoutIdTaken':
    case 'CheckoutPaymentBegan':
    case 'CheckoutPaymentUnwanted':
    case 'CheckoutCancellationAsked':
      return event.data.commandId;
    case 'CheckoutReturnAccepted':
      return event.data.refundId;
    default:
      return undefined;
  }
}

function evolveBegun(state: Checkout, event: Exclude<CheckoutEvent, { type: 'CheckoutStarted' }>): Checkout {
  switch (event.type) {
    case 'CheckoutCouponRedeemed':
      return { ...state, phase: 'reserving', isRedeemed: true };
    case 'CheckoutRefused':
      return { ...state, phase: 'refused', end: { reason: 'REFUSED', rejection: event.data.rejection } };
    case 'CheckoutStockReserved':
      return { ...state, phase: 'placing', isReserved: true };
    case 'CheckoutOrderPlaced':
      return { ...state, phase: 'awaiting payment' };
    case 'CheckoutPaymentBegan':
      return {
        ...state,
        payment: {
          ...event.data,
          needsAction: false,
          isOver: false,
          isFailureNoted: false,
          failure: null,
        },
      };
    case 'CheckoutIdTaken':
      return { ...state, otherCarts: new Map([...state.otherCarts, [event.data.cartId, event.data.commandId]]) };
    case 'CheckoutPaymentUnwanted':
      return { ...state, unwantedBy: event.data.commandId };
    case 'CheckoutPaymentOverdue':
      return { ...state, overdueUntil: event.data.until };
    case 'CheckoutPaymentFailureNoted':
      return { ...state, payment: state.payment && { ...state.payment, isFailureNoted: true } };
    case 'CheckoutOrderClosed':
      return { ...state, isClosed: true };
    case 'CheckoutCartReopened': {
      const { cartId, commandId } = event.data;
      if (commandId === state.commandId) return { ...state, isClosed: true };
      return { ...state, otherCarts: without(state.otherCarts, cartId) };
    }
    case 'CheckoutPaymentActionNeeded':
      return { ...state, payment: state.payment === null ? null : { ...state.payment, needsAction: true } };
    case 'CheckoutPaymentFailed':
      return { ...state, payment: over(state.payment, event.data.reason) };
    case 'CheckoutNothingToPay':
      return { ...state, phase: 'selling' };
    case 'CheckoutPaymentConfirmed':
      return { ...state, phase: 'selling', payment: over(state.payment), paid: event.data };
    case 'CheckoutPaymentTooLate': {
      const { paymentId, refundId, amount } = event.data;
      const latePayments = new Set([...state.latePayments, paymentId]);
      return { ...state, latePayments, refunds: new Map([...state.refunds, [refundId, { paymentId, amount }]]) };
    }
    case 'CheckoutStockSold':
      return { ...state, phase: 'sold' };
    case 'CheckoutOrderPaid':
      return { ...state, phase: 'shipping' };
    case 'CheckoutShipmentPrepared':
      return { ...state, isPrepared: true };
    case 'CheckoutShippingBegan':
      return { ...state, phase: 'on the way', carriage: event.data };
    case 'CheckoutDelivered':
      return { ...state, phase: 'delivered' };
    case 'CheckoutCancellationAsked':
      return { ...state, cancellation: event.data };
    case 'CheckoutCancellationRefused':
      return { ...state, cancellation: null, refusal: event.data };
    case 'CheckoutCancellationRefusalNoted':
      return { ...state, refusal: null };
    case 'CheckoutTimedOut':
      return { ...state, phase: 'undone', payment: over(state.payment), end: { ...event.data, rejection: null } };
    case 'CheckoutCancelled': {
      const { reason, refundId } = event.data;
      return { ...refunding(state, refundId), end: { reason, rejection: null } };
    }
    case 'CheckoutStockLost': {
      const { rejection, refundId } = event.data;
      return { ...refunding(state, refundId), end: { reason: 'OUT_OF_STOCK', rejection } };
    }
    case 'CheckoutReturnAccepted': {
      const { refundId, refund: amount, lines } = event.data;
      const returns = new Map([...state.returns, [refundId, lines]]);
      if (state.paid === null || amount.amountMinor === 0) return { ...state, returns };
      const refund = { paymentId: state.paid.paymentId, amount };
      return { ...state, returns, refunds: new Map([...state.refunds, [refundId, refund]]) };
    }
    case 'CheckoutReturnRestocked':
      return { ...state, returns: without(state.returns, event.data.returnId) };
    case 'CheckoutRefunded': {
      const { refundId } = event.data;
      const retries = without(state.retries, refundTimer(refundId));
      const refunds = without(state.refunds, refundId);
      return { ...state, retries, refunds, refunded: [...state.refunded, event.data] };
    }
    case 'CheckoutRefundFailed': {
      const { refundId, retryAt } = event.data;
      const retries = new Map([...state.retries, [refundTimer(refundId), retryAt] as const]);
      const sentBack = state.refunded.find((it) => it.refundId === refundId);
      if (sentBack === undefined) return { ...state, retries };
      const { paymentId, amount } = sentBack;
      const refunds = new Map([...state.refunds, [refundId, { paymentId, amount }] as const]);
      return { ...state, retries, refunds, refunded: state.refunded.filter((it) => it !== sentBack) };
    }
    case 'CheckoutRefundRetried': {
      const { refundId, nextRefundId } = event.data;
      const refund = state.refunds.get(refundId);
      const others = without(state.refunds, refundId);
      const refunds = refund === undefined ? others : new Map([...others, [nextRefundId, refund] as const]);
      return { ...state, refunds, retries: without(state.retries, refundTimer(refundId)) };
    }
    case 'CheckoutStepFailed': {
      const { command, retryAt } = event.data;
      const timer = stepTimer(command);
      const failures = new Map([...state.failures, [timer, (state.failures.get(timer) ?? 0) + 1]]);
      return { ...state, failures, retries: new Map([...state.retries, [timer, retryAt]]) };
    }
    case 'CheckoutStepRetried':
      return { ...state, retries: without(state.retries, stepTimer(event.data.command)) };
    default:
      return event satisfies never;
  }
}

function started(data: CheckoutData<'CheckoutStarted'>): Checkout {
  return {
    ...data,
    phase: data.couponCode === null ? 'reserving' : 'redeeming coupon',
    otherCarts: new Map(),
    isClosed: false,
    isRedeemed: false,
    isReserved: false,
    isPrepared: false,
    payment: null,
    overdueUntil: null,
    unwantedBy: null,
    paid: null,
    cancellation: null,
    refusal: null,
    end: null,
    carriage: null,
    refunds: new Map(),
    refunded: [],
    returns: new Map(),
    latePayments: new Set(),
    asked: new Set([data.commandId]),
    failures: new Map(),
    retries: new Map(),
  };
}

/** Why it failed stays known, also where the order ends before it says so itself. */
function over(payment: Payment | null, failure: string | null = payment?.failure ?? null): Payment | null {
  return payment === null ? null : { ...payment, isOver: true, failure };
}

/** There is no order any more: what was paid for it is to be paid back. */
function refunding(state: Checkout, refundId: string): Checkout {
  const { paid, payment, refunds } = state;
  const isPaid = paid !== null && paid.amount.amountMinor > 0;
  return {
    ...state,
    phase: 'undone',
    payment: over(payment),
    paid: null,
    refunds: isPaid ? new Map([...refunds, [refundId, paid]]) : refunds,
  };
}

function without<Value>(map: ReadonlyMap<string, Value>, key: string): ReadonlyMap<string, Value> {
  return new Map([...map].filter(([it]) => it !== key));
}
