import type { RequestContext } from '../../graphql/context.ts';
import { idAsOf } from '../../graphql/global-id.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';
import type { SharedTypes } from '../shared-types.ts';
import type { ShipmentStep } from '../shipping/messages.ts';
import { type AnyShipment, readShipment } from './reading.ts';

export function addShipmentType({ builder }: SchemaKit, shared: SharedTypes) {
  const { shipmentStatus: status } = shared;
  const step = builder.objectRef<ShipmentStep>('ShipmentStep').implement({
    description: 'Something that happened to a shipment.',
    audience: 'owner',
    fields: (t) => ({
      status: t.field({ type: status, description: 'What it was from then on.', resolve: (it) => it.status }),
      at: t.field({ type: 'DateTime', description: 'When.', resolve: (it) => new Date(it.at) }),
      note: t.string({ nullable: true, description: 'What was said about it.', resolve: (it) => it.note }),
    }),
  });
  const shipment = builder.objectRef<AnyShipment>('Shipment');
  builder.node(shipment, {
    description: 'The goods of an order on their way to the customer.',
    audience: 'owner',
    id: { resolve: ({ shipmentId, asOf }) => idAsOf(shipmentId, asOf) },
    isTypeOf: (value) => typeof value === 'object' && value !== null && 'history' in value && 'shipmentId' in value,
    loadMany: (ids: string[], context: RequestContext) =>
      Promise.all(ids.map(async (id) => (await readShipment(id, context)) ?? null)),
    fields: (t) => ({
      status: t.field({ type: status, description: 'How far it has come.', resolve: (it) => it.status }),
      carrier: t.string({ nullable: true, description: 'Who carries it.', resolve: (it) => it.carrier }),
      trackingCode: t.string({
        nullable: true,
        description: 'What to ask the carrier by.',
        resolve: (it) => it.trackingCode,
      }),
      history: t.field({
        type: [step],
        description: 'What happened to it, oldest first.',
        resolve: (it) => it.history,
      }),
    }),
  });
  shared.provideLink('Shipment', { ref: shipment, load: readShipment });
  return shipment;
}
