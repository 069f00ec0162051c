import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../platform/logger.ts';

/** Where a server takes the webhooks of each. */
export interface WebhookUrls {
  readonly payment: string;
  readonly carrier: string;
}

/**
 * Tells both simulators, wherever they run, where their webhooks are to go: see `announceWebhook`.
 * @returns calls it off
 */
export function announceWebhooks(
  { paymentUrl, carrierUrl }: { readonly paymentUrl: string; readonly carrierUrl: string },
  apiKey: string,
  { payment, carrier }: WebhookUrls,
  logger: Logger,
): () => void {
  const offs = [
    announceWebhook(paymentUrl, apiKey, { url: payment }, logger),
    announceWebhook(carrierUrl, apiKey, { url: carrier }, logger),
  ];
  return () => {
    for (const callOff of offs) callOff();
  };
}

/**
 * Tells a simulator where its webhooks are to go; again and again until it knows.
 * @param webhook `shape`: `stripe` for events as Stripe sends them, from the payment provider alone
 * @returns calls it off
 */
export function announceWebhook(
  simulatorUrl: string,
  apiKey: string,
  webhook: { readonly url: string; readonly shape?: 'plain' | 'stripe' },
  logger: Logger,
): () => void {
  const stopped = new AbortController();
  const { signal } = stopped;

  async function announce(): Promise<void> {
    for (let pause = 100; !signal.aborted; pause = Math.min(pause * 2, 5_000)) {
      try {
        const response = await fetch(`${simulatorUrl}/v1/webhook_endpoints`, {
          method: 'POST',
          headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
          body: JSON.stringify(webhook),
          signal: AbortSignal.any([signal, AbortSignal.timeout(5_000)]),
        });
        await response.arrayBuffer();
        if (response.ok) return;
        const { status } = response;
        logger.warn({ simulatorUrl, status }, 'a simulator does not take the address of its webhooks');
      } catch {
        logger.debug({ simulatorUrl }, 'a simulator is not there yet');
      }
      await delay(pause, undefined, { signal }).catch(() => {});
    }
  }

  void announce();
  return () => stopped.abort();
}
