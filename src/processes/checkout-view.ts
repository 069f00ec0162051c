import type { ProcessStatus, ProcessStepView } from '../eventsourcing/processes/process-manager.ts';
import type { CheckoutEvent } from './checkout-events.ts';

/** What happens beside the main way changes nothing of how far the whole has come. */
const AS_BEFORE = null;

const seen = (
  step: string,
  stepStatus: ProcessStepView['stepStatus'],
  status: ProcessStatus | typeof AS_BEFORE = 'RUNNING',
  detail: string | null = null,
): ProcessStepView => ({ step, stepStatus, status: status ?? undefined, detail });

/** How an event of a checkout looks to whoever watches it. */
export function viewOfCheckout(event: CheckoutEvent): ProcessStepView {
  switch (event.type) {
    case 'CheckoutStarted':
      return event.data.couponCode === null ? seen('reserve stock', 'WAITING') : seen('redeem coupon', 'WAITING');
    case 'CheckoutIdTaken':
      return seen('check out', 'FAILED', AS_BEFORE, 'another cart, with the same order id');
    case 'CheckoutCouponRedeemed':
      return seen('redeem coupon', 'DONE');
    case 'CheckoutRefused':
      return seen('reserve stock', 'FAILED', 'COMPENSATED', event.data.rejection.message);
    case 'CheckoutStockReserved':
      return seen('reserve stock', 'DONE');
    case 'CheckoutOrderPlaced':
      return seen('place order', 'DONE');
    case 'CheckoutNothingToPay':
      return seen('payment', 'DONE', 'RUNNING', 'nothing to pay');
    case 'CheckoutPaymentBegan':
    case 'CheckoutPaymentActionNeeded':
      return seen('payment', 'WAITING', 'RUNNING', event.type === 'CheckoutPaymentBegan' ? null : 'of the customer');
    case 'CheckoutPaymentFailed':
      return seen('payment', 'FAILED', 'RUNNING', event.data.reason);
    case 'CheckoutPaymentFailureNoted':
      return seen('payment', 'FAILED', AS_BEFORE, 'it can be paid otherwise');
    case 'CheckoutPaymentOverdue':
      return seen('payment', 'WAITING', AS_BEFORE, `overdue: waited for until ${event.data.until}`);
    case 'CheckoutCartReopened':
      return seen('check out', 'UNDONE', AS_BEFORE);
    case 'CheckoutOrderClosed':
      return seen('cancel', 'DONE', AS_BEFORE, 'the order is cancelled');
    case 'CheckoutPaymentConfirmed':
      return seen('payment', 'DONE');
    case 'CheckoutPaymentTooLate':
      return seen('payment', 'UNDONE', AS_BEFORE, 'too late: it is paid back');
    case 'CheckoutPaymentUnwanted':
      return seen('payment', 'FAILED', AS_BEFORE, 'too late');
    case 'CheckoutTimedOut':
      return seen('payment', 'FAILED', 'COMPENSATED', event.data.reason);
    case 'CheckoutStockSold':
      return seen('sell stock', 'DONE');
    case 'CheckoutStockLost':
      return seen('sell stock', 'FAILED', 'COMPENSATED', event.data.rejection.message);
    case 'CheckoutOrderPaid':
      return seen('ship', 'WAITING');
    case 'CheckoutShipmentPrepared':
      return seen('ship', 'WAITING', 'RUNNING', 'prepared');
    case 'CheckoutShippingBegan':
      return seen('ship', 'DONE', 'RUNNING', event.data.trackingCode);
    case 'CheckoutDelivered':
      return seen('deliver', 'DONE', 'COMPLETED');
    case 'CheckoutCancellationAsked':
      return seen('cancel', 'WAITING', AS_BEFORE);
    case 'CheckoutCancellationRefused':
      return seen('cancel', 'FAILED', AS_BEFORE, event.data.rejection.message);
    case 'CheckoutCancellationRefusalNoted':
      return seen('cancel', 'FAILED', AS_BEFORE, 'the order goes on');
    case 'CheckoutCancelled':
      return seen('cancel', 'DONE', 'COMPENSATED');
    case 'CheckoutReturnAccepted':
      return seen('return', 'WAITING', 'RUNNING');
    case 'CheckoutReturnRestocked':
      return seen('return', 'DONE', 'COMPLETED');
    case 'CheckoutRefunded':
      return seen('refund', 'DONE', AS_BEFORE, event.data.refundId);
    case 'CheckoutRefundFailed':
      return seen('refund', 'FAILED', AS_BEFORE, `${event.data.reason} Next try: ${event.data.retryAt}.`);
    case 'CheckoutRefundRetried':
      return seen('refund', 'WAITING', AS_BEFORE);
    case 'CheckoutStepFailed':
      return seen(event.data.command, 'FAILED', AS_BEFORE, `${event.data.detail} Next try: ${event.data.retryAt}.`);
    case 'CheckoutStepRetried':
      return seen(event.data.command, 'WAITING', AS_BEFORE);
    default:
      return event satisfies never;
  }
}
