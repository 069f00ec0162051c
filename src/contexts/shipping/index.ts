import type { Aggregate } from '../../eventsourcing/commands/aggregate.ts';
import type { Context } from '../context.ts';
import { type ShipmentCommand, shipmentCommands } from './commands.ts';
import { shipmentDecider } from './decider.ts';
import { shipmentEffectsOf } from './effects.ts';
import { type ShipmentEvent, shipmentEvents } from './events.ts';
import { declareShippingSchema } from './schema.ts';
import type { ShipmentState } from './state.ts';

const shipment: Aggregate<ShipmentState, ShipmentCommand, ShipmentEvent> = {
  type: 'shipment',
  decider: shipmentDecider,
  commands: shipmentCommands,
  events: shipmentEvents,
  endsWith: ['ShipmentDelivered', 'ShipmentCancelled'],
  effectsOf: (event, _state, { aggregateId }) => shipmentEffectsOf(event, aggregateId),
};

export const shippingContext: Context = {
  name: 'shipping',
  aggregates: [shipment],
  // Shipments are shown with their orders, from what is published of them.
  projections: [],
  declareSchema: declareShippingSchema,
};
