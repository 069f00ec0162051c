import { CANCELLED_BY_CUSTOMER, PAYMENT_TIMED_OUT } from '../contexts/ordering/messages.ts';
import type { Rejection } from '../eventsourcing/commands/rejection.ts';
import type { CommandRefusal, ProcessContext, ProcessInput } from '../eventsourcing/processes/process-manager.ts';
import type { CheckoutEvent } from './checkout-events.ts';
import { cancellationRefused, cancelled } from './checkout-messages.ts';
import { nextRefundId, retryTime } from './checkout-retries.ts';
import { type Checkout, type CheckoutState, hasBegun, refundTimer, stepTimer } from './checkout-state.ts';
import { CHECKOUT_STEPS } from './checkout-steps.ts';
import { rejectionOf } from './refusals.ts';

/** When an order has to be paid. */
export const PAYMENT_TIMER = 'payment';
/** So long after its deadline an order waits to hear whether a payment that is under way was in time. */
const LONGEST_DOUBT_MS = 300_000;
const TIMED_OUT = { type: 'CheckoutTimedOut', data: { reason: PAYMENT_TIMED_OUT } } as const;

/** A command of this checkout changed nothing: an answer, or a fault to be made good. */
export function onRefusal(
  refusal: CommandRefusal,
  state: CheckoutState,
  { instanceId: orderId, now }: ProcessContext,
): readonly CheckoutEvent[] {
  if (!hasBegun(state)) return [];
  const rejection = rejectionOf(refusal);
  const isAnswer = refusal.status === 'REJECTED';
  switch (refusal.name) {
    case 'RedeemCoupon':
      return state.phase === 'redeeming coupon' ? [{ type: 'CheckoutRefused', data: { rejection } }] : [];
    case 'ReserveStock':
      return state.phase === 'reserving' ? [{ type: 'CheckoutRefused', data: { rejection } }] : [];
    case 'PlaceOrder':
      return state.phase === 'placing' ? [{ type: 'CheckoutRefused', data: { rejection } }] : [];
    case 'RequestPayment': {
      const { payment } = state;
      if (state.phase !== 'awaiting payment' || payment === null || payment.isOver) return [];
      return [{ type: 'CheckoutPaymentFailed', data: { paymentId: payment.paymentId, reason: rejection.code } }];
    }
    case 'CommitStock':
      if (state.phase !== 'selling') return [];
      if (isAnswer) return [{ type: 'CheckoutStockLost', data: { rejection, refundId: `${orderId}:out-of-stock` } }];
      return failed(refusal.name, rejection, state, now);
    case 'CancelShipment':
      if (state.cancellation === null) return [];
      if (!isAnswer) return failed(refusal.name, rejection, state, now);
      return rejection.code === 'NOT_FOUND'
        ? onNoShipment(state, orderId, rejection, now)
        : [cancellationRefused(state.cancellation.commandId)];
    case 'TimeOutPayment':
    case 'CancelPayment':
      // It is confirmed: word of that is here already, or on its way.
      return isAnswer ? [] : failed(refusal.name, rejection, state, now);
    default:
      return failed(refusal.name, rejection, state, now);
  }
}

/** The shipment was not even asked for. Where that failed and is not tried just now, it never will be. */
function onNoShipment(state: Checkout, orderId: string, rejection: Rejection, now: Date): readonly CheckoutEvent[] {
  if (state.phase !== 'shipping') return [];
  const isWaiting = state.retries.has(stepTimer('RequestShipment'));
  return isWaiting ? [cancelled(orderId, CANCELLED_BY_CUSTOMER)] : failed('CancelShipment', rejection, state, now);
}

export function onTimer(
  { timer, dueAt }: Extract<ProcessInput<never>, { kind: 'timer' }>,
  state: CheckoutState,
): readonly CheckoutEvent[] {
  if (!hasBegun(state)) return [];
  const due = dueAt.toISOString();
  if (timer === PAYMENT_TIMER) {
    const isAwaited = state.phase === 'awaiting payment' && due === state.paymentDeadline;
    return isAwaited ? onDeadline(state) : onPatienceOver(state, due);
  }
  return state.retries.get(timer) === due ? retried(timer, state) : [];
}

/** The provider may have confirmed at the last moment: so the payment itself says whether it was in time. */
function onDeadline({ payment, paymentDeadline, overdueUntil }: Checkout): readonly CheckoutEvent[] {
  if (overdueUntil !== null) return [];
  if (payment === null || payment.isOver) return [TIMED_OUT];
  const until = new Date(Date.parse(paymentDeadline) + LONGEST_DOUBT_MS).toISOString();
  return [{ type: 'CheckoutPaymentOverdue', data: { paymentId: payment.paymentId, until } }];
}

/** Nothing is heard of the payment, or no good. If it is confirmed after all, it is paid back. */
function onPatienceOver({ phase, overdueUntil }: Checkout, due: string): readonly CheckoutEvent[] {
  return phase === 'awaiting payment' && overdueUntil === due ? [TIMED_OUT] : [];
}

function retried(timer: string, state: Checkout): readonly CheckoutEvent[] {
  const refundId = [...state.refunds.keys()].find((it) => refundTimer(it) === timer);
  // A refund that failed is failed for good at the provider: another one is asked for.
  if (refundId !== undefined) {
    return [{ type: 'CheckoutRefundRetried', data: { refundId, nextRefundId: nextRefundId(refundId) } }];
  }
  const command = CHECKOUT_STEPS.find((step) => stepTimer(step) === timer);
  return command === undefined ? [] : [{ type: 'CheckoutStepRetried', data: { command } }];
}

/** Where the step is to be tried again already, that is enough. */
function failed(name: string, rejection: Rejection, state: Checkout, now: Date): readonly CheckoutEvent[] {
  const command = CHECKOUT_STEPS.find((step) => step === name);
  if (command === undefined || state.retries.has(stepTimer(command))) return [];
  const retryAt = retryTime(now, state.failures.get(stepTimer(command)) ?? 0);
  return [{ type: 'CheckoutStepFailed', data: { command, detail: rejection.message, retryAt } }];
}
