import { z } from 'zod';
import { type CommandOf, defineCommand } from '../../eventsourcing/commands/aggregate.ts';
import { personal } from '../../eventsourcing/log/codec.ts';
import { address, text } from '../values.ts';
import { carrierShipment } from './carrier-state.ts';

const shipmentId = z.uuid('must be the id of a shipment');
const words = (maxLength: number) =>
  text(maxLength)
    .transform((it) => it.trim())
    .refine((it) => it !== '', 'must not be empty');

const ofShipment = { aggregateId: (data: { shipmentId: string }) => data.shipmentId } as const;
const service = { audience: 'service', ...ofShipment } as const;

export const requestShipment = defineCommand({
  ...service,
  name: 'RequestShipment',
  begins: true,
  description: 'Begins to prepare the goods of an order.',
  input: z.object({
    shipmentId,
    orderId: z.uuid('must be the id of an order'),
    customerId: z.string(),
    address: personal(address, 'customerId'),
  }),
});

export const registerShipment = defineCommand({
  ...service,
  name: 'RegisterShipment',
  performed: true,
  description: 'Tells the carrier of the goods.',
  input: z.object({ shipmentId }),
});

export const reconcileShipment = defineCommand({
  ...service,
  name: 'ReconcileShipment',
  performed: true,
  description: 'Asks the carrier how a shipment stands, and tells it of the goods if it knows of none.',
  input: z.object({ shipmentId }),
});

export const noteCarrierShipment = defineCommand({
  ...service,
  name: 'NoteCarrierShipment',
  description: "Takes note of how a shipment stands at the carrier, as the carrier's call tells.",
  input: z.object({ shipmentId, shipment: carrierShipment }),
});

export const advanceShipment = defineCommand({
  ...ofShipment,
  name: 'AdvanceShipment',
  description: 'Moves a shipment one step on, by hand.',
  audience: 'staff',
  input: z
    .object({
      shipmentId,
      to: z.enum(['PREPARED', 'IN_TRANSIT', 'DELIVERED'], 'must be PREPARED, IN_TRANSIT or DELIVERED'),
      note: words(500).nullish(),
      carrier: words(100).nullish(),
      trackingCode: words(100).nullish(),
    })
    .superRefine(({ to, carrier, trackingCode }, { addIssue }) => {
      // The next steps take both over from there.
      const missing = to === 'PREPARED' ? Object.entries({ carrier, trackingCode }) : [];
      for (const [name, value] of missing) {
        if (value === undefined || value === null)
          addIssue({ code: 'custom', path: [name], message: 'must be given for what is prepared by hand' });
      }
    }),
});

export const cancelShipment = defineCommand({
  ...service,
  name: 'CancelShipment',
  performed: true,
  description: 'Stops a shipment, if its carrier says that it can still be called off.',
  input: z.object({ shipmentId, reason: z.string() }),
});

export const shipmentCommands = [
  requestShipment,
  registerShipment,
  reconcileShipment,
  noteCarrierShipment,
  advanceShipment,
  cancelShipment,
] as const;
export type ShipmentCommand = CommandOf<(typeof shipmentCommands)[number]>;
