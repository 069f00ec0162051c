import type { Decision } from '../../eventsourcing/commands/decider.ts';
import { illegalState } from '../../eventsourcing/commands/rejection.ts';
import { checkSubject, leftAlthoughCancelled } from './carrier-decider.ts';
import type { CarrierShipment, PerformedCancellation } from './carrier-state.ts';
import type { ShipmentEvent } from './events.ts';
import { type KnownShipment, shown } from './state.ts';

/** Which shipment is to be stopped, and why. */
export interface Cancellation {
  readonly shipmentId: string;
  readonly reason: string;
}

/**
 * What becomes of a shipment that is to be stopped. The carrier decides that, for it may be fetching the goods just now;
 * and what is stopped is paid back. So nothing is stopped but what the carrier called off, or can never come to know of.
 *
 * @param answer of the carrier's, to what it was asked a moment ago: the shipment may have moved on since
 * @throws where there is no answer yet, or none that holds: the carrier is to be asked again
 */
export function calledOff(
  shipment: KnownShipment,
  cancellation: Cancellation,
  answer: PerformedCancellation,
): Decision<ShipmentEvent> {
  const { shipmentId, reason } = cancellation;
  const { status, orderId } = shipment;
  if (status === 'in transit' || status === 'delivered') return tooLate(shipmentId, shown(shipment));
  if (answer !== undefined && 'shipmentId' in answer) return answered(shipment, cancellation, answer);
  if (status === 'cancelled') return [];
  // Another call may have made it known to the carrier since then.
  if (answer?.unknownWhile !== status) throw new Error(`Shipment ${shipmentId} moved on while the carrier was asked.`);
  return [{ type: 'ShipmentCancelled', data: { orderId, reason, isAtCarrier: false } }];
}

function answered(
  { status, orderId }: KnownShipment,
  { shipmentId, reason }: Cancellation,
  told: CarrierShipment,
): Decision<ShipmentEvent> {
  checkSubject(shipmentId, told);
  const isCancelled = status === 'cancelled';
  switch (told.status) {
    case 'cancelled':
      return isCancelled ? [] : [{ type: 'ShipmentCancelled', data: { orderId, reason, isAtCarrier: true } }];
    case 'prepared':
      throw new Error(`Shipment ${shipmentId} is not called off at the carrier.`);
    case 'in_transit':
    case 'delivered':
      return isCancelled ? leftAlthoughCancelled(shipmentId, told) : tooLate(shipmentId, told.status.toUpperCase());
    default:
      return told.status satisfies never;
  }
}

function tooLate(shipmentId: string, state: string) {
  return illegalState(state, `The shipment ${shipmentId} was handed over to the carrier.`);
}
