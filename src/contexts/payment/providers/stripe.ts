import Stripe from 'stripe';
import { type Clock, systemClock } from '../../../platform/clock.ts';
import { type OutsideParty, OutsidePartyFailed, OutsidePartyRefused } from '../../../platform/outside-party.ts';
import type { Money } from '../../values.ts';
import type { PaymentProvider, ProviderPayment, ProviderWebhook } from '../provider.ts';
import { withRefund } from '../with-refund.ts';
import { failedPayment, hasRefunds, paymentOf, readStripeWebhook, refundOf } from './stripe-translation.ts';

export interface StripeProviderSettings {
  readonly secretKey: string;
  /** Of the webhook endpoint: `whsec_…`. */
  readonly webhookSecret: string;
  /** Where Stripe is; in tests, the simulator. */
  readonly apiUrl?: string;
  /** Where the customer's bank sends them back to after 3-D Secure. Without it the browser has to ask by Stripe.js. */
  readonly returnUrl?: string;
  /** Every call goes through it. */
  readonly party: OutsideParty;
  readonly clock?: Clock;
}

/** What was made just now may not be in the search yet: so far back the list is looked through as well. */
const LOOK_BACK_S = 900;
const LONGEST_LOOK_BACK = 500;
const SOCKET_GRACE_MS = 500;
/** So many answers of 500 to one step are passed over. */
const MOST_KEPT_FAULTS = 20;
const WITH_CHARGE = { expand: ['latest_charge'] };

/** Takes payments at Stripe, by payment intents with manual capture. */
export function createStripeProvider(settings: StripeProviderSettings): PaymentProvider {
  const { secretKey, webhookSecret, returnUrl, party, clock = systemClock } = settings;
  const stripe = connect(settings);

  /** Runs calls of the library, with its errors in our words. */
  const ask = <Result>(operation: string, work: () => Promise<Result>): Promise<Result> =>
    party.call(operation, () => work().catch((error: unknown) => throwNamed(party.name, operation, error)));

  /** The payment as it stands, with what was paid back. */
  async function look(providerRef: string): Promise<ProviderPayment> {
    const intent = await stripe.paymentIntents.retrieve(providerRef, WITH_CHARGE);
    return paymentOf(intent, hasRefunds(intent) ? await refundsOf(providerRef) : []);
  }

  async function refundsOf(providerRef: string): Promise<Stripe.Refund[]> {
    return stripe.refunds.list({ payment_intent: providerRef, limit: 100 }).autoPagingToArray({ limit: 1_000 });
  }

  /** A step that the payment's state does not allow any more is answered with how it stands. */
  const step = (operation: string, providerRef: string, key: string, work: Keyed) =>
    ask(operation, async () => {
      try {
        await pastKeptFaults(key, work);
      } catch (error) {
        if (!isWrongState(error)) throw error;
      }
      return look(providerRef);
    });

  return {
    name: 'stripe',
    authorise: ({ paymentId, orderId, amount, token }) =>
      ask('authorise', async () => {
        try {
          return paymentOf(
            await stripe.paymentIntents.create(...creation({ paymentId, orderId, amount, token, returnUrl })),
          );
        } catch (error) {
          const failed = failedPayment(error, paymentId, amount);
          if (failed === undefined) throw error;
          return failed;
        }
      }),
    capture: ({ paymentId, providerRef, amount }) =>
      step('capture', providerRef, `${paymentId}:capture`, (options) =>
        stripe.paymentIntents.capture(providerRef, { amount_to_capture: amount.amountMinor }, options),
      ),
    cancel: ({ paymentId, providerRef, seen }) =>
      step('cancel', providerRef, `${paymentId}:cancel:${seen}`, (options) =>
        stripe.paymentIntents.cancel(providerRef, {}, options),
      ),
    refund: ({ paymentId, providerRef, refundId, amount: { amountMinor } }) =>
      ask('refund', async () => {
        const { amount: paid } = await stripe.paymentIntents.retrieve(providerRef);
        // A webhook about a refund tells nothing of the payment: so the refund carries it.
        const metadata = { paymentId, refundId, paymentAmount: String(paid) };
        try {
          const made = await stripe.refunds.create(
            { payment_intent: providerRef, amount: amountMinor, metadata },
            { idempotencyKey: `${paymentId}:refund:${refundId}` },
          );
          return withRefund(await look(providerRef), refundOf(made));
        } catch (error) {
          if (!isNo(error)) throw error;
          return withRefund(await look(providerRef), { refundId, amountMinor, status: 'failed' });
        }
      }),
    find: (paymentId) =>
      ask('find', async () => {
        const found = await intentOf(stripe, paymentId, clock.now());
        return found && look(found.id);
      }),
    readWebhook: (headers, body): ProviderWebhook | undefined =>
      readStripeWebhook(stripe, webhookSecret, headers, body, clock.now()),
  };

  function connect({ apiUrl }: StripeProviderSettings): Stripe {
    const place = apiUrl === undefined ? undefined : new URL(apiUrl);
    return new Stripe(secretKey, {
      // The queue tries again.
      maxNetworkRetries: 0,
      // The party gives up first; this ends the connection.
      timeout: party.timeoutMs + SOCKET_GRACE_MS,
      telemetry: false,
      ...(place !== undefined && {
        protocol: place.protocol === 'http:' ? 'http' : 'https',
        host: place.hostname,
        port: place.port === '' ? (place.protocol === 'http:' ? 80 : 443) : Number(place.port),
      }),
    });
  }
}

interface Creation {
  readonly paymentId: string;
  readonly orderId: string;
  readonly amount: Money;
  readonly token: string;
  readonly returnUrl: string | undefined;
}

function creation({
  paymentId,
  orderId,
  amount: { amountMinor, currency },
  token,
  returnUrl,
}: Creation): [Stripe.PaymentIntentCreateParams, Stripe.RequestOptions] {
  return [
    {
      amount: amountMinor,
      currency: currency.toLowerCase(),
      capture_method: 'manual',
      confirm: true,
      payment_method: token,
      allowed_payment_method_types: ['card'],
      ...(returnUrl === undefined
        ? { automatic_payment_methods: { enabled: true, allow_redirects: 'never' } }
        : { automatic_payment_methods: { enabled: true }, return_url: returnUrl }),
      metadata: { paymentId, orderId },
    },
    { idempotencyKey: `${paymentId}:authorise` },
  ];
}

type Keyed = (options: Stripe.RequestOptions) => Promise<unknown>;

/**
 * Stripe keeps a 500 as well, and answers with it whenever it is asked with the same key: so it is asked with another
 * one. Only for steps that the payment's state lets happen once, whatever the key: never to authorise or to refund.
 */
async function pastKeptFaults(key: string, work: Keyed): Promise<void> {
  for (let kept = 0; ; kept += 1) {
    try {
      await work({ idempotencyKey: kept === 0 ? key : `${key}:${kept}` });
      return;
    } catch (error) {
      if (kept === MOST_KEPT_FAULTS || !isKeptFault(error)) throw error;
    }
  }
}

function isKeptFault(error: unknown): boolean {
  if (!(error instanceof Stripe.errors.StripeError)) return false;
  const { statusCode = 0, headers } = error;
  return statusCode >= 500 && headers?.['idempotent-replayed'] === 'true';
}

/**
 * By our reference, which is in its metadata. The search of Stripe runs behind by up to a minute; the list does not.
 *
 * One of them: there are two only where it was authorised again without the first being found, after Stripe had forgotten
 * the key. Then it is the newest. Where the other one is known of, that is a `ProviderDisagrees`: a person has to look.
 */
async function intentOf(stripe: Stripe, paymentId: string, now: Date): Promise<Stripe.PaymentIntent | undefined> {
  if (!/^[\w-]+$/.test(paymentId)) return undefined;
  const { data } = await stripe.paymentIntents.search({ query: `metadata['paymentId']:'${paymentId}'`, limit: 1 });
  if (data[0] !== undefined) return data[0];
  const since = Math.floor(now.getTime() / 1_000) - LOOK_BACK_S;
  const recent = stripe.paymentIntents.list({ created: { gte: since }, limit: 100 });
  const listed = await recent.autoPagingToArray({ limit: LONGEST_LOOK_BACK });
  return listed.find(({ metadata }) => metadata['paymentId'] === paymentId);
}

const WRONG_STATE: ReadonlySet<string | undefined> = new Set([
  'charge_already_captured',
  'charge_expired_for_capture',
  'payment_intent_unexpected_state',
]);

/** The payment is not in the state for it, any more. */
function isWrongState(error: unknown): boolean {
  return error instanceof Stripe.errors.StripeInvalidRequestError && WRONG_STATE.has(error.code);
}

/** Stripe understood, and does not do it: the state or the amount does not allow it. */
function isNo(error: unknown): boolean {
  return error instanceof Stripe.errors.StripeInvalidRequestError && error.statusCode === 400;
}

function throwNamed(party: string, operation: string, error: unknown): never {
  if (error instanceof Stripe.errors.StripeConnectionError && error.detail instanceof Error) throw error.detail;
  if (error instanceof Stripe.errors.StripeError) {
    const { statusCode = 0, code, type } = error;
    const isRefusal = statusCode >= 400 && statusCode < 500 && statusCode !== 409 && statusCode !== 429;
    if (isRefusal) throw new OutsidePartyRefused(party, operation, code ?? type);
    if (statusCode > 0) throw new OutsidePartyFailed(party, operation, `was answered with ${statusCode}`);
  }
  throw error;
}
