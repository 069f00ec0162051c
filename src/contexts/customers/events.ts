import { z } from 'zod';
import { personal } from '../../eventsourcing/log/codec.ts';
import { defineEvent, type EventOf } from '../../eventsourcing/log/event.ts';

const STAFF = { audience: 'staff' } as const;

const data = z.object({
  customerId: z.string().meta({ ...STAFF, description: 'Whom the personal data belongs to. For staff.' }),
  email: personal(z.string(), 'customerId').meta({
    ...STAFF,
    description: 'Where mail goes; null once it is forgotten. For staff.',
  }),
  name: personal(z.string(), 'customerId').meta({
    ...STAFF,
    description: 'What they are called; null once it is forgotten. For staff.',
  }),
});

export const customerRecorded = defineEvent({
  type: 'CustomerRecorded',
  schemaVersion: 1,
  description: 'Somebody ordered for the first time, and said who they are.',
  data,
});

export const customerContactChanged = defineEvent({
  type: 'CustomerContactChanged',
  schemaVersion: 1,
  description: 'A customer said something else of themselves than before.',
  data,
});

export const customerForgotten = defineEvent({
  type: 'CustomerForgotten',
  schemaVersion: 1,
  description:
    'Everything personal about a customer is forgotten: nobody can read it any more, also in what came before.',
  forgets: 'customerId',
  data: z.object({
    customerId: z.string().meta({ ...STAFF, description: 'Who is forgotten. For staff.' }),
    reason: z.string().meta({ ...STAFF, description: 'Why, in the words of whoever did it. For staff.' }),
  }),
});

export const customerEvents = [customerRecorded, customerContactChanged, customerForgotten] as const;
export type CustomerEvent = EventOf<(typeof customerEvents)[number]>;
