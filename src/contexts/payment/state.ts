import type { Money } from '../values.ts';
import type { PaymentEvent } from './events.ts';

/** What was asked for. */
interface AskedPayment {
  readonly orderId: string;
  readonly amount: Money;
  readonly provider: string;
  readonly tokenCommandId: string;
}

/** The means of payment are with the provider, or on their way. `action`: what the customer has to do first. */
export interface RequestedPayment extends AskedPayment {
  readonly status: 'requested';
  readonly action: { readonly kind: string; readonly url: string | null } | null;
}

/** The provider holds the money, and is asked to take it. */
export interface AuthorisedPayment extends AskedPayment {
  readonly status: 'authorised';
  readonly providerRef: string;
}

/** The money was taken. `providerRef`: null where there was nothing to pay. */
export interface ConfirmedPayment extends AskedPayment {
  readonly status: 'confirmed';
  readonly providerRef: string | null;
  readonly refunds: ReadonlyMap<string, Refund>;
}

/** It came to nothing: the money must not be taken any more. What was taken all the same is known as confirmed late. */
export interface ClosedPayment extends AskedPayment {
  readonly status: 'failed' | 'timed out' | 'cancelled';
  /** As far as it was heard of. */
  readonly providerRef: string | null;
  /** That the provider holds the money was heard of. */
  readonly isHeld: boolean;
  /** It came to nothing at the provider too: nothing is held there, and never will be. */
  readonly isVoided: boolean;
}

export interface Refund {
  readonly amountMinor: number;
  readonly status: 'requested' | 'refunded' | 'failed';
}

export type KnownPayment = RequestedPayment | AuthorisedPayment | ConfirmedPayment | ClosedPayment;
export type PaymentState = { readonly status: 'unknown' } | KnownPayment;

export function isClosed(payment: PaymentState): payment is ClosedPayment {
  return payment.status === 'failed' || payment.status === 'timed out' || payment.status === 'cancelled';
}

/** What was paid back until now. */
export function refundedMinor({ refunds }: ConfirmedPayment): number {
  return sumOf(refunds, (it) => it.status === 'refunded');
}

/** What is neither paid back nor about to be. */
export function refundableMinor({ amount, refunds }: ConfirmedPayment): number {
  return amount.amountMinor - sumOf(refunds, (it) => it.status !== 'failed');
}

function sumOf(refunds: ReadonlyMap<string, Refund>, counts: (it: Refund) => boolean): number {
  return [...refunds.values()].filter(counts).reduce((sum, it) => sum + it.amountMinor, 0);
}

export function evolvePayment(state: PaymentState, event: PaymentEvent): PaymentState {
  if (event.type === 'PaymentRequested') {
    const { orderId, amount, provider, tokenCommandId } = event.data;
    return { status: 'requested', orderId, amount, provider, tokenCommandId, action: null };
  }
  return state.status === 'unknown' ? state : evolveKnown(state, event);
}

function evolveKnown(state: KnownPayment, event: Exclude<PaymentEvent, { type: 'PaymentRequested' }>): PaymentState {
  const { orderId, amount, provider, tokenCommandId } = state;
  const asked = { orderId, amount, provider, tokenCommandId };
  switch (event.type) {
    case 'PaymentActionRequired': {
      const { kind, url } = event.data;
      return state.status === 'requested' ? { ...state, action: { kind, url } } : state;
    }
    case 'PaymentAuthorised': {
      const { providerRef } = event.data;
      return isClosed(state)
        ? { ...state, providerRef, isHeld: true }
        : { ...asked, status: 'authorised', providerRef };
    }
    case 'PaymentConfirmed':
      return { ...asked, status: 'confirmed', providerRef: event.data.providerRef, refunds: new Map() };
    case 'PaymentFailed': {
      const { providerRef, isOver } = event.data;
      return { ...asked, status: 'failed', providerRef, isHeld: false, isVoided: isOver };
    }
    case 'PaymentTimedOut':
      return { ...asked, ...closedAt(state), status: 'timed out' };
    case 'PaymentCancelled':
      return { ...asked, ...closedAt(state), status: 'cancelled' };
    case 'PaymentVoided':
      return isClosed(state) ? { ...state, isVoided: true } : state;
    case 'PaymentRefundRequested':
      return withRefund(state, event.data.refundId, event.data.amount.amountMinor, 'requested');
    case 'PaymentRefunded':
      return withRefund(state, event.data.refundId, event.data.amount.amountMinor, 'refunded');
    case 'PaymentRefundFailed':
      return withRefund(state, event.data.refundId, undefined, 'failed');
    default:
      return event satisfies never;
  }
}

function closedAt(state: KnownPayment) {
  const providerRef = state.status === 'authorised' ? state.providerRef : null;
  return { providerRef, isHeld: providerRef !== null, isVoided: false };
}

function withRefund(
  state: KnownPayment,
  refundId: string,
  amountMinor: number | undefined,
  status: Refund['status'],
): KnownPayment {
  if (state.status !== 'confirmed') return state;
  const refund = { amountMinor: amountMinor ?? state.refunds.get(refundId)?.amountMinor ?? 0, status };
  return { ...state, refunds: new Map(state.refunds).set(refundId, refund) };
}
