import type { Money } from '../../values.ts';
import type { ProviderPayment } from '../provider.ts';
import { UNKNOWN_REF } from '../provider-state.ts';

const NO: ReadonlySet<number | undefined> = new Set([400, 402, 404, 422]);

/**
 * Whether an answer to `authorise` is a no that a repeat would get as well. What says nothing of the payment is a fault
 * instead: who asks may not (401, 403), something else is under way with the key (409), or it was asked too often (429).
 */
export function isDefiniteNo(status: number | undefined): boolean {
  return NO.has(status);
}

/** A payment that the provider refused to make. */
export function notMade(paymentId: string, amount: Money, failureReason: string): ProviderPayment {
  const nothing = { refundedMinor: 0, refunds: [], nextAction: null };
  return { providerRef: UNKNOWN_REF, paymentId, status: 'failed', amount, failureReason, ...nothing };
}
