import { z } from 'zod';
import { ApiError } from '../http.ts';

const STATUSES = ['prepared', 'in_transit', 'delivered', 'cancelled'] as const;

/** A shipment in the ledger of the carrier. Not where it goes to: that is personal, and nothing here needs it. */
export const simulatedShipment = z.object({
  id: z.string(),
  /** The shop's own id of it. */
  reference: z.string(),
  trackingCode: z.string(),
  status: z.enum(STATUSES),
  /** When it moves on by itself. */
  dueAt: z.string().nullable(),
  createdAt: z.string(),
});
export type SimulatedShipment = z.output<typeof simulatedShipment>;

/** How long a shipment stays where it is; null: until it is moved. */
export interface Pace {
  readonly preparedMs: number;
  readonly inTransitMs: number;
}

export function registered(
  { id, reference }: Pick<SimulatedShipment, 'id' | 'reference'>,
  pace: Pace | null,
  now: Date,
): SimulatedShipment {
  const trackingCode = `CS${id
    .replaceAll(/\W|ship_/g, '')
    .slice(0, 12)
    .toUpperCase()}`;
  const dueAt = pace && after(now, pace.preparedMs);
  return { id, reference, trackingCode, status: 'prepared', dueAt, createdAt: now.toISOString() };
}

/** One step on its way. @throws {ApiError} it is at its end */
export function movedOn(shipment: SimulatedShipment, pace: Pace | null, now: Date): SimulatedShipment {
  switch (shipment.status) {
    case 'prepared':
      return { ...shipment, status: 'in_transit', dueAt: pace && after(now, pace.inTransitMs) };
    case 'in_transit':
      return { ...shipment, status: 'delivered', dueAt: null };
    case 'delivered':
    case 'cancelled':
      throw new WrongShipmentState(shipment, 'moved on');
    default:
      return shipment.status satisfies never;
  }
}

/** @throws {ApiError} it is on its way already */
export function calledOff(shipment: SimulatedShipment): SimulatedShipment {
  if (shipment.status !== 'prepared') throw new WrongShipmentState(shipment, 'cancelled');
  return { ...shipment, status: 'cancelled', dueAt: null };
}

/** A step that the shipment's state does not allow. The answer holds the shipment as it is. */
export class WrongShipmentState extends ApiError {
  constructor(shipment: SimulatedShipment, step: string) {
    const extra = { shipment: shipmentBody(shipment) };
    super(409, 'invalid_state', `The shipment is ${shipment.status}: it cannot be ${step}.`, extra);
  }
}

export function shipmentBody({ id, reference, trackingCode, status, createdAt }: SimulatedShipment) {
  return { id, reference, carrier: 'Simulated Parcel', trackingCode, status, createdAt };
}

function after(now: Date, milliseconds: number): string {
  return new Date(now.getTime() + milliseconds).toISOString();
}
