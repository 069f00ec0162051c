import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { type Faults, faultPlan } from '../faults.ts';
import { type Answer, ApiError, type Call, errorAnswer, jsonOf, parsed, type Route } from '../http.ts';
import type { RenderedWebhook } from '../webhook-sender.ts';
import type { PaymentEvent, PaymentLedger } from './ledger.ts';
import {
  cancelled,
  captured,
  created,
  NotAllowed,
  refunded,
  refundedMinorOf,
  type SimulatedPayment,
  type Step,
} from './payment.ts';
import { behaviourOf } from './tokens.ts';

/** The header that carries the signature of this API's webhooks. */
const SIGNATURE_HEADER = 'simulator-signature';

const reference = z.string().min(1).max(200);
const amountMinor = z.int().min(1).max(1_000_000_000_000);
const create = z.object({
  reference,
  amountMinor,
  currency: z.string().regex(/^[A-Z]{3}$/, 'must be three capital letters'),
  token: z.string().min(1).max(200),
  metadata: z.record(z.string().max(40), z.string().max(500)).default({}),
});
const capture = z.object({ amountMinor: amountMinor.optional() });
const refund = z.object({ reference, amountMinor });
const endpoint = z.object({
  url: z.url({ protocol: /^https?$/ }),
  shape: z.enum(['plain', 'stripe']).default('plain'),
});

export interface PaymentApi {
  readonly ledger: PaymentLedger;
  readonly faults: Faults;
  readonly lateAfterMs: number;
  readonly searchLagMs: number;
  /** Of this simulator. */
  readonly url: () => string;
}

/** The provider's own API: JSON, with an idempotency key for everything that changes something. */
export function restRoutes({ ledger, faults, lateAfterMs, url }: PaymentApi): Route[] {
  const keyed = (call: Call, operation: string, subject: string, status: number, step: () => Step) =>
    ledger.calls.run(call, { operation, subject }, () => {
      const taken = step();
      const { payment } = taken;
      const body = paymentBody(payment);
      return {
        about: payment.id,
        status,
        body,
        entries: ledger.entriesOf(taken),
        hangs: operation === 'create' && payment.behaviour === 'hang',
      };
    });
  const looking = (answer: () => Answer) => faults.around(answer);
  return [
    {
      method: 'POST',
      pattern: /^\/v1\/payments$/,
      run(call) {
        const { token, ...given } = parsed(create, jsonOf(call));
        return keyed(call, 'create', given.reference, 201, () =>
          created({
            ...given,
            id: `pay_${randomUUID()}`,
            behaviour: behaviourOf(token),
            url: url(),
            now: new Date(),
            lateAfterMs,
          }),
        );
      },
    },
    {
      method: 'GET',
      pattern: /^\/v1\/payments$/,
      run: ({ query }) => looking(() => ({ status: 200, body: { payments: found(ledger, query).map(paymentBody) } })),
    },
    {
      method: 'GET',
      pattern: /^\/v1\/payments\/([^/]+)$/,
      run: (_, id) => looking(() => ({ status: 200, body: paymentBody(ledger.payment(id)) })),
    },
    {
      method: 'POST',
      pattern: /^\/v1\/payments\/([^/]+)\/capture$/,
      run(call, id) {
        const given = parsed(capture, jsonOf(call));
        const subject = ledger.payment(id).reference;
        return keyed(call, 'capture', subject, 200, () => captured(ledger.payment(id), given.amountMinor));
      },
    },
    {
      method: 'POST',
      pattern: /^\/v1\/payments\/([^/]+)\/cancel$/,
      run: (call, id) => keyed(call, 'cancel', ledger.payment(id).reference, 200, () => cancelled(ledger.payment(id))),
    },
    {
      method: 'POST',
      pattern: /^\/v1\/payments\/([^/]+)\/refunds$/,
      run(call, id) {
        const given = { ...parsed(refund, jsonOf(call)), id: `re_${randomUUID()}`, metadata: {} };
        return keyed(call, 'refund', given.reference, 201, () => refunded(ledger.payment(id), given, new Date()));
      },
    },
    {
      method: 'POST',
      pattern: /^\/v1\/webhook_endpoints$/,
      run(call) {
        const given = parsed(endpoint, jsonOf(call));
        ledger.webhooks.register(given.url, given.shape);
        return { status: 200, body: given };
      },
    },
    {
      method: 'POST',
      pattern: /^\/v1\/faults$/,
      run(call) {
        const plan = parsed(faultPlan, jsonOf(call));
        faults.set(plan);
        return { status: 200, body: plan };
      },
    },
    { method: 'GET', pattern: /^\/v1\/ledger$/, run: () => ({ status: 200, body: ledger.report() }) },
  ];
}

/** An error in this API's shape; where a payment does not allow it, it is shown. */
export function restError(error: unknown): Answer {
  const answer = errorAnswer(error);
  if (!(error instanceof NotAllowed)) return answer;
  return {
    ...answer,
    body: { error: { code: error.code, message: error.message }, payment: paymentBody(error.payment) },
  };
}

/** A webhook in this API's shape. */
export function restWebhook({ id, type, createdAt, payment }: PaymentEvent): RenderedWebhook {
  const body = JSON.stringify({ id, type, createdAt, payment: paymentBody(payment) });
  return { body, signatureHeader: SIGNATURE_HEADER };
}

function found(ledger: PaymentLedger, query: URLSearchParams): SimulatedPayment[] {
  const [wanted, key] = [query.get('reference'), query.get('idempotency_key')];
  if (wanted !== null) return ledger.payments().filter((it) => it.reference === wanted);
  if (key === null) throw new ApiError(400, 'invalid_request', 'Ask for a reference or an idempotency_key.');
  const id = ledger.calls.aboutOf(key);
  return id === undefined ? [] : [ledger.payment(id)];
}

function paymentBody(payment: SimulatedPayment) {
  const { id, status, amountMinor, currency, capturedMinor, failureReason, nextActionUrl, metadata, createdAt } =
    payment;
  return {
    id,
    reference: payment.reference,
    status,
    amountMinor,
    currency,
    capturedMinor,
    refundedMinor: refundedMinorOf(payment),
    refunds: payment.refunds.map(({ id, reference, amountMinor, status }) => ({ id, reference, amountMinor, status })),
    failureReason,
    nextAction: nextActionUrl === null ? null : { kind: 'redirect', url: nextActionUrl },
    metadata,
    createdAt,
  };
}
