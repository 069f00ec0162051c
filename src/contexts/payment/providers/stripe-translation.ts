import type { IncomingHttpHeaders } from 'node:http';
import Stripe from 'stripe';
import { z } from 'zod';
import type { Money } from '../../values.ts';
import {
  type ProviderPayment,
  type ProviderRefund,
  type ProviderStatus,
  type ProviderWebhook,
  WebhookRefused,
} from '../provider.ts';
import { isDefiniteNo, notMade } from './not-made.ts';

/** What Stripe says, in our words. */

const TOLERANCE_S = 300;

const STATUS: Readonly<Record<Stripe.PaymentIntent.Status, ProviderStatus>> = {
  processing: 'processing',
  requires_action: 'requires_action',
  requires_capture: 'authorised',
  requires_confirmation: 'processing',
  requires_payment_method: 'declined',
  succeeded: 'captured',
  canceled: 'cancelled',
};

const REFUND_STATUS: Readonly<Record<string, ProviderRefund['status']>> = {
  succeeded: 'succeeded',
  failed: 'failed',
  canceled: 'failed',
};

/** @param refunds all that there are of it */
export function paymentOf(intent: Stripe.PaymentIntent, refunds: readonly Stripe.Refund[] = []): ProviderPayment {
  const { id, amount, currency, metadata, last_payment_error: problem, next_action: action } = intent;
  const told = refunds.map(refundOf);
  // One of Stripe's newer states would not be in the table.
  const status = STATUS[intent.status] ?? 'processing';
  return {
    providerRef: id,
    paymentId: metadata['paymentId'] ?? '',
    status,
    amount: { amountMinor: amount, currency: currency.toUpperCase() },
    refundedMinor: told.reduce((sum, it) => (it.status === 'succeeded' ? sum + it.amountMinor : sum), 0),
    refunds: told,
    failureReason: status === 'declined' ? (problem?.decline_code ?? problem?.code ?? null) : null,
    nextAction: action && { kind: action.type, url: action.redirect_to_url?.url ?? null },
  };
}

/** Whether there is anything to list: what was captured may have been paid back, also in vain. */
export function hasRefunds({ status }: Stripe.PaymentIntent): boolean {
  return status === 'succeeded';
}

/** A card that was declined, a token that Stripe does not know, or what it does not take: a no, which Stripe throws. */
export function failedPayment(error: unknown, paymentId: string, amount: Money): ProviderPayment | undefined {
  if (!isRefused(error)) return undefined;
  const { payment_intent: intent, decline_code: declineCode, code, type, param } = error;
  const isToken = code === 'resource_missing' && /^payment_method/.test(param ?? '');
  // Stripe's own package puts an empty decline_code where there is none.
  const failureReason = isToken ? 'unknown_token' : declineCode || code || type;
  if (intent === undefined) return notMade(paymentId, amount, failureReason);
  const told = paymentOf(intent);
  // With a card that was declined; otherwise it stands as it stands.
  if (!(error instanceof Stripe.errors.StripeCardError)) return told;
  return { ...told, status: told.status === 'cancelled' ? 'cancelled' : 'declined', failureReason };
}

/** Some of Stripe's 400 say nothing of the payment: something else came with the key, or it was asked too often. */
function isRefused(error: unknown): error is Stripe.errors.StripeError {
  const { StripeError, StripeIdempotencyError, StripeRateLimitError } = Stripe.errors;
  if (error instanceof StripeIdempotencyError || error instanceof StripeRateLimitError) return false;
  return error instanceof StripeError && isDefiniteNo(error.statusCode);
}

export function refundOf({ id, amount, status, metadata }: Stripe.Refund): ProviderRefund {
  const refundId = metadata?.['refundId'] ?? id;
  return { refundId, amountMinor: amount, status: REFUND_STATUS[status ?? ''] ?? 'pending' };
}

/**
 * A webhook about a payment intent or a refund of ours; of anything else, undefined.
 * @throws {WebhookRefused}
 */
export function readStripeWebhook(
  stripe: Stripe,
  secret: string,
  headers: IncomingHttpHeaders,
  body: Buffer,
  now: Date,
): ProviderWebhook | undefined {
  const header = headers['stripe-signature'];
  if (header === undefined) throw new WebhookRefused('The webhook has no signature.');
  let event: Stripe.Event;
  try {
    event = stripe.webhooks.constructEvent(body, header, secret, TOLERANCE_S, undefined, now.getTime());
  } catch (error) {
    const isSignature = error instanceof Stripe.errors.StripeSignatureVerificationError;
    throw new WebhookRefused(isSignature ? 'The signature of the webhook is wrong or too old.' : 'It cannot be read.');
  }
  const payment = paymentIn(event);
  return payment && { eventId: event.id, payment };
}

function paymentIn(event: Stripe.Event): ProviderPayment | undefined {
  switch (event.type) {
    case 'payment_intent.amount_capturable_updated':
    case 'payment_intent.canceled':
    case 'payment_intent.payment_failed':
    case 'payment_intent.processing':
    case 'payment_intent.requires_action':
    case 'payment_intent.succeeded': {
      const payment = paymentOf(event.data.object);
      return payment.paymentId === '' ? undefined : payment;
    }
    case 'refund.created':
    case 'refund.failed':
    case 'refund.updated':
      return paymentOfRefund(event.data.object);
    default:
      // charge.refunded among them: it tells the sum, but not which of our refunds it is.
      return undefined;
  }
}

const ourMetadata = z.object({
  paymentId: z.string().min(1),
  refundId: z.string().min(1),
  paymentAmount: z.string().regex(/^\d+$/).transform(Number),
});

/** Only what was paid back is captured; the rest of what it says of the payment we gave it to carry. */
function paymentOfRefund(refund: Stripe.Refund): ProviderPayment | undefined {
  const ours = ourMetadata.safeParse(refund.metadata);
  const { payment_intent: intent, currency } = refund;
  if (!ours.success || intent === null) return undefined;
  const { paymentId, paymentAmount } = ours.data;
  const told = refundOf(refund);
  return {
    providerRef: typeof intent === 'string' ? intent : intent.id,
    paymentId,
    status: 'captured',
    amount: { amountMinor: paymentAmount, currency: currency.toUpperCase() },
    refundedMinor: told.status === 'succeeded' ? told.amountMinor : 0,
    refunds: [told],
    failureReason: null,
    nextAction: null,
  };
}
