import type { Aggregate } from '../../eventsourcing/aggregate.ts';
import type { Context } from '../context.ts';
import { type CartCommand, cartCommands } from './commands.ts';
import { type CartState, cartDecider } from './decider.ts';
import { type CartEvent, cartEvents } from './events.ts';
import { type CartProductRow, cartProductProjection, cartProductTable } from './product-copy.ts';
import { cartProjection } from './projection.ts';
import { declareCartSchema } from './schema.ts';

const cart: Aggregate<CartState, CartCommand, CartEvent, CartProductRow> = {
  type: 'cart',
  decider: cartDecider,
  commands: cartCommands,
  events: cartEvents,
  facts: cartProductTable,
};

export const cartContext: Context = {
  name: 'cart',
  aggregates: [cart],
  projections: [cartProjection, cartProductProjection],
  declareSchema: declareCartSchema,
};
