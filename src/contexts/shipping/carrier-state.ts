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
