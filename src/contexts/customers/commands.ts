import { z } from 'zod';
import { type CommandOf, defineCommand } from '../../eventsourcing/commands/aggregate.ts';
import { personal } from '../../eventsourcing/log/codec.ts';
import { emailAddress, text } from '../values.ts';

export const recordCustomer = defineCommand({
  name: 'RecordCustomer',
  description: 'Notes who a customer or guest is, as they said when they last ordered.',
  audience: 'service',
  input: z.object({
    // What a token says, which is at most 200 characters, and that it is a guest's.
    customerId: text(210).min(1, 'must not be empty'),
    email: personal(emailAddress, 'customerId'),
    name: personal(text(200), 'customerId'),
  }),
  aggregateId: (data) => data.customerId,
});

export const forgetCustomer = defineCommand({
  name: 'ForgetCustomer',
  description:
    'Forgets a customer or guest: destroys the key of all that is personal about them, for good. Their orders, and all that happened, stay; whose they were cannot be read any more. Not while an order or payment of theirs is under way.',
  audience: 'staff',
  input: z.object({
    customerId: text(210).min(1, 'must be the id of a customer'),
    reason: text(500)
      .transform((it) => it.trim())
      .refine((it) => it !== '', 'must not be empty'),
  }),
  aggregateId: (data) => data.customerId,
  facts: (data) => [data.customerId],
});

export const customerCommands = [recordCustomer, forgetCustomer] as const;
export type CustomerCommand = CommandOf<(typeof customerCommands)[number]>;
