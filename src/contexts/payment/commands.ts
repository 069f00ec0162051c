import { z } from 'zod';
import { type CommandOf, defineCommand } from '../../eventsourcing/commands/aggregate.ts';
import { amount, providerPayment } from './provider-state.ts';

const paymentId = z.uuid('must be the id of a payment');
const refundId = z.string().min(1, 'must not be empty').max(200, 'must have at most 200 characters');

/** Nobody but processes and the provider moves a payment on. */
const ofPayment = { audience: 'service', aggregateId: (data: { paymentId: string }) => data.paymentId } as const;
const performed = { ...ofPayment, performed: true } as const;

export const requestPayment = defineCommand({
  ...ofPayment,
  name: 'RequestPayment',
  begins: true,
  description: 'Begins a payment of an order. A payment of nothing is confirmed at once.',
  input: z.object({
    paymentId,
    orderId: z.uuid('must be the id of an order'),
    customerId: z.string(),
    amount,
    /** The command whose input has the token that pays: the token itself goes nowhere else. */
    tokenCommandId: z.guid('must be the id of a command'),
    provider: z.string(),
  }),
});

export const authorisePayment = defineCommand({
  ...performed,
  name: 'AuthorisePayment',
  description: 'Asks the provider to hold the money.',
  input: z.object({ paymentId }),
});

export const capturePayment = defineCommand({
  ...performed,
  name: 'CapturePayment',
  description: 'Asks the provider to take the money that it holds.',
  input: z.object({ paymentId }),
});

export const voidPayment = defineCommand({
  ...performed,
  name: 'VoidPayment',
  description: 'Asks the provider to let go of the money of a payment that has come to nothing.',
  input: z.object({ paymentId }),
});

export const reconcilePayment = defineCommand({
  ...performed,
  name: 'ReconcilePayment',
  description: 'Asks the provider how a payment stands: to find what was done there and not heard of here.',
  input: z.object({ paymentId }),
});

export const noteProviderPayment = defineCommand({
  ...ofPayment,
  name: 'NoteProviderPayment',
  description: "Takes note of how a payment stands at the provider, as the provider's call tells.",
  input: z.object({ paymentId, payment: providerPayment }),
});

export const timeOutPayment = defineCommand({
  ...ofPayment,
  name: 'TimeOutPayment',
  description: 'Notes that a payment was not confirmed within its time limit: that is a failure.',
  input: z.object({ paymentId }),
});

export const cancelPayment = defineCommand({
  ...ofPayment,
  name: 'CancelPayment',
  description: 'Stops a payment that is not wanted any more, unless it is confirmed.',
  input: z.object({ paymentId, reason: z.string() }),
});

export const refundPayment = defineCommand({
  ...ofPayment,
  name: 'RefundPayment',
  description: 'Pays back a part or all of a confirmed payment. Asked again with the same refundId, it is done once.',
  input: z.object({
    paymentId,
    refundId,
    amount: amount.refine((it) => it.amountMinor > 0, { path: ['amountMinor'], error: 'must be more than nothing' }),
  }),
});

export const sendRefund = defineCommand({
  ...performed,
  name: 'SendRefund',
  description: 'Asks the provider to pay money back.',
  input: z.object({ paymentId, refundId }),
});

export const paymentCommands = [
  requestPayment,
  authorisePayment,
  capturePayment,
  voidPayment,
  reconcilePayment,
  noteProviderPayment,
  timeOutPayment,
  cancelPayment,
  refundPayment,
  sendRefund,
] as const;
export type PaymentCommand = CommandOf<(typeof paymentCommands)[number]>;
