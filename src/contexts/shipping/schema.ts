import type { Receipt } from '../../eventsourcing/commands/command.ts';
import { rawIdOf } from '../../graphql/command-mutation.ts';
import { COMMAND_ID } from '../../graphql/descriptions.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';
import type { SharedTypes } from '../shared-types.ts';
import { advanceShipment } from './commands.ts';

interface ShipmentPayload {
  readonly shipment: object;
  readonly receipt: Receipt;
}

/** Shipments are shown with their orders; moving one on by hand is for staff. */
export function declareShippingSchema(kit: SchemaKit, shared: SharedTypes): void {
  const { builder, rejections } = kit;
  const shipment = shared.linkTo('Shipment');
  const payload = builder.objectRef<ShipmentPayload>('ShipmentPayload').implement({
    description: 'A shipment after a command.',
    audience: 'owner',
    fields: (t) => ({
      shipment: t.field({ type: shipment.ref, description: 'As it is now.', resolve: (it) => it.shipment }),
      receipt: t.field({ type: kit.receipt, description: 'What became of the command.', resolve: (it) => it.receipt }),
    }),
  });
  kit.addCommandMutation({
    payload,
    idType: 'Shipment',
    load: (id, context) => shipment.load(id, context),
    show: (row: object, receipt: Receipt): ShipmentPayload => ({ shipment: row, receipt }),
    field: 'advanceShipment',
    command: advanceShipment,
    input: builder.inputType('AdvanceShipmentInput', {
      description: advanceShipment.description,
      fields: (t) => ({
        commandId: t.id({ description: COMMAND_ID }),
        shipmentId: t.id({ required: true, description: 'The id of the shipment.' }),
        to: t.field({
          type: shared.shipmentStatus,
          required: true,
          description: 'PREPARED, IN_TRANSIT or DELIVERED.',
        }),
        note: t.string({ description: 'What is to be said about it; at most 500 characters.' }),
        carrier: t.string({ description: 'Who carries it; for PREPARED.' }),
        trackingCode: t.string({ description: 'What to ask the carrier by; for PREPARED.' }),
      }),
    }),
    data: ({ shipmentId, to, note, carrier, trackingCode }) => ({
      shipmentId: rawIdOf('Shipment', shipmentId),
      to,
      note,
      carrier,
      trackingCode,
    }),
    rejections: [rejections.notFound, rejections.illegalState],
  });
}
