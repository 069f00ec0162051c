import { z } from 'zod';
import type { RecordedEvent, RecordedEventOf } from '../../eventsourcing/log/event.ts';
import type { ShipmentCommand } from './commands.ts';
import type { shipmentEvents } from './events.ts';

/** `at`: when it was stored. */
interface OfShipment {
  readonly shipmentId: string;
  readonly orderId: string;
  readonly at: Date;
}

interface Carried extends OfShipment {
  readonly carrier: string;
  readonly trackingCode: string;
}

/** What shipping tells other contexts and processes: a published language, kept apart from its own events. */
export type ShipmentMessage =
  | ({ readonly type: 'ShipmentRequested'; readonly customerId: string } & OfShipment)
  | ({ readonly type: 'ShipmentPrepared'; readonly note: string | null } & Carried)
  | ({ readonly type: 'ShipmentHandedOver'; readonly note: string | null } & Carried)
  | ({ readonly type: 'ShipmentDelivered'; readonly note: string | null } & OfShipment)
  | ({ readonly type: 'ShipmentCancelled'; readonly reason: string } & OfShipment)
  /** The carrier took in what was cancelled; shipping sees to it. */
  | ({ readonly type: 'ShipmentRegisteredLate' } & Carried);

/** What processes may ask of a shipment. */
export type ShipmentRequest = Extract<
  ShipmentCommand,
  { type: 'RequestShipment' | 'CancelShipment' | 'ReconcileShipment' }
>;

/** The types of the events that become messages of these types: they have the same names. */
export function shipmentSourcesOf(...types: readonly ShipmentMessage['type'][]): readonly string[] {
  return types;
}

/** The message that an event of a shipment is published as. */
export function shipmentMessage(recorded: RecordedEvent): ShipmentMessage {
  const event = recorded as RecordedEventOf<(typeof shipmentEvents)[number]>;
  const { orderId } = event.data;
  const of = { shipmentId: event.aggregateId, orderId, at: event.recordedAt };
  switch (event.type) {
    case 'ShipmentRequested':
      // Where the goods go is for the carrier alone.
      return { type: event.type, ...of, customerId: event.data.customerId };
    case 'ShipmentPrepared':
    case 'ShipmentHandedOver': {
      const { carrier, trackingCode, note } = event.data;
      return { type: event.type, ...of, carrier, trackingCode, note };
    }
    case 'ShipmentDelivered':
      return { type: event.type, ...of, note: event.data.note };
    case 'ShipmentCancelled':
      return { type: event.type, ...of, reason: event.data.reason };
    case 'ShipmentRegisteredLate': {
      const { carrier, trackingCode } = event.data;
      return { type: event.type, ...of, carrier, trackingCode };
    }
    default:
      return event satisfies never;
  }
}

export const SHIPMENT_STATUSES = ['REQUESTED', 'PREPARED', 'IN_TRANSIT', 'DELIVERED', 'CANCELLED'] as const;

const status = z.enum(SHIPMENT_STATUSES);
const shipmentStep = z.object({ status, at: z.iso.datetime(), note: z.string().nullable() });
export type ShipmentStep = z.output<typeof shipmentStep>;

/** A shipment as it is shown, folded from its messages: a part of a row of whoever shows shipments. */
export const shipmentView = z.object({
  shipmentId: z.string(),
  status,
  carrier: z.string().nullable(),
  trackingCode: z.string().nullable(),
  history: z.array(shipmentStep),
});
export type ShipmentView = z.output<typeof shipmentView>;

/** @param view as of the messages before; undefined before the first */
export function showShipment(view: ShipmentView | undefined, message: ShipmentMessage): ShipmentView | undefined {
  const { type, shipmentId } = message;
  if (type === 'ShipmentRequested') {
    return stepped({ shipmentId, status: 'REQUESTED', carrier: null, trackingCode: null, history: [] }, message, null);
  }
  if (view === undefined) return undefined;
  switch (type) {
    case 'ShipmentPrepared':
    case 'ShipmentHandedOver': {
      const { carrier, trackingCode, note } = message;
      const shown = type === 'ShipmentPrepared' ? 'PREPARED' : 'IN_TRANSIT';
      return stepped({ ...view, status: shown, carrier, trackingCode }, message, note);
    }
    case 'ShipmentDelivered':
      return stepped({ ...view, status: 'DELIVERED' }, message, message.note);
    case 'ShipmentCancelled':
      return stepped({ ...view, status: 'CANCELLED' }, message, message.reason);
    case 'ShipmentRegisteredLate':
      return view;
    default:
      return message satisfies never;
  }
}

function stepped(view: ShipmentView, { at }: ShipmentMessage, note: string | null): ShipmentView {
  return { ...view, history: [...view.history, { status: view.status, at: at.toISOString(), note }] };
}
