import type { CarrierShipment } from '../../src/contexts/shipping/carrier.ts';
import type { ShipmentCommand } from '../../src/contexts/shipping/commands.ts';
import type { ShipmentEvent } from '../../src/contexts/shipping/events.ts';
import type { Address } from '../../src/contexts/values.ts';

/** Words for tests about shipments. */

export const SHIPMENT = '11111111-1111-4111-8111-111111111111';
export const OTHER_SHIPMENT = '22222222-2222-4222-8222-222222222222';
export const ORDER = '33333333-3333-4333-8333-333333333333';
export const CARRIED = { carrier: 'simulated', trackingCode: 'SIM-1' };
export const ADDRESS: Address = {
  ...{ name: 'Carla', street: 'High Street 1', city: 'Leeds', postalCode: 'LS1', country: 'GB' },
};

type DataOf<Type extends ShipmentCommand['type']> = Extract<ShipmentCommand, { type: Type }>['data'];

export const request = (changes: Partial<DataOf<'RequestShipment'>> = {}): ShipmentCommand => ({
  type: 'RequestShipment',
  data: { shipmentId: SHIPMENT, orderId: ORDER, customerId: 'carla', address: ADDRESS, ...changes },
});
export const note = (shipment: CarrierShipment): ShipmentCommand => ({
  type: 'NoteCarrierShipment',
  data: { shipmentId: SHIPMENT, shipment },
});
export const perform = (type: 'RegisterShipment' | 'ReconcileShipment'): ShipmentCommand => ({
  type,
  data: { shipmentId: SHIPMENT },
});
export const advance = (
  to: DataOf<'AdvanceShipment'>['to'],
  changes: Partial<DataOf<'AdvanceShipment'>> = {},
): ShipmentCommand => ({ type: 'AdvanceShipment', data: { shipmentId: SHIPMENT, to, ...changes } });
export const cancel: ShipmentCommand = {
  type: 'CancelShipment',
  data: { shipmentId: SHIPMENT, reason: 'unwanted' },
};

/** The shipment as it stands at the carrier. */
export const at = (status: CarrierShipment['status'], changes: Partial<CarrierShipment> = {}): CarrierShipment => ({
  shipmentId: SHIPMENT,
  ...CARRIED,
  status,
  ...changes,
});

const orderId = ORDER;

export const requested: ShipmentEvent = {
  type: 'ShipmentRequested',
  data: { orderId, customerId: 'carla', address: ADDRESS },
};
export const prepared = (note: string | null = null, carried = CARRIED): ShipmentEvent => ({
  type: 'ShipmentPrepared',
  data: { orderId, ...carried, note },
});
export const handedOver = (note: string | null = null, carried = CARRIED): ShipmentEvent => ({
  type: 'ShipmentHandedOver',
  data: { orderId, ...carried, note },
});
export const delivered = (note: string | null = null): ShipmentEvent => ({
  type: 'ShipmentDelivered',
  data: { orderId, note },
});
export const cancelled = (reason = 'unwanted', isAtCarrier = true): ShipmentEvent => ({
  type: 'ShipmentCancelled',
  data: { orderId, reason, isAtCarrier },
});
export const registeredLate: ShipmentEvent = { type: 'ShipmentRegisteredLate', data: { orderId, ...CARRIED } };
