import type { Address } from '../values.ts';
import type { ShipmentEvent } from './events.ts';

/** `address`: null where it was forgotten. */
interface AskedShipment {
  readonly orderId: string;
  readonly address: Address | null;
}

interface CarriedShipment extends AskedShipment {
  readonly carrier: string;
  readonly trackingCode: string;
}

export type KnownShipment =
  | (AskedShipment & { readonly status: 'requested' })
  | (CarriedShipment & { readonly status: 'prepared' | 'in transit' | 'delivered' })
  /** `isAtCarrier`: the carrier knows of it, or did. */
  | (AskedShipment & { readonly status: 'cancelled'; readonly isAtCarrier: boolean });
export type ShipmentState = { readonly status: 'unknown' } | KnownShipment;

/** Its status as it is shown. */
export function shown({ status }: KnownShipment): string {
  return status.toUpperCase().replaceAll(' ', '_');
}

export function evolveShipment(state: ShipmentState, event: ShipmentEvent): ShipmentState {
  if (event.type === 'ShipmentRequested') {
    const { orderId, address } = event.data;
    return { status: 'requested', orderId, address };
  }
  if (state.status === 'unknown') return state;
  const { orderId, address } = state;
  switch (event.type) {
    case 'ShipmentPrepared':
    case 'ShipmentHandedOver': {
      const { carrier, trackingCode } = event.data;
      const status = event.type === 'ShipmentPrepared' ? 'prepared' : 'in transit';
      return { status, orderId, address, carrier, trackingCode };
    }
    case 'ShipmentDelivered':
      return 'carrier' in state ? { ...state, status: 'delivered' } : state;
    case 'ShipmentCancelled': {
      // Before the carrier was asked first, one that was prepared was known to it.
      const isAtCarrier = event.data.isAtCarrier ?? state.status !== 'requested';
      return { status: 'cancelled', orderId, address, isAtCarrier };
    }
    case 'ShipmentRegisteredLate':
      return state.status === 'cancelled' ? { ...state, isAtCarrier: true } : state;
    default:
      return event satisfies never;
  }
}
