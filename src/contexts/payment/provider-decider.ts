import type { PaymentEvent } from './events.ts';
import { type ProviderPayment, type ProviderRefund, UNKNOWN_REF } from './provider-state.ts';
import {
  type ConfirmedPayment,
  evolvePayment,
  isClosed,
  type KnownPayment,
  type RequestedPayment,
  refundedMinor,
} from './state.ts';

/** What the provider says does not fit what was asked of it. No repeat mends that: a person has to look. */
export class ProviderDisagrees extends Error {
  override readonly name = 'ProviderDisagrees';

  /** The same as an answer to whoever told it. */
  get rejection() {
    return { code: 'PROVIDER_DISAGREES' as const, message: this.message };
  }
}

/**
 * What is new in how a payment stands at its provider. It is told in any order, several times, and late: what is not
 * further than what is known is nothing new, so it never goes backwards, and the second time gives no events.
 *
 * What was captured is confirmed whatever happened before, for that money was taken. What came to nothing here, and is
 * only held there, is heard of once, so that it can be let go of.
 *
 * @throws {ProviderDisagrees} it is another payment, or another amount
 */
export function heard(payment: KnownPayment, paymentId: string, told: ProviderPayment): readonly PaymentEvent[] {
  check(payment, paymentId, told);
  if (isOfAnother(payment, told)) return [];
  const events = heardOfStatus(payment, told);
  const after = events.reduce(evolvePayment, payment);
  return after.status === 'confirmed' ? [...events, ...heardOfRefunds(after, told)] : events;
}

/** Nothing was made, the provider says: but it is known to have made something, which that is not about. */
function isOfAnother(payment: KnownPayment, told: ProviderPayment): boolean {
  return told.providerRef === UNKNOWN_REF && refOf(payment) !== null;
}

function refOf(payment: KnownPayment): string | null {
  return 'providerRef' in payment ? payment.providerRef : null;
}

function check(payment: KnownPayment, paymentId: string, told: ProviderPayment): void {
  const { amount } = payment;
  const providerRef = refOf(payment);
  if (told.paymentId !== paymentId) {
    throw new ProviderDisagrees(`Of payment ${paymentId}, the provider tells what belongs to ${told.paymentId}.`);
  }
  const isKnown = providerRef !== null && told.providerRef !== UNKNOWN_REF;
  if (isKnown && told.providerRef !== providerRef) {
    throw new ProviderDisagrees(`Payment ${paymentId} is ${providerRef} at the provider, and now ${told.providerRef}.`);
  }
  if (told.amount.amountMinor !== amount.amountMinor || told.amount.currency !== amount.currency) {
    const [asked, is] = [amount, told.amount].map((it) => `${it.amountMinor} ${it.currency}`);
    throw new ProviderDisagrees(`Payment ${paymentId} is of ${asked}, but of ${is} at the provider.`);
  }
}

function heardOfStatus(payment: KnownPayment, told: ProviderPayment): readonly PaymentEvent[] {
  if (payment.status === 'confirmed') return [];
  const { orderId, amount } = payment;
  const { providerRef } = told;
  switch (told.status) {
    case 'processing':
      return [];
    case 'requires_action':
      return payment.status === 'requested' ? heardOfAction(payment, told) : [];
    case 'authorised': {
      const isLate = isClosed(payment);
      const isNew = isClosed(payment) ? !payment.isHeld && !payment.isVoided : payment.status === 'requested';
      return isNew ? [{ type: 'PaymentAuthorised', data: { orderId, providerRef, isLate } }] : [];
    }
    case 'captured':
      return [{ type: 'PaymentConfirmed', data: { orderId, providerRef, amount, isLate: isClosed(payment) } }];
    case 'declined':
      // What is held was tried again since.
      return payment.status === 'authorised' ? [] : heardOfEnd(payment, told);
    case 'failed':
    case 'cancelled':
      return heardOfEnd(payment, told);
    default:
      return told.status satisfies never;
  }
}

function heardOfEnd(payment: Exclude<KnownPayment, ConfirmedPayment>, told: ProviderPayment): readonly PaymentEvent[] {
  const { orderId } = payment;
  const isMade = told.providerRef !== UNKNOWN_REF;
  // What was only declined may be tried again there, and what it did not make it may have made all the same.
  const isOver = isMade && told.status !== 'declined';
  if (isClosed(payment)) return isOver && !payment.isVoided ? [{ type: 'PaymentVoided', data: { orderId } }] : [];
  const reason = told.failureReason ?? (told.status === 'cancelled' ? 'CANCELLED_BY_PROVIDER' : 'DECLINED');
  const providerRef = isMade ? told.providerRef : null;
  return [{ type: 'PaymentFailed', data: { orderId, reason, providerRef, isOver } }];
}

function heardOfAction({ orderId, action }: RequestedPayment, { nextAction }: ProviderPayment): PaymentEvent[] {
  const { kind, url } = nextAction ?? { kind: 'UNKNOWN', url: null };
  if (action !== null && action.kind === kind && action.url === url) return [];
  return [{ type: 'PaymentActionRequired', data: { orderId, kind, url } }];
}

function heardOfRefunds(payment: ConfirmedPayment, { paymentId, refunds }: ProviderPayment): readonly PaymentEvent[] {
  const events: PaymentEvent[] = [];
  let current = payment;
  for (const refund of refunds) {
    const event = heardOfRefund(current, paymentId, refund);
    if (event === undefined) continue;
    events.push(event);
    const next = evolvePayment(current, event);
    if (next.status === 'confirmed') current = next;
  }
  return events;
}

/** Pending, then succeeded, then failed: money that was paid back may come back, but what has failed stays so. */
function heardOfRefund(payment: ConfirmedPayment, paymentId: string, refund: ProviderRefund): PaymentEvent | undefined {
  const { refundId, amountMinor, status } = refund;
  const known = payment.refunds.get(refundId);
  if (known !== undefined && known.amountMinor !== amountMinor) {
    throw new ProviderDisagrees(
      `Refund ${refundId} of payment ${paymentId} is of ${known.amountMinor}, but of ${amountMinor} at the provider.`,
    );
  }
  const { orderId } = payment;
  const { currency } = payment.amount;
  const refunded = (difference: number) => ({ amountMinor: refundedMinor(payment) + difference, currency });
  // One that nobody here asked for was made at the provider: money was paid back all the same.
  if (status === 'succeeded' && (known === undefined || known.status === 'requested')) {
    const amount = { amountMinor, currency };
    return { type: 'PaymentRefunded', data: { orderId, refundId, amount, refunded: refunded(amountMinor) } };
  }
  if (status === 'failed' && known !== undefined && known.status !== 'failed') {
    const cameBack = known.status === 'refunded' ? -amountMinor : 0;
    const reason = 'REFUSED_BY_PROVIDER';
    return { type: 'PaymentRefundFailed', data: { orderId, refundId, reason, refunded: refunded(cameBack) } };
  }
  return undefined;
}
