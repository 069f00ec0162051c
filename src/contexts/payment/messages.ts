import { z } from 'zod';
import type { RecordedEvent, RecordedEventOf } from '../../eventsourcing/log/event.ts';
import type { Money } from '../values.ts';
import type { PaymentCommand } from './commands.ts';
import type { paymentEvents } from './events.ts';

/** `at`: when it was stored. */
interface OfPayment {
  readonly paymentId: string;
  readonly orderId: string;
  readonly at: Date;
}

/** What payment tells other contexts and processes: a published language, kept apart from its own events. */
export type PaymentMessage =
  | ({
      readonly type: 'PaymentRequested';
      readonly customerId: string;
      readonly amount: Money;
      readonly provider: string;
    } & OfPayment)
  | ({ readonly type: 'PaymentActionRequired'; readonly kind: string; readonly url: string | null } & OfPayment)
  /** `isLate`: it had come to nothing before. The money is let go of, not taken. */
  | ({ readonly type: 'PaymentAuthorised'; readonly isLate: boolean } & OfPayment)
  /** `isLate`: it had come to nothing before. The money has to be paid back. */
  | ({ readonly type: 'PaymentConfirmed'; readonly amount: Money; readonly isLate: boolean } & OfPayment)
  /** `isOver`: for good. Otherwise the provider may hold the money yet. */
  | ({ readonly type: 'PaymentFailed'; readonly reason: string; readonly isOver: boolean } & OfPayment)
  | ({ readonly type: 'PaymentTimedOut' } & OfPayment)
  | ({ readonly type: 'PaymentCancelled'; readonly reason: string } & OfPayment)
  /** After it came to nothing: so it has at the provider. */
  | ({ readonly type: 'PaymentVoided' } & OfPayment)
  | ({ readonly type: 'PaymentRefundRequested'; readonly refundId: string; readonly amount: Money } & OfPayment)
  /** `refunded`: all that was paid back until now. A `refundId` that nobody asked for was made at the provider. */
  | ({
      readonly type: 'PaymentRefunded';
      readonly refundId: string;
      readonly amount: Money;
      readonly refunded: Money;
    } & OfPayment)
  /** It may come after PaymentRefunded: the money came back. It can be asked for again, with another refundId. */
  | ({
      readonly type: 'PaymentRefundFailed';
      readonly refundId: string;
      readonly reason: string;
      readonly refunded: Money;
    } & OfPayment);

/** What processes may ask of a payment. */
export type PaymentRequest = Extract<
  PaymentCommand,
  { type: 'RequestPayment' | 'TimeOutPayment' | 'CancelPayment' | 'RefundPayment' | 'ReconcilePayment' }
>;

/** The types of the events that become messages of these types: they have the same names. */
export function paymentSourcesOf(...types: readonly PaymentMessage['type'][]): readonly string[] {
  return types;
}

/** The message that an event of a payment is published as. */
export function paymentMessage(recorded: RecordedEvent): PaymentMessage {
  const event = recorded as RecordedEventOf<(typeof paymentEvents)[number]>;
  const { orderId } = event.data;
  const of = { paymentId: event.aggregateId, orderId, at: event.recordedAt };
  switch (event.type) {
    case 'PaymentRequested': {
      const { customerId, amount, provider } = event.data;
      return { type: event.type, ...of, customerId, amount, provider };
    }
    case 'PaymentActionRequired':
      return { type: event.type, ...of, kind: event.data.kind, url: event.data.url };
    case 'PaymentAuthorised':
      return { type: event.type, ...of, isLate: event.data.isLate };
    case 'PaymentConfirmed':
      return { type: event.type, ...of, amount: event.data.amount, isLate: event.data.isLate };
    case 'PaymentFailed':
      return { type: event.type, ...of, reason: event.data.reason, isOver: event.data.isOver };
    case 'PaymentTimedOut':
    case 'PaymentVoided':
      return { type: event.type, ...of };
    case 'PaymentCancelled':
      return { type: event.type, ...of, reason: event.data.reason };
    case 'PaymentRefundRequested':
      return { type: event.type, ...of, refundId: event.data.refundId, amount: event.data.amount };
    case 'PaymentRefunded': {
      const { refundId, amount, refunded } = event.data;
      return { type: event.type, ...of, refundId, amount, refunded };
    }
    case 'PaymentRefundFailed': {
      const { refundId, reason, refunded } = event.data;
      return { type: event.type, ...of, refundId, reason, refunded };
    }
    default:
      return event satisfies never;
  }
}

export const PAYMENT_STATUSES = [
  'REQUESTED',
  'REQUIRES_ACTION',
  'CONFIRMED',
  'FAILED',
  'TIMED_OUT',
  'CANCELLED',
  'REFUND_REQUESTED',
  'PARTIALLY_REFUNDED',
  'REFUNDED',
] as const;

/** A payment as it is shown, folded from its messages: a part of a row of whoever shows payments. */
export const paymentView = z.object({
  paymentId: z.string(),
  status: z.enum(PAYMENT_STATUSES),
  amountMinor: z.number().int(),
  currency: z.string(),
  refundedMinor: z.number().int(),
  provider: z.string(),
  failureReason: z.string().nullable(),
  nextAction: z.object({ kind: z.string(), url: z.string().nullable() }).nullable(),
  requestedAt: z.iso.datetime(),
  /** Refunds that were asked for, and are neither done nor failed. */
  openRefunds: z.array(z.string()),
});
export type PaymentView = z.output<typeof paymentView>;

/** @param view as of the messages before; undefined before the first */
export function showPayment(view: PaymentView | undefined, message: PaymentMessage): PaymentView | undefined {
  if (message.type === 'PaymentRequested') return requested(message);
  if (view === undefined) return undefined;
  switch (message.type) {
    case 'PaymentActionRequired':
      return { ...view, status: 'REQUIRES_ACTION', nextAction: { kind: message.kind, url: message.url } };
    case 'PaymentAuthorised':
      return message.isLate ? view : { ...view, status: 'REQUESTED', nextAction: null };
    case 'PaymentConfirmed':
      return { ...view, status: 'CONFIRMED', nextAction: null, failureReason: null };
    case 'PaymentFailed':
      return { ...view, status: 'FAILED', nextAction: null, failureReason: message.reason };
    case 'PaymentTimedOut':
      return { ...view, status: 'TIMED_OUT', nextAction: null };
    case 'PaymentCancelled':
      return { ...view, status: 'CANCELLED', nextAction: null, failureReason: message.reason };
    case 'PaymentVoided':
      return view;
    case 'PaymentRefundRequested':
      return refunding(view, [...view.openRefunds, message.refundId], view.refundedMinor);
    case 'PaymentRefunded':
    case 'PaymentRefundFailed': {
      const open = view.openRefunds.filter((it) => it !== message.refundId);
      return refunding(view, open, message.refunded.amountMinor);
    }
    default:
      return message satisfies never;
  }
}

function requested(message: Extract<PaymentMessage, { type: 'PaymentRequested' }>): PaymentView {
  const { paymentId, amount, provider, at } = message;
  return {
    ...{ paymentId, provider, ...amount, requestedAt: at.toISOString() },
    ...{ status: 'REQUESTED', refundedMinor: 0, failureReason: null, nextAction: null, openRefunds: [] },
  };
}

function refunding(view: PaymentView, openRefunds: string[], refundedMinor: number): PaymentView {
  return { ...view, openRefunds, refundedMinor, status: statusOf(view.amountMinor, openRefunds.length, refundedMinor) };
}

function statusOf(amountMinor: number, open: number, refundedMinor: number): PaymentView['status'] {
  if (open > 0) return 'REFUND_REQUESTED';
  if (refundedMinor === 0) return 'CONFIRMED';
  return refundedMinor < amountMinor ? 'PARTIALLY_REFUNDED' : 'REFUNDED';
}
