import type { PaymentProvider, ProviderPayment, ProviderStatus } from './provider.ts';
import {
  type AuthorisedPayment,
  type ClosedPayment,
  type ConfirmedPayment,
  isClosed,
  type KnownPayment,
} from './state.ts';
import { withRefund } from './with-refund.ts';

const CAN_BE_CANCELLED: ReadonlySet<ProviderStatus> = new Set([
  'processing',
  'requires_action',
  'authorised',
  'declined',
]);

/**
 * Finds what was done at the provider and not heard of, and asks again for what was given up before it was done there:
 * with the same key each time, so that nothing is done twice.
 */
export async function reconcile(
  provider: PaymentProvider,
  payment: KnownPayment,
  paymentId: string,
): Promise<ProviderPayment | undefined> {
  if (isClosed(payment)) return letGo(provider, payment, paymentId);
  const found = await provider.find(paymentId);
  if (found === undefined) return undefined;
  if (payment.status === 'authorised' && found.status === 'authorised') return capture(provider, payment, paymentId);
  if (payment.status === 'confirmed' && found.status === 'captured') {
    return payBackMissing(provider, payment, paymentId, found);
  }
  return found;
}

export function capture(
  provider: PaymentProvider,
  { providerRef, amount }: AuthorisedPayment,
  paymentId: string,
): Promise<ProviderPayment> {
  return provider.capture({ paymentId, providerRef, amount });
}

/**
 * What is refunded already, or has failed, is not asked for again, and neither is what the provider knows of: its
 * idempotency key may have been forgotten there, however often it was tried.
 */
export async function payBack(
  provider: PaymentProvider,
  payment: ConfirmedPayment,
  paymentId: string,
  refundId: string,
): Promise<ProviderPayment | undefined> {
  if (payment.providerRef === null || payment.refunds.get(refundId)?.status !== 'requested') return undefined;
  const found = await provider.find(paymentId);
  return found !== undefined && hasRefund(found, refundId)
    ? found
    : askForRefund(provider, payment, paymentId, refundId);
}

function hasRefund({ refunds }: ProviderPayment, wanted: string): boolean {
  return refunds.some(({ refundId }) => refundId === wanted);
}

async function askForRefund(
  provider: PaymentProvider,
  { providerRef, refunds, amount: { currency } }: ConfirmedPayment,
  paymentId: string,
  refundId: string,
): Promise<ProviderPayment | undefined> {
  const refund = refunds.get(refundId);
  if (providerRef === null || refund === undefined) return undefined;
  return provider.refund({ paymentId, providerRef, refundId, amount: { amountMinor: refund.amountMinor, currency } });
}

/**
 * Refunds that were asked for and never came to the provider. One that breaks stops neither the others, nor that it is
 * heard what became of them.
 */
async function payBackMissing(
  provider: PaymentProvider,
  payment: ConfirmedPayment,
  paymentId: string,
  found: ProviderPayment,
): Promise<ProviderPayment> {
  const isOpen = (refundId: string) => payment.refunds.get(refundId)?.status === 'requested';
  const missing = [...payment.refunds.keys()].filter((it) => isOpen(it) && !hasRefund(found, it));
  let told = found;
  let problem: unknown;
  for (const it of missing) {
    try {
      const answer = await askForRefund(provider, payment, paymentId, it);
      // It may be the answer of the first time: of the other refunds, it tells how they were then.
      const refund = answer?.refunds.find(({ refundId }) => refundId === it);
      if (refund !== undefined) told = withRefund(told, refund);
    } catch (error) {
      problem ??= error;
    }
  }
  const isNews = told.refunds.some(({ refundId, status }) => status !== 'pending' && isOpen(refundId));
  if (problem !== undefined && !isNews) throw problem;
  return told;
}

/**
 * What came to nothing here must come to nothing there. The provider may refuse, since it has taken the money meanwhile,
 * or is about to: then that is what its answer tells, now or when it is asked again.
 */
export async function letGo(
  provider: PaymentProvider,
  { isVoided }: ClosedPayment,
  paymentId: string,
): Promise<ProviderPayment | undefined> {
  if (isVoided) return undefined;
  const found = await provider.find(paymentId);
  if (found === undefined || !CAN_BE_CANCELLED.has(found.status)) return found;
  return provider.cancel({ paymentId, providerRef: found.providerRef, seen: found.status });
}
