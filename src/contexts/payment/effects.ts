import type { Effect } from '../../eventsourcing/processes/effect.ts';
import type { PaymentCommand } from './commands.ts';
import type { PaymentEvent } from './events.ts';

/** What the provider is asked for because of an event. */
export function paymentEffectsOf(event: PaymentEvent, paymentId: string): readonly Effect[] {
  return requestsOf(event, paymentId).map((command) => ({ kind: 'send', command }));
}

function requestsOf({ type, data }: PaymentEvent, paymentId: string): readonly PaymentCommand[] {
  switch (type) {
    case 'PaymentRequested':
      // There is nothing to hold of nothing.
      return data.amount.amountMinor > 0 ? [{ type: 'AuthorisePayment', data: { paymentId } }] : [];
    case 'PaymentAuthorised':
      return [{ type: data.isLate ? 'VoidPayment' : 'CapturePayment', data: { paymentId } }];
    case 'PaymentTimedOut':
    case 'PaymentCancelled':
      return [{ type: 'VoidPayment', data: { paymentId } }];
    case 'PaymentRefundRequested':
      return [{ type: 'SendRefund', data: { paymentId, refundId: data.refundId } }];
    case 'PaymentFailed':
      // What whoever pays could try again there is stopped there too.
      return data.isOver || data.providerRef === null ? [] : [{ type: 'VoidPayment', data: { paymentId } }];
    case 'PaymentActionRequired':
    case 'PaymentConfirmed':
    case 'PaymentVoided':
    case 'PaymentRefunded':
    case 'PaymentRefundFailed':
      return [];
    default:
      return type satisfies never;
  }
}
