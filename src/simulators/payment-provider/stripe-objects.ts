import { type Answer, ApiError } from '../http.ts';
import type { RenderedWebhook } from '../webhook-sender.ts';
import type { PaymentEvent } from './ledger.ts';
import {
  NotAllowed,
  type PaymentEventType,
  refundedMinorOf,
  type SimulatedPayment,
  type SimulatedRefund,
} from './payment.ts';

/** Payments and refunds in the shapes that Stripe gives them, with the members that a shop needs. */

const STATUS = {
  processing: 'processing',
  requires_action: 'requires_action',
  authorised: 'requires_capture',
  captured: 'succeeded',
  failed: 'requires_payment_method',
  cancelled: 'canceled',
} as const;

const EVENT_TYPES: Readonly<Record<PaymentEventType, string>> = {
  'payment.requires_action': 'payment_intent.requires_action',
  'payment.authorised': 'payment_intent.amount_capturable_updated',
  'payment.captured': 'payment_intent.succeeded',
  'payment.failed': 'payment_intent.payment_failed',
  'payment.cancelled': 'payment_intent.canceled',
  'payment.refunded': 'charge.refunded',
  'refund.succeeded': 'refund.updated',
  'refund.failed': 'refund.failed',
};

export function paymentIntent(payment: SimulatedPayment, { withCharge = false } = {}) {
  const { id, amountMinor, capturedMinor, status, nextActionUrl: url } = payment;
  const hasCharge = status === 'authorised' || status === 'captured';
  const charge = withCharge ? chargeOf(payment) : chargeIdOf(payment);
  return {
    id,
    object: 'payment_intent',
    amount: amountMinor,
    amount_capturable: status === 'authorised' ? amountMinor : 0,
    amount_received: capturedMinor,
    capture_method: 'manual',
    client_secret: `${id}_secret`,
    confirmation_method: 'automatic',
    created: secondsOf(payment.createdAt),
    currency: payment.currency.toLowerCase(),
    last_payment_error: payment.failureReason === null ? null : cardError(payment),
    latest_charge: hasCharge ? charge : null,
    livemode: false,
    metadata: payment.metadata,
    next_action: url === null ? null : { type: 'redirect_to_url', redirect_to_url: { url, return_url: null } },
    payment_method_types: ['card'],
    status: STATUS[status],
  };
}

export function refundObject(payment: SimulatedPayment, refund: SimulatedRefund) {
  return {
    id: refund.id,
    object: 'refund',
    amount: refund.amountMinor,
    charge: chargeIdOf(payment),
    created: secondsOf(refund.createdAt),
    currency: payment.currency.toLowerCase(),
    failure_reason: refund.status === 'failed' ? 'unknown' : undefined,
    metadata: refund.metadata,
    payment_intent: payment.id,
    status: refund.status,
  };
}

/** @param items as they are listed: newest first */
export function page(url: string, items: readonly unknown[], hasMore: boolean) {
  return { object: 'list', url, data: items, has_more: hasMore };
}

/** A webhook with an event in Stripe's shape. */
export function stripeWebhook({ id, type, createdAt, payment, refund }: PaymentEvent): RenderedWebhook {
  const event = {
    id,
    object: 'event',
    api_version: '2026-10-28.endive',
    created: secondsOf(createdAt),
    data: { object: objectOf(type, payment, refund) },
    livemode: false,
    pending_webhooks: 1,
    request: { id: null, idempotency_key: null },
    type: EVENT_TYPES[type],
  };
  return { body: JSON.stringify(event), signatureHeader: 'stripe-signature' };
}

/** What Stripe answers to a card that was declined: the error holds the payment intent. */
export function declined(payment: SimulatedPayment): { status: number; body: unknown } {
  return { status: 402, body: { error: { ...cardError(payment), payment_intent: paymentIntent(payment) } } };
}

/** An error in Stripe's shape. */
export function stripeError(error: unknown): Answer {
  if (!(error instanceof ApiError)) return shaped(500, 'api_error', undefined, 'Something broke.');
  const { status, code, message } = error;
  if (error instanceof NotAllowed && code === 'invalid_state') {
    const { body } = shaped(400, 'invalid_request_error', 'payment_intent_unexpected_state', message);
    return { status: 400, body: { error: { ...body.error, payment_intent: paymentIntent(error.payment) } } };
  }
  if (code === 'idempotency_conflict') return shaped(400, 'idempotency_error', undefined, message);
  if (status === 404) return shaped(404, 'invalid_request_error', 'resource_missing', message);
  return shaped(status, status >= 500 ? 'api_error' : 'invalid_request_error', code, message);
}

function shaped(status: number, type: string, code: string | undefined, message: string) {
  return { status, body: { error: { type, code, message } } };
}

function objectOf(type: PaymentEventType, payment: SimulatedPayment, refundId: string | null) {
  if (type === 'payment.refunded') return chargeOf(payment);
  if (type !== 'refund.succeeded' && type !== 'refund.failed') return paymentIntent(payment);
  const refund = payment.refunds.find(({ id }) => id === refundId);
  if (refund === undefined) throw new Error('An event of a refund that its payment does not have.');
  return refundObject(payment, refund);
}

function chargeOf(payment: SimulatedPayment) {
  const refundedMinor = refundedMinorOf(payment);
  return {
    id: chargeIdOf(payment),
    object: 'charge',
    amount: payment.amountMinor,
    amount_captured: payment.capturedMinor,
    amount_refunded: refundedMinor,
    captured: payment.status === 'captured',
    currency: payment.currency.toLowerCase(),
    metadata: payment.metadata,
    payment_intent: payment.id,
    refunded: refundedMinor > 0 && refundedMinor === payment.capturedMinor,
    status: 'succeeded',
  };
}

function chargeIdOf({ id }: SimulatedPayment): string {
  return id.replace(/^[a-z]+_/, 'ch_');
}

function cardError({ failureReason: reason }: SimulatedPayment) {
  return reason === 'authentication_failed'
    ? { type: 'card_error', code: 'payment_intent_authentication_failure', message: 'It was not authenticated.' }
    : { type: 'card_error', code: 'card_declined', decline_code: 'generic_decline', message: 'The card was declined.' };
}

function secondsOf(instant: string): number {
  return Math.floor(Date.parse(instant) / 1_000);
}
