import type { RequestContext } from '../../graphql/context.ts';
import { idAsOf } from '../../graphql/global-id.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';
import { PAYMENT_STATUSES } from '../payment/messages.ts';
import type { SharedTypes } from '../shared-types.ts';
import { type AnyPayment, type PaymentRow, readPayment } from './reading.ts';

const MEANINGS: Record<(typeof PAYMENT_STATUSES)[number], string> = {
  REQUESTED: 'The provider was asked for the money, and has not said yes or no yet.',
  REQUIRES_ACTION: 'The customer must do something first: see nextAction.',
  CONFIRMED: 'The money is there.',
  FAILED: 'It came to nothing: see failureReason.',
  TIMED_OUT: 'It was not confirmed in time. What is confirmed later is paid back.',
  CANCELLED: 'It was called off. What is confirmed later is paid back.',
  REFUND_REQUESTED: 'The provider was asked to pay money back.',
  PARTIALLY_REFUNDED: 'A part of it was paid back.',
  REFUNDED: 'All of it was paid back.',
};

export function addPaymentType({ builder }: SchemaKit, { money }: SharedTypes) {
  const status = builder.enumType('PaymentStatus', {
    description: 'How far a payment has come.',
    values: Object.fromEntries(PAYMENT_STATUSES.map((name) => [name, { description: MEANINGS[name] }])) as Record<
      (typeof PAYMENT_STATUSES)[number],
      { description: string }
    >,
  });
  const action = builder.objectRef<NonNullable<PaymentRow['nextAction']>>('PaymentAction').implement({
    description: 'What the customer must do before the payment can be confirmed (3-D Secure, say).',
    audience: 'owner',
    fields: (t) => ({
      kind: t.string({ description: "What kind of thing, in the provider's words.", resolve: (it) => it.kind }),
      url: t.string({ nullable: true, description: 'Where to do it.', resolve: (it) => it.url }),
    }),
  });
  const payment = builder.objectRef<AnyPayment>('Payment');
  builder.node(payment, {
    description: 'A payment of an order, or the attempt at one.',
    audience: 'owner',
    id: { resolve: ({ paymentId, asOf }) => idAsOf(paymentId, asOf) },
    isTypeOf: (value) => typeof value === 'object' && value !== null && 'refundedMinor' in value,
    loadMany: (ids: string[], context: RequestContext) =>
      Promise.all(ids.map(async (id) => (await readPayment(id, context)) ?? null)),
    fields: (t) => ({
      status: t.field({ type: status, description: 'How far it has come.', resolve: (it) => it.status }),
      amount: t.field({
        type: money,
        description: 'What was to be paid.',
        resolve: ({ amountMinor, currency }) => ({ amountMinor, currency }),
      }),
      refunded: t.field({
        type: money,
        description: 'What was paid back.',
        resolve: ({ refundedMinor: amountMinor, currency }) => ({ amountMinor, currency }),
      }),
      provider: t.string({ description: 'Who takes the money.', resolve: (it) => it.provider }),
      failureReason: t.string({
        nullable: true,
        description: "Why it came to nothing, in the provider's words.",
        resolve: (it) => it.failureReason,
      }),
      nextAction: t.field({
        type: action,
        nullable: true,
        description: 'What the customer must do first.',
        resolve: (it) => it.nextAction,
      }),
      requestedAt: t.field({
        type: 'DateTime',
        description: 'When it began.',
        resolve: (it) => new Date(it.requestedAt),
      }),
    }),
  });
  return payment;
}
