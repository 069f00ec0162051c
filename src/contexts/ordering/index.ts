import type { Aggregate } from '../../eventsourcing/commands/aggregate.ts';
import type { Context } from '../context.ts';
import { type OrderCommand, orderCommands } from './commands.ts';
import { orderDecider } from './decider.ts';
import { type OrderEvent, orderEvents } from './events.ts';
import { orderProjection } from './projection.ts';
import { declareOrderingSchema } from './schema.ts';
import type { OrderState } from './state.ts';

const order: Aggregate<OrderState, OrderCommand, OrderEvent> = {
  type: 'order',
  decider: orderDecider,
  commands: orderCommands,
  events: orderEvents,
  endsWith: ['OrderDelivered', 'OrderCancelled', 'OrderItemsReturned', 'OrderRefunded'],
};

export const orderingContext: Context = {
  name: 'ordering',
  aggregates: [order],
  projections: [orderProjection],
  declareSchema: declareOrderingSchema,
};
