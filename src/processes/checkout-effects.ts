import { PAYMENT_TIMED_OUT } from '../contexts/ordering/messages.ts';
import { paymentDeclined } from '../contexts/rejections.ts';
import { illegalState } from '../eventsourcing/commands/rejection.ts';
import type { ProcessEffect } from '../eventsourcing/processes/process-manager.ts';
import type { CheckoutEvent } from './checkout-events.ts';
import { PAYMENT_TIMER } from './checkout-failures.ts';
import { isForgotten } from './checkout-messages.ts';
import { type CheckoutRequest, closingOther, requestsFor } from './checkout-requests.ts';
import { type Checkout, type CheckoutState, hasBegun, refundTimer, stepTimer } from './checkout-state.ts';
import type { CheckoutStep } from './checkout-steps.ts';

const ID_TAKEN = illegalState('ID_TAKEN', 'There is an order of that id already: choose another newOrderId.');

/**
 * What an event of a checkout brings about.
 * @param state after the event
 */
export function effectsOfCheckout(
  event: CheckoutEvent,
  state: CheckoutState,
  orderId: string,
  provider: string,
): readonly ProcessEffect[] {
  if (!hasBegun(state)) return [];
  const send = (...steps: readonly CheckoutStep[]): ProcessEffect[] =>
    steps.flatMap((step) => sending(...requestsFor(step, state, orderId, provider)));
  switch (event.type) {
    case 'CheckoutStarted':
      // It is refused in the same breath: nothing must be taken for it.
      if (isForgotten(state)) return [];
      return send(state.couponCode === null ? 'ReserveStock' : 'RedeemCoupon');
    case 'CheckoutIdTaken':
      return sending(closingOther(event.data.cartId, orderId));
    case 'CheckoutCouponRedeemed':
      return send('ReserveStock');
    case 'CheckoutRefused':
      return send('ReleaseStock', 'ReleaseCoupon', 'CancelCartCheckOut');
    case 'CheckoutCartReopened': {
      const { commandId } = event.data;
      const rejection = commandId === state.commandId ? state.end?.rejection : ID_TAKEN;
      return rejection == null ? [] : [{ kind: 'conclude', commandId, rejection }];
    }
    case 'CheckoutStockReserved':
      return send('PlaceOrder');
    case 'CheckoutOrderPlaced':
      return [
        ...send('CompleteCartCheckOut', 'RecordCustomer'),
        { kind: 'setTimer', timer: PAYMENT_TIMER, dueAt: new Date(state.paymentDeadline) },
        { kind: 'conclude', commandId: state.commandId },
      ];
    case 'CheckoutNothingToPay':
    case 'CheckoutPaymentConfirmed':
      return [{ kind: 'cancelTimer', timer: PAYMENT_TIMER }, ...send('CommitStock')];
    case 'CheckoutPaymentBegan':
      return send('RequestPayment');
    case 'CheckoutPaymentActionNeeded':
      return concludePayment(state);
    case 'CheckoutPaymentFailed':
      return send('NoteOrderPaymentFailed');
    case 'CheckoutPaymentFailureNoted':
      return concludePayment(state, declined(state.payment?.failure ?? 'FAILED', state, orderId));
    case 'CheckoutPaymentUnwanted':
      return state.isClosed ? concludeUnwanted(state, orderId) : [];
    case 'CheckoutPaymentTooLate':
      return refunding(event.data.refundId, state);
    case 'CheckoutPaymentOverdue':
      return [...send('TimeOutPayment'), { kind: 'setTimer', timer: PAYMENT_TIMER, dueAt: new Date(event.data.until) }];
    case 'CheckoutTimedOut':
      return [
        { kind: 'cancelTimer', timer: PAYMENT_TIMER },
        ...send('TimeOutPayment', 'CompleteOrderCancellation', 'ReleaseStock', 'ReleaseCoupon'),
      ];
    case 'CheckoutCancelled':
      return [
        { kind: 'cancelTimer', timer: PAYMENT_TIMER },
        ...send('CancelPayment', 'CompleteOrderCancellation', 'ReleaseStock', 'ReleaseCoupon'),
        ...refunding(event.data.refundId, state),
      ];
    case 'CheckoutOrderClosed':
      return [
        ...concludePayment(state, declined(reasonOfEnd(state), state, orderId)),
        ...concludeUnwanted(state, orderId),
        ...concludeCancellation(state),
      ];
    case 'CheckoutStockLost':
      return [
        ...send('CompleteOrderCancellation', 'ReleaseStock', 'ReleaseCoupon'),
        ...refunding(event.data.refundId, state),
      ];
    case 'CheckoutStockSold':
      return send('NoteOrderPaid');
    case 'CheckoutOrderPaid':
      return [...concludePayment(state), ...(state.cancellation === null ? send('RequestShipment') : [])];
    case 'CheckoutShipmentPrepared':
      return send('NoteOrderPreparation');
    case 'CheckoutShippingBegan':
      return send('NoteOrderShipped');
    case 'CheckoutDelivered':
      return send('NoteOrderDelivered');
    case 'CheckoutCancellationAsked':
      if (state.phase === 'shipping') return send('CancelShipment');
      return state.isClosed ? concludeCancellation(state) : [];
    case 'CheckoutCancellationRefused':
      return send('RefuseOrderCancellation');
    case 'CheckoutCancellationRefusalNoted':
      return [{ kind: 'conclude', ...event.data }];
    case 'CheckoutReturnAccepted': {
      const { refundId, lines } = event.data;
      const data = { orderId, returnId: refundId, lines: [...lines] };
      return [...sending({ type: 'RestockReturn', data }), ...refunding(refundId, state)];
    }
    case 'CheckoutReturnRestocked':
      return [];
    case 'CheckoutRefunded':
      return sending({ type: 'NoteOrderRefunded', data: { orderId, ...event.data } });
    case 'CheckoutRefundFailed': {
      const { refundId, retryAt } = event.data;
      return [{ kind: 'setTimer', timer: refundTimer(refundId), dueAt: new Date(retryAt) }];
    }
    case 'CheckoutRefundRetried':
      return refunding(event.data.nextRefundId, state);
    case 'CheckoutStepFailed': {
      const { command, retryAt } = event.data;
      return [{ kind: 'setTimer', timer: stepTimer(command), dueAt: new Date(retryAt) }];
    }
    case 'CheckoutStepRetried': {
      const { command } = event.data;
      // It may be retried before its time.
      return [{ kind: 'cancelTimer', timer: stepTimer(command) }, ...send(command)];
    }
    default:
      return event satisfies never;
  }
}

function sending(...commands: readonly CheckoutRequest[]): ProcessEffect[] {
  return commands.map((command) => ({ kind: 'send', command }));
}

/** This one alone: the others were asked for when they came up. */
function refunding(refundId: string, { refunds }: Checkout): ProcessEffect[] {
  const refund = refunds.get(refundId);
  return refund === undefined ? [] : sending({ type: 'RefundPayment', data: { refundId, ...refund } });
}

/** The command that brought the means of payment, if any, has its outcome now. One that has it already keeps it. */
function concludePayment(
  { payment }: Checkout,
  rejection?: ReturnType<typeof paymentDeclined>,
): readonly ProcessEffect[] {
  if (payment === null) return [];
  const { commandId } = payment;
  return [rejection === undefined ? { kind: 'conclude', commandId } : { kind: 'conclude', commandId, rejection }];
}

function concludeUnwanted(state: Checkout, orderId: string): readonly ProcessEffect[] {
  const { unwantedBy: commandId } = state;
  const rejection = paymentDeclined(reasonOfEnd(state), orderId, null);
  return commandId === null ? [] : [{ kind: 'conclude', commandId, rejection }];
}

function concludeCancellation({ cancellation }: Checkout): readonly ProcessEffect[] {
  return cancellation === null ? [] : [{ kind: 'conclude', commandId: cancellation.commandId }];
}

/** Why nothing is paid any more, in the words that payments are declined with: a customer's own words are not among them. */
function reasonOfEnd({ end }: Checkout): string {
  if (end?.reason === PAYMENT_TIMED_OUT) return 'TIMED_OUT';
  return end?.reason === 'OUT_OF_STOCK' ? end.reason : 'CANCELLED';
}

function declined(reason: string, { payment }: Checkout, orderId: string) {
  return paymentDeclined(reason, orderId, payment?.paymentId ?? null);
}
