import type { Effect } from '../../eventsourcing/processes/effect.ts';
import type { ShipmentCommand } from './commands.ts';
import type { ShipmentEvent } from './events.ts';

/** What the carrier is asked for because of an event. */
export function shipmentEffectsOf({ type }: ShipmentEvent, shipmentId: string): readonly Effect[] {
  return requestsOf(type, shipmentId).map((command) => ({ kind: 'send', command }));
}

const CAME_LATE = 'REGISTERED_LATE';

function requestsOf(type: ShipmentEvent['type'], shipmentId: string): readonly ShipmentCommand[] {
  switch (type) {
    case 'ShipmentRequested':
      return [{ type: 'RegisterShipment', data: { shipmentId } }];
    case 'ShipmentRegisteredLate':
      return [{ type: 'CancelShipment', data: { shipmentId, reason: CAME_LATE } }];
    case 'ShipmentPrepared':
    case 'ShipmentHandedOver':
    case 'ShipmentDelivered':
    case 'ShipmentCancelled':
      return [];
    default:
      return type satisfies never;
  }
}
