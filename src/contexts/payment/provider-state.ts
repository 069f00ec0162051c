import { z } from 'zod';
import { currency } from '../values.ts';

/** How a payment stands at its provider, in words of our own: adapters translate into them. */

/** Exact, and without the limit that a single price has: orders add up to more. */
export const amount = z
  .object({ amountMinor: z.number().int().min(0, 'must not be negative'), currency })
  .meta({ description: 'An amount in the smallest unit of a currency.', graphql: 'Money' });

/**
 * `authorised`: the money is held, not taken. `captured`: it is taken. `declined`: it was not held, but whoever pays may
 * try the same payment again there, unless it is cancelled. `captured`, `failed` and `cancelled` are final, but that what
 * was captured may be refunded.
 */
export const providerStatus = z.enum([
  'processing',
  'requires_action',
  'authorised',
  'captured',
  'declined',
  'failed',
  'cancelled',
]);
export type ProviderStatus = z.output<typeof providerStatus>;

const providerRefund = z.object({
  /** Ours, where we asked for it; otherwise the provider's. */
  refundId: z.string().min(1),
  amountMinor: z.number().int().min(1),
  status: z.enum(['pending', 'succeeded', 'failed']),
});
export type ProviderRefund = z.output<typeof providerRefund>;

/** The provider's payment as it stands there. Webhooks and answers all carry it: so order and repetition do not matter. */
export const providerPayment = z.object({
  /** What the provider calls it, or `UNKNOWN_REF`. */
  providerRef: z.string().min(1),
  /** What we call it: our reference. */
  paymentId: z.string(),
  status: providerStatus,
  amount,
  refundedMinor: z.number().int().min(0),
  refunds: z.array(providerRefund),
  failureReason: z.string().nullable(),
  /** What the customer has to do first. */
  nextAction: z.object({ kind: z.string(), url: z.string().nullable() }).nullable(),
});
export type ProviderPayment = z.output<typeof providerPayment>;

/** In place of what the provider calls a payment: it did not say, or made none. */
export const UNKNOWN_REF = 'none';

/** The token was wiped before it could be used, and the provider knows of no payment. */
export const TOKEN_GONE = 'TOKEN_GONE';

/** What a performer of a payment comes back with; undefined where nothing had to be asked. */
export const performedPayment = z.union([providerPayment, z.literal(TOKEN_GONE)]).optional();
