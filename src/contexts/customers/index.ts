import type { Aggregate } from '../../eventsourcing/aggregate.ts';
import type { Context } from '../context.ts';
import { type CustomerCommand, customerCommands } from './commands.ts';
import { type CustomerState, customerDecider } from './decider.ts';
import { type CustomerEvent, customerEvents } from './events.ts';
import { customerProjection } from './projection.ts';
import { declareCustomersSchema } from './schema.ts';

const customer: Aggregate<CustomerState, CustomerCommand, CustomerEvent, never> = {
  type: 'customer',
  decider: customerDecider,
  commands: customerCommands,
  events: customerEvents,
};

/** Who the shop's customers are. */
export const customersContext: Context = {
  name: 'customers',
  aggregates: [customer],
  projections: [customerProjection],
  declareSchema: declareCustomersSchema,
};
