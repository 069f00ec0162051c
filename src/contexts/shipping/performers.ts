import type { Performer } from '../../eventsourcing/performer.ts';
import type { Carrier } from './carrier.ts';
import { registerShipment, type ShipmentCommand } from './commands.ts';
import type { ShipmentState } from './state.ts';

type PerformedShipmentCommand = Extract<
  ShipmentCommand,
  { type: 'RegisterShipment' | 'ReconcileShipment' | 'CancelAtCarrier' }
>;

/** Who does what the commands of a shipment ask of its carrier, by their names. */
export function createShippingPerformers(
  carrier: Carrier,
): Readonly<Record<PerformedShipmentCommand['type'], Performer>> {
  return {
    RegisterShipment: async ({ data, state }) => {
      const { shipmentId } = registerShipment.input.parse(data);
      const shipment = state as ShipmentState;
      if (shipment.status !== 'requested') return undefined;
      const { orderId, address } = shipment;
      // Nothing can be sent to who was forgotten: staff has to cancel it.
      if (address === null) throw new Error(`Where shipment ${shipmentId} goes was forgotten.`);
      return carrier.register({ shipmentId, orderId, address });
    },
    ReconcileShipment: async ({ data, state }) => {
      const { shipmentId } = registerShipment.input.parse(data);
      const shipment = state as ShipmentState;
      if (shipment.status === 'unknown' || shipment.status === 'delivered' || shipment.status === 'cancelled') {
        return undefined;
      }
      const found = await carrier.find(shipmentId);
      const { status, orderId, address } = shipment;
      // Where nobody knows where it goes, RegisterShipment has said so.
      if (found !== undefined || status !== 'requested' || address === null) return found;
      return carrier.register({ shipmentId, orderId, address });
    },
    CancelAtCarrier: async ({ data, state }) => {
      const { shipmentId } = registerShipment.input.parse(data);
      const shipment = state as ShipmentState;
      return shipment.status === 'cancelled' ? carrier.cancel({ shipmentId }) : undefined;
    },
  };
}
