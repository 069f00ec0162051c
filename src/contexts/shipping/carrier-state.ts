import { z } from 'zod';

/** A shipment as it stands at its carrier, in words of our own: adapters translate into them. */
export const carrierShipment = z.object({
  shipmentId: z.string(),
  /** Who carries it. */
  carrier: z.string().min(1),
  trackingCode: z.string().min(1),
  status: z.enum(['prepared', 'in_transit', 'delivered', 'cancelled']),
});
export type CarrierShipment = z.output<typeof carrierShipment>;

/** What a performer of a shipment comes back with; undefined where nothing had to be asked. */
export const performedShipment = carrierShipment.optional();

/**
 * What the performer of a cancellation comes back with. `unknownWhile`: the carrier knows of none and takes none in, and
 * was asked while the shipment stood so here.
 */
export const performedCancellation = z
  .union([carrierShipment, z.object({ unknownWhile: z.enum(['requested', 'prepared']) })])
  .optional();
export type PerformedCancellation = z.output<typeof performedCancellation>;
