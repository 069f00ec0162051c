import type { Aggregate } from '../../eventsourcing/commands/aggregate.ts';
import type { Context } from '../context.ts';
import { type CustomerCommand, customerCommands } from './commands.ts';
import { type CustomerState, customerDecider } from './decider.ts';
import { type CustomerEvent, customerEvents } from './events.ts';
import { type CustomerFacts, customerFacts } from './facts.ts';
import { customerOrderProjection } from './order-copy.ts';
import { customerProjection } from './projection.ts';
import { declareCustomersSchema } from './schema.ts';

const customer: Aggregate<CustomerState, CustomerCommand, CustomerEvent, CustomerFacts> = {
  type: 'customer',
  decider: customerDecider,
  commands: customerCommands,
  events: customerEvents,
  facts: customerFacts,
};

/** Who the shop's customers are. */
export const customersContext: Context = {
  name: 'customers',
  aggregates: [customer],
  projections: [customerProjection, customerOrderProjection],
  declareSchema: declareCustomersSchema,
};
