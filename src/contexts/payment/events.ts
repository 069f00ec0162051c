import { z } from 'zod';
import { defineEvent, type EventOf } from '../../eventsourcing/log/event.ts';
import { amount } from './provider-state.ts';

const STAFF = { audience: 'staff' } as const;

const orderId = z.string().meta({ description: 'The order that is paid.', idOf: 'Order' });
const providerRef = z.string().meta({ ...STAFF, description: 'What the provider calls the payment.' });
const refundId = z.string().describe('The id of this refund.');
const reason = z.string().describe('Why.');

export const paymentRequested = defineEvent({
  type: 'PaymentRequested',
  schemaVersion: 1,
  description: 'A payment was begun. The provider is asked to hold the money.',
  data: z.object({
    orderId,
    customerId: z.string().meta({ ...STAFF, description: 'Who pays.' }),
    amount: amount.describe('What is to be paid.'),
    provider: z.string().describe('Who takes the money.'),
    tokenCommandId: z.string().meta({ ...STAFF, description: 'The command that brought the means of payment.' }),
  }),
});

export const paymentActionRequired = defineEvent({
  type: 'PaymentActionRequired',
  schemaVersion: 1,
  description: 'The customer has to do something before the payment can go on.',
  data: z.object({
    orderId,
    kind: z.string().describe('What it is: REDIRECT, say.'),
    url: z.string().nullable().describe('Where it is done.'),
  }),
});

export const paymentAuthorised = defineEvent({
  type: 'PaymentAuthorised',
  schemaVersion: 1,
  description:
    'The provider holds the money. It is taken now, or let go of if the payment has come to nothing meanwhile.',
  data: z.object({
    orderId,
    providerRef,
    isLate: z.boolean().describe('The payment had come to nothing before: the money is not taken.'),
  }),
});

export const paymentConfirmed = defineEvent({
  type: 'PaymentConfirmed',
  schemaVersion: 1,
  description: 'The money was taken.',
  data: z.object({
    orderId,
    providerRef: providerRef
      .nullable()
      .meta({ ...STAFF, description: 'What the provider calls the payment; null where there was nothing to pay.' }),
    amount: amount.describe('What was paid.'),
    isLate: z.boolean().describe('The payment had come to nothing before: the money has to be paid back.'),
  }),
});

export const paymentFailed = defineEvent({
  type: 'PaymentFailed',
  schemaVersion: 1,
  description: 'The payment came to nothing. It is kept as it is.',
  data: z.object({
    orderId,
    reason,
    providerRef: providerRef
      .nullable()
      .meta({ ...STAFF, description: 'What the provider calls the payment; null where it knows of none.' }),
    isOver: z.boolean().meta({ ...STAFF, description: 'At the provider too it has come to nothing for good.' }),
  }),
});

export const paymentTimedOut = defineEvent({
  type: 'PaymentTimedOut',
  schemaVersion: 1,
  description: 'The payment was not confirmed in time: that is a failure.',
  data: z.object({ orderId }),
});

export const paymentCancelled = defineEvent({
  type: 'PaymentCancelled',
  schemaVersion: 1,
  description: 'The payment was stopped, since it is not wanted any more.',
  data: z.object({ orderId, reason }),
});

export const paymentVoided = defineEvent({
  type: 'PaymentVoided',
  schemaVersion: 1,
  description: 'The payment had come to nothing, and so it has at the provider: no money is held any more.',
  data: z.object({ orderId }),
});

export const paymentRefundRequested = defineEvent({
  type: 'PaymentRefundRequested',
  schemaVersion: 1,
  description: 'Money is to be paid back.',
  data: z.object({ orderId, refundId, amount: amount.describe('What is to be paid back.') }),
});

export const paymentRefunded = defineEvent({
  type: 'PaymentRefunded',
  schemaVersion: 1,
  description: 'Money was paid back.',
  data: z.object({
    orderId,
    refundId,
    amount: amount.describe('What was paid back.'),
    refunded: amount.describe('All that was paid back until now.'),
  }),
});

export const paymentRefundFailed = defineEvent({
  type: 'PaymentRefundFailed',
  schemaVersion: 1,
  description: 'Money that was to be paid back was not.',
  data: z.object({
    orderId,
    refundId,
    reason,
    refunded: amount.describe('All that was paid back until now.'),
  }),
});

export const paymentEvents = [
  paymentRequested,
  paymentActionRequired,
  paymentAuthorised,
  paymentConfirmed,
  paymentFailed,
  paymentTimedOut,
  paymentCancelled,
  paymentVoided,
  paymentRefundRequested,
  paymentRefunded,
  paymentRefundFailed,
] as const;
export type PaymentEvent = EventOf<(typeof paymentEvents)[number]>;
