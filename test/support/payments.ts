import type { PaymentCommand } from '../../src/contexts/payment/commands.ts';
import type { PaymentEvent } from '../../src/contexts/payment/events.ts';
import type { ProviderPayment, ProviderRefund } from '../../src/contexts/payment/provider.ts';

/** Words for tests about payments. */

export const PAYMENT = '11111111-1111-4111-8111-111111111111';
export const OTHER_PAYMENT = '22222222-2222-4222-8222-222222222222';
export const ORDER = '33333333-3333-4333-8333-333333333333';
export const TOKEN_COMMAND = '44444444-4444-4444-8444-444444444444';
export const REF = 'pay_1';
export const AMOUNT = { amountMinor: 1000, currency: 'GBP' };

export const gbp = (amountMinor: number) => ({ amountMinor, currency: 'GBP' });

type DataOf<Type extends PaymentCommand['type']> = Extract<PaymentCommand, { type: Type }>['data'];

export const request = (changes: Partial<DataOf<'RequestPayment'>> = {}): PaymentCommand => ({
  type: 'RequestPayment',
  data: {
    ...{ paymentId: PAYMENT, orderId: ORDER, customerId: 'carla', amount: AMOUNT },
    ...{ tokenCommandId: TOKEN_COMMAND, provider: 'simulated', ...changes },
  },
});
export const note = (payment: ProviderPayment): PaymentCommand => ({
  type: 'NoteProviderPayment',
  data: { paymentId: PAYMENT, payment },
});
export const timeOut: PaymentCommand = { type: 'TimeOutPayment', data: { paymentId: PAYMENT } };
export const cancel: PaymentCommand = { type: 'CancelPayment', data: { paymentId: PAYMENT, reason: 'unwanted' } };
export const refund = (refundId: string, amountMinor: number, currency = 'GBP'): PaymentCommand => ({
  type: 'RefundPayment',
  data: { paymentId: PAYMENT, refundId, amount: { amountMinor, currency } },
});
export const perform = (
  type: 'AuthorisePayment' | 'CapturePayment' | 'VoidPayment' | 'ReconcilePayment',
): PaymentCommand => ({ type, data: { paymentId: PAYMENT } });
export const sendRefund = (refundId: string): PaymentCommand => ({
  type: 'SendRefund',
  data: { paymentId: PAYMENT, refundId },
});

/** The payment as it stands at the provider. */
export const at = (status: ProviderPayment['status'], changes: Partial<ProviderPayment> = {}): ProviderPayment => ({
  ...{ providerRef: REF, paymentId: PAYMENT, status, amount: AMOUNT, refundedMinor: 0, refunds: [] },
  ...{ failureReason: null, nextAction: null, ...changes },
});
export const atWith = (...refunds: ProviderRefund[]): ProviderPayment =>
  at('captured', {
    refunds,
    refundedMinor: refunds.reduce((sum, it) => sum + (it.status === 'succeeded' ? it.amountMinor : 0), 0),
  });
export const made = (
  refundId: string,
  amountMinor: number,
  status: ProviderRefund['status'] = 'succeeded',
): ProviderRefund => ({ refundId, amountMinor, status });

const orderId = ORDER;

export const requested: PaymentEvent = {
  type: 'PaymentRequested',
  data: { orderId, customerId: 'carla', amount: AMOUNT, provider: 'simulated', tokenCommandId: TOKEN_COMMAND },
};
export const actionRequired = (url: string | null): PaymentEvent => ({
  type: 'PaymentActionRequired',
  data: { orderId, kind: 'REDIRECT', url },
});
export const authorised = (isLate = false): PaymentEvent => ({
  type: 'PaymentAuthorised',
  data: { orderId, providerRef: REF, isLate },
});
export const confirmed = (isLate = false): PaymentEvent => ({
  type: 'PaymentConfirmed',
  data: { orderId, providerRef: REF, amount: AMOUNT, isLate },
});
export const failed = (
  reason = 'card_declined',
  providerRef: string | null = REF,
  isOver = providerRef !== null,
): PaymentEvent => ({ type: 'PaymentFailed', data: { orderId, reason, providerRef, isOver } });
/** It has failed here, and could be tried again at the provider. */
export const declined = failed('card_declined', REF, false);
export const timedOut: PaymentEvent = { type: 'PaymentTimedOut', data: { orderId } };
export const cancelled: PaymentEvent = { type: 'PaymentCancelled', data: { orderId, reason: 'unwanted' } };
export const voided: PaymentEvent = { type: 'PaymentVoided', data: { orderId } };
export const refundRequested = (refundId: string, amountMinor: number): PaymentEvent => ({
  type: 'PaymentRefundRequested',
  data: { orderId, refundId, amount: gbp(amountMinor) },
});
export const refunded = (refundId: string, amountMinor: number, total: number): PaymentEvent => ({
  type: 'PaymentRefunded',
  data: { orderId, refundId, amount: gbp(amountMinor), refunded: gbp(total) },
});
export const refundFailed = (refundId: string, total: number): PaymentEvent => ({
  type: 'PaymentRefundFailed',
  data: { orderId, refundId, reason: 'REFUSED_BY_PROVIDER', refunded: gbp(total) },
});
