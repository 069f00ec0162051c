import { z } from 'zod';
import { type CommandOf, defineCommand } from '../../eventsourcing/aggregate.ts';
import { personal } from '../../eventsourcing/codec.ts';
import { emailAddress, text } from '../values.ts';

export const recordCustomer = defineCommand({
  name: 'RecordCustomer',
  description: 'Notes who a customer or guest is, as they said when they last ordered.',
  audience: 'service',
  input: z.object({
    customerId: text(200).min(1, 'must not be empty'),
    email: personal(emailAddress, 'customerId'),
    name: personal(text(200), 'customerId'),
  }),
  aggregateId: (data) => data.customerId,
});

export const customerCommands = [recordCustomer] as const;
export type CustomerCommand = CommandOf<(typeof customerCommands)[number]>;
