import { z } from 'zod';
import { type CommandOf, defineCommand } from '../../eventsourcing/commands/aggregate.ts';
import { personal } from '../../eventsourcing/log/codec.ts';
import { currency, emailAddress } from '../values.ts';

const number = z.string().describe('What people call the order.');
/** Sums of an order go beyond what one price may be. */
const amount = z.object({ amountMinor: z.number().int(), currency });
const instant = z.iso.datetime();

/** What a mail is about: a template, and the facts that it tells. No personal data is among them. */
export const notice = z.discriminatedUnion('template', [
  z.object({
    template: z.literal('ORDER_PLACED'),
    number,
    lines: z.array(z.object({ name: z.string(), quantity: z.number().int(), total: amount })),
    discounts: z.array(z.object({ label: z.string(), amount })),
    total: amount,
    payUntil: instant,
  }),
  z.object({ template: z.literal('PAYMENT_FAILED'), number, payUntil: instant }),
  z.object({ template: z.literal('PAYMENT_TIMED_OUT'), number }),
  z.object({ template: z.literal('ORDER_CANCELLED'), number }),
  z.object({ template: z.literal('ORDER_SHIPPED'), number, carrier: z.string(), trackingCode: z.string() }),
  z.object({ template: z.literal('ORDER_DELIVERED'), number }),
  z.object({ template: z.literal('ORDER_REFUNDED'), number, amount }),
]);
export type Notice = Readonly<z.output<typeof notice>>;

const notificationId = z.uuid('must be a UUID');

export const sendNotification = defineCommand({
  name: 'SendNotification',
  begins: true,
  description: 'Tells a customer something by mail.',
  audience: 'service',
  input: z.object({
    notificationId,
    orderId: z.string(),
    customerId: z.string(),
    to: personal(emailAddress, 'customerId'),
    notice,
  }),
  aggregateId: (data) => data.notificationId,
});

export const sendMail = defineCommand({
  name: 'SendMail',
  description: 'Hands the mail of a notification to the mail server.',
  audience: 'service',
  performed: true,
  input: z.object({ notificationId }),
  aggregateId: (data) => data.notificationId,
});

export const notificationCommands = [sendNotification, sendMail] as const;
export type NotificationCommand = CommandOf<(typeof notificationCommands)[number]>;
