import type { CarrierShipment } from './carrier-state.ts';
import type { ShipmentEvent } from './events.ts';
import type { KnownShipment } from './state.ts';

/** What the carrier says cannot be. No repeat mends that: a person has to look. */
export class CarrierDisagrees extends Error {
  override readonly name = 'CarrierDisagrees';

  /** The same as an answer to whoever told it. */
  get rejection() {
    return { code: 'CARRIER_DISAGREES' as const, message: this.message };
  }
}

/** How far a shipment has come. */
const STEPS = ['requested', 'prepared', 'in transit', 'delivered'] as const;
type Step = (typeof STEPS)[number];
const STEP_AT_CARRIER = { prepared: 'prepared', in_transit: 'in transit', delivered: 'delivered' } as const;

/**
 * What is new in how a shipment stands at its carrier. It is told in any order, and several times: what is not further
 * than what is known is nothing new. Steps that were not heard of are made up for.
 *
 * @throws {CarrierDisagrees} it is another shipment, or the goods are on their way that were not to go, or the other way
 * round
 */
export function heard(shipment: KnownShipment, shipmentId: string, told: CarrierShipment): readonly ShipmentEvent[] {
  checkSubject(shipmentId, told);
  if (shipment.status === 'cancelled') return heardOfCancelled(shipment, shipmentId, told);
  if (told.status === 'cancelled') return heardOfCancelling(shipment, shipmentId);
  const { carrier, trackingCode } = told;
  const { orderId } = shipment;
  return stepsBetween(shipment.status, STEP_AT_CARRIER[told.status]).map((step) =>
    arrivedAt(step, { orderId, carrier, trackingCode, note: null }),
  );
}

type Arrival = Extract<ShipmentEvent, { type: 'ShipmentHandedOver' }>['data'];

/** The event by which a shipment comes to a step. */
export function arrivedAt(step: Exclude<Step, 'requested'>, { orderId, note, ...carried }: Arrival): ShipmentEvent {
  switch (step) {
    case 'prepared':
      return { type: 'ShipmentPrepared', data: { orderId, ...carried, note } };
    case 'in transit':
      return { type: 'ShipmentHandedOver', data: { orderId, ...carried, note } };
    case 'delivered':
      return { type: 'ShipmentDelivered', data: { orderId, note } };
    default:
      return step satisfies never;
  }
}

function stepsBetween(from: Step, to: Step): Exclude<Step, 'requested'>[] {
  return STEPS.slice(STEPS.indexOf(from) + 1, STEPS.indexOf(to) + 1).filter((it) => it !== 'requested');
}

/** Whether a step comes right after another. */
export function isNextStep(from: Step, to: Step): boolean {
  return STEPS.indexOf(to) === STEPS.indexOf(from) + 1;
}

/** @throws {CarrierDisagrees} */
export function checkSubject(shipmentId: string, told: CarrierShipment): void {
  if (told.shipmentId === shipmentId) return;
  throw new CarrierDisagrees(`Of shipment ${shipmentId}, the carrier tells what belongs to ${told.shipmentId}.`);
}

/** @throws {CarrierDisagrees} */
export function leftAlthoughCancelled(shipmentId: string, { status }: CarrierShipment): never {
  throw new CarrierDisagrees(`Shipment ${shipmentId} was cancelled, but is ${status} at the carrier.`);
}

function heardOfCancelled(
  { orderId, isAtCarrier }: Extract<KnownShipment, { status: 'cancelled' }>,
  shipmentId: string,
  told: CarrierShipment,
): readonly ShipmentEvent[] {
  const { status, carrier, trackingCode } = told;
  if (status === 'cancelled') return [];
  if (status !== 'prepared') leftAlthoughCancelled(shipmentId, told);
  // It told that before it called it off.
  return isAtCarrier ? [] : [{ type: 'ShipmentRegisteredLate', data: { orderId, carrier, trackingCode } }];
}

function heardOfCancelling({ status, orderId }: KnownShipment, shipmentId: string): readonly ShipmentEvent[] {
  if (status !== 'requested' && status !== 'prepared') {
    throw new CarrierDisagrees(`Shipment ${shipmentId} is ${status}, but was cancelled by the carrier.`);
  }
  // Perhaps since it was asked to, and its call was faster than its answer.
  return [{ type: 'ShipmentCancelled', data: { orderId, reason: 'CANCELLED_AT_CARRIER', isAtCarrier: true } }];
}
