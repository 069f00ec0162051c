import type { Logger } from '../../platform/logger.ts';
import { Faults } from '../faults.ts';
import { type Answer, type Call, requireKey, routed, startHttp } from '../http.ts';
import { ledgerMark, type Simulator } from '../simulator.ts';
import type { WebhookPatience } from '../webhook-sender.ts';
import { actionPage } from './action-page.ts';
import { PaymentLedger } from './ledger.ts';
import { restError, restRoutes, restWebhook } from './rest.ts';
import { stripeError, stripeWebhook } from './stripe-objects.ts';
import { STRIPE_PATHS, stripeRoutes } from './stripe-routes.ts';

export interface PaymentSimulatorOptions {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** Its folder is taken for this process alone. */
  readonly ledgerFile: string;
  readonly apiKey: string;
  readonly webhookSecret: string;
  /** Where webhooks go, beside what is registered by `POST /v1/webhook_endpoints`. */
  readonly webhookUrl?: string;
  /** When `tok_late` takes the money. */
  readonly lateAfterMs?: number;
  /** By how much the first webhook of `tok_disorder` comes too late. */
  readonly disorderMs?: number;
  /** How far the search in Stripe's shape runs behind. */
  readonly searchLagMs?: number;
  /** The pauses before a webhook that was not taken is sent again. */
  readonly webhookPausesMs?: WebhookPatience;
  readonly logger: Logger;
}

/** Says whose port it is: to those who would start another one there. */
export const PAYMENT_SIMULATOR = 'cartstream payment provider';

const DEFAULT_LATE_AFTER_MS = 20 * 60_000;
const DEFAULT_DISORDER_MS = 1_500;
/** Stripe's own runs behind by up to a minute. */
const DEFAULT_SEARCH_LAG_MS = 2_000;
const DEFAULT_PAUSES_MS = { first: 200, longest: 60_000 };

/**
 * A payment provider that takes no money: an HTTP server with a ledger on disk, an API of its own, and one in the shape of
 * Stripe's.
 * @throws {FolderInUse} another process has the ledger open
 */
export async function startPaymentSimulator(options: PaymentSimulatorOptions): Promise<Simulator> {
  const { host, port, apiKey, webhookSecret: secret, logger, webhookUrl } = options;
  const faults = new Faults();
  const ledger = new PaymentLedger({
    file: options.ledgerFile,
    secret,
    faults,
    logger,
    disorderMs: options.disorderMs ?? DEFAULT_DISORDER_MS,
    webhookPausesMs: options.webhookPausesMs ?? DEFAULT_PAUSES_MS,
    render: (shape, event) => (shape === 'stripe' ? stripeWebhook(event) : restWebhook(event)),
  });
  let url = '';
  const api = {
    ledger,
    faults,
    lateAfterMs: options.lateAfterMs ?? DEFAULT_LATE_AFTER_MS,
    searchLagMs: options.searchLagMs ?? DEFAULT_SEARCH_LAG_MS,
    url: () => url,
  };
  const [rest, stripe, pages] = [restRoutes(api), stripeRoutes(api), actionPage(ledger)];

  const ledgerId = ledgerMark(options.ledgerFile);

  async function handle(call: Call): Promise<Answer | 'hang'> {
    if (call.path === '/health') return { status: 200, body: { simulator: PAYMENT_SIMULATOR, ledger: ledgerId } };
    const isStripe = STRIPE_PATHS.test(call.path);
    try {
      // Whoever pays opens those, with nothing but their address.
      if (call.path.startsWith('/actions/')) return await routed(pages, call);
      requireKey(apiKey, call);
      return await routed(isStripe ? stripe : rest, call);
    } catch (error) {
      const answer = isStripe ? stripeError(error) : restError(error);
      if (answer.status === 500) logger.debug({ err: error, path: call.path }, 'the payment provider failed');
      return answer;
    }
  }

  try {
    const server = await startHttp({ host, port, setting: 'PAYMENT_SIMULATOR_PORT', logger }, handle);
    url = server.url;
    if (webhookUrl !== undefined) ledger.webhooks.register(webhookUrl, 'plain');
    ledger.start();
    return {
      url,
      async stop() {
        await server.stop();
        await ledger.stop();
      },
    };
  } catch (error) {
    await ledger.stop();
    throw error;
  }
}
