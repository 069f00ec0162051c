import { z } from 'zod';
import { personal } from '../../eventsourcing/log/codec.ts';
import { defineEvent, type EventOf } from '../../eventsourcing/log/event.ts';
import { notice } from './commands.ts';

const STAFF = { audience: 'staff' } as const;
const messageId = z.string().describe('By which mail programs recognise it, and a repeat of it.');

export const notificationQueued = defineEvent({
  type: 'NotificationQueued',
  schemaVersion: 1,
  description: 'There is something to tell a customer.',
  data: z.object({
    orderId: z.string().meta({ ...STAFF, description: 'The order that it is about. For staff.', idOf: 'Order' }),
    customerId: z.string().meta({ ...STAFF, description: 'Whom it is for. For staff.' }),
    to: personal(z.string(), 'customerId').meta({
      ...STAFF,
      description: 'Where it goes; null once it is forgotten. For staff.',
    }),
    notice: notice.meta({ ...STAFF, description: 'What it tells. For staff.', graphql: 'JSON' }),
  }),
});

export const notificationSent = defineEvent({
  type: 'NotificationSent',
  schemaVersion: 1,
  description: 'The mail server took the mail.',
  data: z.object({ messageId }),
});

export const notificationKept = defineEvent({
  type: 'NotificationKept',
  schemaVersion: 1,
  description: 'There is no mail server: the mail is kept here, and nobody was sent anything.',
  data: z.object({ messageId }),
});

export const notificationFailed = defineEvent({
  type: 'NotificationFailed',
  schemaVersion: 1,
  description: 'The mail cannot be delivered, however often it is tried.',
  data: z.object({
    reason: z.string().meta({ ...STAFF, description: 'FORGOTTEN, or what the mail server answered. For staff.' }),
  }),
});

export const notificationEvents = [notificationQueued, notificationSent, notificationKept, notificationFailed] as const;
export type NotificationEvent = EventOf<(typeof notificationEvents)[number]>;
