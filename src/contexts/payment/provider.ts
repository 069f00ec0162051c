import type { IncomingHttpHeaders } from 'node:http';
import type { Money } from '../values.ts';
import type { ProviderPayment, ProviderStatus } from './provider-state.ts';

export { WebhookRefused } from '../webhook.ts';
export type { ProviderPayment, ProviderRefund, ProviderStatus } from './provider-state.ts';

/**
 * Who takes the money: a port, with an adapter for each provider.
 *
 * A "no" of the provider (declined, refused to cancel what is captured, refused to refund) is an answer: the payment as
 * it stands. What is thrown is a fault: it is not known what became of the call, and it is made again. Each call has an
 * idempotency key, named beside it: made again with the same key, it does nothing twice. But a provider forgets keys (Stripe
 * after 24 hours): what may have been asked for before, and would be done twice, is looked for by `find` first.
 */
export interface PaymentProvider {
  /** `simulated`, `stripe`. */
  readonly name: string;
  /** Holds the money. Key: `<paymentId>:authorise`. */
  authorise(it: {
    readonly paymentId: string;
    readonly orderId: string;
    readonly amount: Money;
    readonly token: string;
  }): Promise<ProviderPayment>;
  /** Takes what is held. Key: `<paymentId>:capture`. */
  capture(it: {
    readonly paymentId: string;
    readonly providerRef: string;
    readonly amount: Money;
  }): Promise<ProviderPayment>;
  /**
   * Gives back what is held, or stops what the customer has not finished, or may try again. Key:
   * `<paymentId>:cancel:<seen>`, for a refusal is kept with its key, and may not hold any more where it stands otherwise.
   */
  cancel(it: {
    readonly paymentId: string;
    readonly providerRef: string;
    /** How it stood when it was looked at. */
    readonly seen: ProviderStatus;
  }): Promise<ProviderPayment>;
  /** Pays back a part or all of what was taken. Key: `<paymentId>:refund:<refundId>`. */
  refund(it: {
    readonly paymentId: string;
    readonly providerRef: string;
    readonly refundId: string;
    readonly amount: Money;
  }): Promise<ProviderPayment>;
  /** By our reference; undefined where the provider knows of none. */
  find(paymentId: string): Promise<ProviderPayment | undefined>;
  /**
   * What a call of the provider's tells; undefined for nothing of ours.
   * @throws {WebhookRefused} its signature is wrong or too old, or it cannot be read
   */
  readWebhook(headers: IncomingHttpHeaders, body: Buffer): ProviderWebhook | undefined;
}

export interface ProviderWebhook {
  /** The provider's id of what happened: the same for a repeat. */
  readonly eventId: string;
  readonly payment: ProviderPayment;
}
