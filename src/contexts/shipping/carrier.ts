import type { IncomingHttpHeaders } from 'node:http';
import type { Address } from '../values.ts';
import type { CarrierShipment } from './carrier-state.ts';

export { WebhookRefused } from '../webhook.ts';
export type { CarrierShipment } from './carrier-state.ts';

/**
 * Who carries the goods: a port. A "no" is an answer, the shipment as it stands; what is thrown is a fault, and the call
 * is made again. Each call has an idempotency key, named beside it.
 */
export interface Carrier {
  readonly name: string;
  /** Tells the carrier of goods to be fetched. Key: `<shipmentId>:register`. */
  register(it: {
    readonly shipmentId: string;
    readonly orderId: string;
    readonly address: Address;
  }): Promise<CarrierShipment>;
  /**
   * Calls it off: `cancelled` is for good, and nobody fetches the goods from then on. Undefined where the carrier knows of
   * none. Key: `<shipmentId>:cancel`.
   */
  cancel(it: { readonly shipmentId: string }): Promise<CarrierShipment | undefined>;
  /** By our id; undefined where the carrier knows of none. */
  find(shipmentId: string): Promise<CarrierShipment | undefined>;
  /**
   * What a call of the carrier's tells; undefined for nothing of ours.
   * @throws {WebhookRefused} its signature is wrong or too old, or it cannot be read
   */
  readWebhook(headers: IncomingHttpHeaders, body: Buffer): CarrierWebhook | undefined;
}

export interface CarrierWebhook {
  /** The carrier's id of what happened: the same for a repeat. */
  readonly eventId: string;
  readonly shipment: CarrierShipment;
}
