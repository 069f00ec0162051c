import { z } from 'zod';
import { personal } from '../../eventsourcing/log/codec.ts';
import { defineEvent, type EventOf, formerVersion } from '../../eventsourcing/log/event.ts';
import { address } from '../values.ts';

const STAFF = { audience: 'staff' } as const;

const orderId = z.string().meta({ description: 'The order whose goods they are.', idOf: 'Order' });
const carrier = z.string().describe('Who carries them.');
const trackingCode = z.string().describe('What to ask the carrier by.');
const note = z.string().nullable().describe('What staff noted.');

export const shipmentRequested = defineEvent({
  type: 'ShipmentRequested',
  schemaVersion: 1,
  description: 'Goods are to be prepared. The carrier is told of them.',
  data: z.object({
    orderId,
    customerId: z.string().meta({ ...STAFF, description: 'Whom its personal data belongs to.' }),
    address: personal(address, 'customerId').meta({
      ...STAFF,
      description: 'Where they go.',
      graphql: 'Address',
    }),
  }),
});

export const shipmentPrepared = defineEvent({
  type: 'ShipmentPrepared',
  schemaVersion: 1,
  description: 'The goods are ready, and the carrier knows of them.',
  data: z.object({ orderId, carrier, trackingCode, note }),
});

export const shipmentHandedOver = defineEvent({
  type: 'ShipmentHandedOver',
  schemaVersion: 1,
  description: 'The carrier has the goods: they are on their way.',
  data: z.object({ orderId, carrier, trackingCode, note }),
});

export const shipmentDelivered = defineEvent({
  type: 'ShipmentDelivered',
  schemaVersion: 1,
  description: 'The goods are where they were to go.',
  data: z.object({ orderId, note }),
});

const stopped = { orderId, reason: z.string().describe('Why.') };

export const shipmentCancelled = defineEvent({
  type: 'ShipmentCancelled',
  schemaVersion: 2,
  description: 'The shipment was stopped before the carrier had the goods.',
  data: z.object({
    ...stopped,
    isAtCarrier: z
      .boolean()
      .nullable()
      .meta({
        ...STAFF,
        description:
          'The carrier called it off; false: it knows of none. Null in events from before it was asked first.',
      }),
  }),
  formerVersions: [
    formerVersion({
      schemaVersion: 1,
      data: z.object(stopped),
      upcast: (data) => ({ ...data, isAtCarrier: null }),
    }),
  ],
});

export const shipmentRegisteredLate = defineEvent({
  type: 'ShipmentRegisteredLate',
  schemaVersion: 1,
  description: 'The carrier came to know of the goods after the shipment was stopped: it is called off there too.',
  data: z.object({ orderId, carrier, trackingCode }),
});

export const shipmentEvents = [
  shipmentRequested,
  shipmentPrepared,
  shipmentHandedOver,
  shipmentDelivered,
  shipmentCancelled,
  shipmentRegisteredLate,
] as const;
export type ShipmentEvent = EventOf<(typeof shipmentEvents)[number]>;
