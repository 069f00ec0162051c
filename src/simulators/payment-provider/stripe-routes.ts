import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { type Call, parsed, type Route } from '../http.ts';
import { formOf, nested } from './form-body.ts';
import { cancelled, captured, created, refunded, type SimulatedPayment, type Step } from './payment.ts';
import type { PaymentApi } from './rest.ts';
import { declined, page, paymentIntent, refundObject, stripeError } from './stripe-objects.ts';
import { behaviourOf } from './tokens.ts';

/** The paths of Stripe's API that are answered in its shape. */
export const STRIPE_PATHS = /^\/v1\/(payment_intents|refunds)(\/|$)/;

const amount = z
  .string()
  .regex(/^\d{1,12}$/)
  .transform(Number)
  .refine((it) => it > 0, 'must be positive');
const list = z
  .record(z.string(), z.string())
  .transform((it) => Object.values(it))
  .default([]);
const metadata = z.record(z.string(), z.string()).default({});
const create = z.object({
  amount,
  currency: z.string().regex(/^[a-z]{3}$/i),
  confirm: z.literal('true', 'must be true: nothing else is simulated'),
  capture_method: z.literal('manual', 'must be manual: nothing else is simulated'),
  payment_method: z.string(),
  metadata,
  expand: list,
});
const capture = z.object({ amount_to_capture: amount.optional(), expand: list });
const refund = z.object({ payment_intent: z.string(), amount: amount.optional(), metadata });
const paging = z.object({
  limit: z.coerce.number().int().min(1).max(100).default(10),
  starting_after: z.string().optional(),
  created: z.object({ gte: z.coerce.number().int() }).optional(),
});
const search = z.object({
  query: z.string().regex(/^metadata\['\w+'\]:'[^'\\]*'$/, "must be like metadata['name']:'value'"),
});

/** The same ledger, spoken to as Stripe is: forms in, Stripe's objects out. */
export function stripeRoutes({ ledger, faults, lateAfterMs, searchLagMs, url }: PaymentApi): Route[] {
  const keyed = (call: Call, operation: string, subject: string, take: () => Step, bodyOf: (step: Step) => unknown) =>
    ledger.calls.run(
      call,
      { operation, subject },
      () => {
        const step = take();
        const { payment } = step;
        const isNew = operation === 'create';
        const { status, body } =
          isNew && payment.status === 'failed' ? declined(payment) : { status: 200, body: bodyOf(step) };
        const hangs = isNew && payment.behaviour === 'hang';
        return { about: payment.id, status, body, entries: ledger.entriesOf(step), hangs };
      },
      stripeError,
    );
  const found = (body: unknown) => ({ status: 200, body });
  return [
    {
      method: 'POST',
      pattern: /^\/v1\/payment_intents$/,
      run(call) {
        const given = parsed(create, formOf(call));
        const id = `pi_${randomUUID().replaceAll('-', '')}`;
        const reference = given.metadata['paymentId'] ?? id;
        const take = () =>
          created({
            id,
            reference,
            amountMinor: given.amount,
            currency: given.currency.toUpperCase(),
            behaviour: behaviourOf(given.payment_method),
            metadata: given.metadata,
            url: url(),
            now: new Date(),
            lateAfterMs,
          });
        return keyed(call, 'create', reference, take, ({ payment }) => paymentIntent(payment, chargeOf(given.expand)));
      },
    },
    {
      method: 'GET',
      pattern: /^\/v1\/payment_intents$/,
      run: ({ query }) =>
        faults.around(() => {
          const { limit, starting_after: after, created: when } = parsed(paging, nested(query));
          const wanted = newestFirst(ledger.payments()).filter(
            ({ createdAt }) => when === undefined || Date.parse(createdAt) >= when.gte * 1_000,
          );
          const rest = wanted.slice(after === undefined ? 0 : wanted.findIndex(({ id }) => id === after) + 1);
          const items = rest.slice(0, limit).map((it) => paymentIntent(it));
          return found(page('/v1/payment_intents', items, rest.length > limit));
        }),
    },
    {
      method: 'GET',
      pattern: /^\/v1\/payment_intents\/search$/,
      run: ({ query }) =>
        faults.around(() => {
          const { query: text } = parsed(search, nested(query));
          const [, name = '', , value = ''] = text.split("'");
          const until = Date.now() - searchLagMs;
          const items = newestFirst(ledger.payments()).filter(
            ({ metadata, createdAt }) => metadata[name] === value && Date.parse(createdAt) <= until,
          );
          const { url: path, ...rest } = page(
            '/v1/payment_intents/search',
            items.map((it) => paymentIntent(it)),
            false,
          );
          return found({ ...rest, url: path, object: 'search_result', next_page: null });
        }),
    },
    {
      method: 'GET',
      pattern: /^\/v1\/payment_intents\/([^/]+)$/,
      run: ({ query }, id) =>
        faults.around(() => {
          const { expand } = parsed(capture, nested(query));
          return found(paymentIntent(ledger.payment(id), chargeOf(expand)));
        }),
    },
    {
      method: 'POST',
      pattern: /^\/v1\/payment_intents\/([^/]+)\/capture$/,
      run(call, id) {
        const { amount_to_capture: part, expand } = parsed(capture, formOf(call));
        const take = () => captured(ledger.payment(id), part);
        const { reference } = ledger.payment(id);
        return keyed(call, 'capture', reference, take, ({ payment }) => paymentIntent(payment, chargeOf(expand)));
      },
    },
    {
      method: 'POST',
      pattern: /^\/v1\/payment_intents\/([^/]+)\/cancel$/,
      run(call, id) {
        const take = () => cancelled(ledger.payment(id), { failedToo: true });
        return keyed(call, 'cancel', ledger.payment(id).reference, take, ({ payment }) => paymentIntent(payment));
      },
    },
    {
      method: 'POST',
      pattern: /^\/v1\/refunds$/,
      run(call) {
        const given = parsed(refund, formOf(call));
        const id = `re_${randomUUID().replaceAll('-', '')}`;
        const reference = given.metadata['refundId'] ?? id;
        const take = () => {
          const payment = ledger.payment(given.payment_intent);
          const amountMinor = given.amount ?? payment.capturedMinor;
          return refunded(payment, { id, reference, amountMinor, metadata: given.metadata }, new Date());
        };
        return keyed(call, 'refund', reference, take, ({ payment, refund: made }) =>
          made === undefined ? {} : refundObject(payment, made),
        );
      },
    },
    {
      method: 'GET',
      pattern: /^\/v1\/refunds$/,
      run: ({ query }) =>
        faults.around(() => {
          const payment = ledger.payment(query.get('payment_intent') ?? '');
          const items = payment.refunds.map((it) => refundObject(payment, it)).reverse();
          return found(page('/v1/refunds', items, false));
        }),
    },
  ];
}

function chargeOf(expand: readonly string[]): { withCharge: boolean } {
  return { withCharge: expand.includes('latest_charge') };
}

function newestFirst(payments: readonly SimulatedPayment[]): SimulatedPayment[] {
  return [...payments].reverse();
}
