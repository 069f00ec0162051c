import { z } from 'zod';
import { type Notice, notice } from '../contexts/notification/messages.ts';
import { personal } from '../eventsourcing/log/codec.ts';
import { defineEvent, type EventOf } from '../eventsourcing/log/event.ts';
import type { ProcessStepView } from '../eventsourcing/processes/process-manager.ts';

/** What telling customers remembers, and how it looks to whoever watches it. */

const STAFF = { audience: 'staff' } as const;

const orderRecipientNoted = defineEvent({
  type: 'OrderRecipientNoted',
  schemaVersion: 1,
  description: 'Somebody ordered who will want to know how it goes on.',
  data: z.object({
    number: z.string().describe('What people call the order.'),
    paymentDeadline: z.iso.datetime().describe('Until when it can be paid.'),
    customerId: z.string().meta({ ...STAFF, description: 'Who is told. For staff.' }),
    email: personal(z.string(), 'customerId').meta({
      ...STAFF,
      description: 'Where they are told; null once it is forgotten. For staff.',
    }),
  }),
});

const orderNoticeRequested = defineEvent({
  type: 'OrderNoticeRequested',
  schemaVersion: 1,
  description: 'Something happened to the order that the customer is told by mail.',
  data: z.object({
    notificationId: z.string().meta({ description: 'The mail that tells it.', idOf: 'Notification' }),
    notice: notice.meta({ ...STAFF, description: 'What is told. For staff.', graphql: 'JSON' }),
  }),
});

export const noticeEvents = [orderRecipientNoted, orderNoticeRequested] as const;
export type NoticeEvent = EventOf<(typeof noticeEvents)[number]>;

const STEPS: Readonly<Record<Notice['template'], string>> = {
  ORDER_PLACED: 'placed',
  PAYMENT_FAILED: 'payment failed',
  PAYMENT_TIMED_OUT: 'payment timed out',
  ORDER_CANCELLED: 'cancelled',
  ORDER_SHIPPED: 'shipped',
  ORDER_DELIVERED: 'delivered',
  ORDER_REFUNDED: 'refunded',
};

/** After these, little is to be told any more. What comes all the same is told. */
const LAST: ReadonlySet<Notice['template']> = new Set([
  'PAYMENT_TIMED_OUT',
  'ORDER_CANCELLED',
  'ORDER_DELIVERED',
  'ORDER_REFUNDED',
]);

export function viewOfNotice(event: NoticeEvent): ProcessStepView {
  switch (event.type) {
    case 'OrderRecipientNoted':
      return { step: 'recipient', stepStatus: 'DONE', detail: event.data.number, status: 'RUNNING' };
    case 'OrderNoticeRequested': {
      const { notificationId, notice: told } = event.data;
      const status = LAST.has(told.template) ? 'COMPLETED' : 'RUNNING';
      return { step: STEPS[told.template], stepStatus: 'DONE', detail: notificationId, status };
    }
    default:
      return event satisfies never;
  }
}
