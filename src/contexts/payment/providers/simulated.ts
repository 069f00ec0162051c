import { z } from 'zod';
import { type Clock, systemClock } from '../../../platform/clock.ts';
import { type ApiAnswer, type ApiRequest, JsonApi } from '../../../platform/json-api.ts';
import type { OutsideParty } from '../../../platform/outside-party.ts';
import { checkWebhookSignature, SignatureRefused } from '../../../platform/webhook-signature.ts';
import { type PaymentProvider, type ProviderPayment, WebhookRefused } from '../provider.ts';
import { providerStatus } from '../provider-state.ts';
import { withRefund } from '../with-refund.ts';
import { isDefiniteNo, notMade } from './not-made.ts';

export interface SimulatedProviderSettings {
  /** Of the simulator: `http://127.0.0.1:4010`. */
  readonly url: string;
  readonly apiKey: string;
  readonly webhookSecret: string;
  /** Every call goes through it. */
  readonly party: OutsideParty;
  readonly clock?: Clock;
}

const SIGNATURE_HEADER = 'simulator-signature';

/** A payment as the simulator tells it; whatever else it tells is of no use here. */
const toldPayment = z.object({
  id: z.string(),
  reference: z.string(),
  status: providerStatus,
  amountMinor: z.int(),
  currency: z.string(),
  refundedMinor: z.int(),
  refunds: z.array(
    z.object({ reference: z.string(), amountMinor: z.int(), status: z.enum(['pending', 'succeeded', 'failed']) }),
  ),
  failureReason: z.string().nullable(),
  nextAction: z.object({ kind: z.string(), url: z.string().nullable() }).nullable(),
});
const toldPayments = z.object({ payments: z.array(toldPayment) });
const noWithPayment = z.object({ payment: toldPayment });
const webhook = z.object({ id: z.string().min(1), payment: z.unknown() });

/** Takes payments at the simulated provider (`src/simulators/payment-provider`): see docs/payments.md. */
export function createSimulatedProvider(settings: SimulatedProviderSettings): PaymentProvider {
  const { url, apiKey, webhookSecret, party, clock = systemClock } = settings;
  const api = new JsonApi(party, url, apiKey);

  const change = (
    operation: string,
    path: string,
    idempotencyKey: string,
    body: unknown,
    refused: (answer: ApiAnswer, code: string) => ProviderPayment | undefined = () => undefined,
  ) => {
    const request: ApiRequest = { operation, method: 'POST', path, idempotencyKey, body };
    return api.ask(request, (answer) => {
      const told = paymentOf(answer);
      if (told !== undefined) return told;
      const refusal = api.refusal(request, answer);
      return refused(answer, refusal.code) ?? throwing(refusal);
    });
  };
  const one = (providerRef: string) => `/v1/payments/${encodeURIComponent(providerRef)}`;

  return {
    name: 'simulated',
    authorise({ paymentId, orderId, amount, token }) {
      const body = { reference: paymentId, ...amount, token, metadata: { paymentId, orderId } };
      return change('authorise', '/v1/payments', `${paymentId}:authorise`, body, ({ status }, code) =>
        isDefiniteNo(status) ? notMade(paymentId, amount, code) : undefined,
      );
    },
    capture: ({ paymentId, providerRef, amount: { amountMinor } }) =>
      change('capture', `${one(providerRef)}/capture`, `${paymentId}:capture`, { amountMinor }),
    cancel: ({ paymentId, providerRef, seen }) =>
      change('cancel', `${one(providerRef)}/cancel`, `${paymentId}:cancel:${seen}`, {}),
    async refund({ paymentId, providerRef, refundId, amount: { amountMinor } }) {
      const body = { reference: refundId, amountMinor };
      const payment = await change('refund', `${one(providerRef)}/refunds`, `${paymentId}:refund:${refundId}`, body);
      return withRefund(payment, { refundId, amountMinor, status: 'failed' });
    },
    find(paymentId) {
      const path = `/v1/payments?reference=${encodeURIComponent(paymentId)}`;
      const request: ApiRequest = { operation: 'find', method: 'GET', path };
      return api.ask(request, (answer) => {
        if (answer.status !== 200) throw api.refusal(request, answer);
        const [found] = toldPayments.parse(answer.body).payments;
        return found && translated(found);
      });
    },
    readWebhook(headers, body) {
      try {
        checkWebhookSignature(webhookSecret, headers[SIGNATURE_HEADER], body, clock.now());
        const { id: eventId, payment } = webhook.parse(JSON.parse(body.toString('utf8')));
        return { eventId, payment: translated(toldPayment.parse(payment)) };
      } catch (error) {
        throw new WebhookRefused(error instanceof SignatureRefused ? error.message : 'The webhook cannot be read.');
      }
    },
  };
}

/** Of an answer, also of one that says no, but shows how the payment stands. */
function paymentOf({ status, body }: ApiAnswer): ProviderPayment | undefined {
  if (status < 300) return translated(toldPayment.parse(body));
  const shown = noWithPayment.safeParse(body);
  return shown.success ? translated(shown.data.payment) : undefined;
}

function translated({ id, reference, amountMinor, currency, refunds, ...same }: z.output<typeof toldPayment>) {
  return {
    ...same,
    providerRef: id,
    paymentId: reference,
    amount: { amountMinor, currency },
    refunds: refunds.map(({ reference: refundId, ...rest }) => ({ refundId, ...rest })),
  };
}

function throwing(error: Error): never {
  throw error;
}
