import type { ProviderPayment, ProviderRefund } from './provider.ts';

/**
 * A payment with a refund that it may not show: one that was refused is not listed there, but it has an answer, no, and is
 * not to be waited for.
 */
export function withRefund(payment: ProviderPayment, refund: ProviderRefund): ProviderPayment {
  if (payment.refunds.some(({ refundId }) => refundId === refund.refundId)) return payment;
  const refundedMinor = payment.refundedMinor + (refund.status === 'succeeded' ? refund.amountMinor : 0);
  return { ...payment, refunds: [...payment.refunds, refund], refundedMinor };
}
