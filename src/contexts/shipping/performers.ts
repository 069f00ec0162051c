import type { Performer } from '../../eventsourcing/commands/performer.ts';
import { OutsidePartyRefused } from '../../platform/outside-party.ts';
import type { Carrier } from './carrier.ts';
import type { PerformedCancellation } from './carrier-state.ts';
import { registerShipment, type ShipmentCommand } from './commands.ts';
import type { KnownShipment, ShipmentState } from './state.ts';

type PerformedShipmentCommand = Extract<
  ShipmentCommand,
  { type: 'RegisterShipment' | 'ReconcileShipment' | 'CancelShipment' }
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
    CancelShipment: async ({ data, state }) => {
      const { shipmentId } = registerShipment.input.parse(data);
      const shipment = state as ShipmentState;
      if (shipment.status === 'unknown') return undefined;
      const { status, orderId, address } = shipment;
      if (status === 'in transit' || status === 'delivered') return undefined;
      return callOff(carrier, { shipmentId, status, orderId, address });
    },
  };
}

interface StoppableShipment extends Pick<KnownShipment, 'orderId' | 'address'> {
  readonly shipmentId: string;
  readonly status: 'requested' | 'prepared' | 'cancelled';
}

/**
 * Calls a shipment off. Where the carrier knows of none, it is told of it first, with the key of RegisterShipment: for
 * that command's call may be under way just now, or be made late by a process that is given up for dead. It then finds a
 * shipment that is called off already, instead of making one that is fetched.
 */
async function callOff(
  carrier: Carrier,
  { shipmentId, status, orderId, address }: StoppableShipment,
): Promise<PerformedCancellation> {
  const known = await carrier.cancel({ shipmentId });
  if (known !== undefined || status === 'cancelled') return known;
  // Nothing can be sent to who was forgotten, and what the carrier refuses it refuses whoever calls.
  if (address === null) return { unknownWhile: status };
  try {
    await carrier.register({ shipmentId, orderId, address });
  } catch (error) {
    if (error instanceof OutsidePartyRefused) return { unknownWhile: status };
    throw error;
  }
  const answer = await carrier.cancel({ shipmentId });
  if (answer === undefined) throw new Error(`The carrier was told of shipment ${shipmentId}, and does not know it.`);
  return answer;
}
