import { z } from 'zod';
import { ApiError } from '../http.ts';
import type { Behaviour } from './tokens.ts';
import { BEHAVIOURS } from './tokens.ts';

const refund = z.object({
  id: z.string(),
  /** The shop's own id of it. */
  reference: z.string(),
  amountMinor: z.int(),
  status: z.enum(['succeeded', 'failed']),
  metadata: z.record(z.string(), z.string()),
  createdAt: z.string(),
});

/** A payment in the ledger of the provider. It holds neither the token nor who pays. */
export const simulatedPayment = z.object({
  id: z.string(),
  /** The shop's own id of it. */
  reference: z.string(),
  behaviour: z.enum(BEHAVIOURS),
  status: z.enum(['processing', 'requires_action', 'authorised', 'captured', 'failed', 'cancelled']),
  amountMinor: z.int(),
  currency: z.string(),
  capturedMinor: z.int(),
  refunds: z.array(refund),
  failureReason: z.string().nullable(),
  nextActionUrl: z.string().nullable(),
  /** When it moves on by itself. */
  dueAt: z.string().nullable(),
  metadata: z.record(z.string(), z.string()),
  createdAt: z.string(),
});
export type SimulatedPayment = z.output<typeof simulatedPayment>;
export type SimulatedRefund = z.output<typeof refund>;

export const PAYMENT_EVENTS = [
  'payment.requires_action',
  'payment.authorised',
  'payment.captured',
  'payment.failed',
  'payment.cancelled',
  'payment.refunded',
  'refund.succeeded',
  'refund.failed',
] as const;
export type PaymentEventType = (typeof PAYMENT_EVENTS)[number];

/** A payment after a step, and what the shop is told of it. */
export interface Step {
  readonly payment: SimulatedPayment;
  readonly events: readonly PaymentEventType[];
  /** The one that was just made. */
  readonly refund?: SimulatedRefund;
}

export interface NewPayment {
  readonly id: string;
  readonly reference: string;
  readonly amountMinor: number;
  readonly currency: string;
  readonly behaviour: Behaviour;
  readonly metadata: Readonly<Record<string, string>>;
  /** Of this simulator, as a browser reaches it. */
  readonly url: string;
  readonly now: Date;
  readonly lateAfterMs: number;
}

export function created({ url, now, lateAfterMs, metadata, ...given }: NewPayment): Step {
  const payment: SimulatedPayment = {
    ...given,
    status: 'authorised',
    capturedMinor: 0,
    refunds: [],
    failureReason: null,
    nextActionUrl: null,
    dueAt: null,
    metadata: { ...metadata },
    createdAt: now.toISOString(),
  };
  switch (given.behaviour) {
    case 'decline':
    case 'unknown': {
      const failureReason = given.behaviour === 'decline' ? 'card_declined' : 'unknown_token';
      return { payment: { ...payment, status: 'failed', failureReason }, events: ['payment.failed'] };
    }
    case 'action': {
      const nextActionUrl = `${url}/actions/${given.id}`;
      return { payment: { ...payment, status: 'requires_action', nextActionUrl }, events: ['payment.requires_action'] };
    }
    case 'silent':
      return { payment: { ...payment, status: 'processing' }, events: [] };
    case 'late': {
      const dueAt = new Date(now.getTime() + lateAfterMs).toISOString();
      return { payment: { ...payment, status: 'processing', dueAt }, events: [] };
    }
    case 'error':
      throw new ApiError(500, 'broken', 'Something broke, and nothing was taken.');
    case 'ok':
    case 'twice':
    case 'hang':
    case 'disorder':
    case 'refund_fails':
      return { payment, events: ['payment.authorised'] };
    default:
      return given.behaviour satisfies never;
  }
}

/** @throws {ApiError} it is not authorised, or for less */
export function captured(payment: SimulatedPayment, amountMinor = payment.amountMinor): Step {
  if (payment.status !== 'authorised') throw wrongState(payment, 'captured');
  if (amountMinor > payment.amountMinor) throw tooMuch(payment);
  return { payment: { ...payment, status: 'captured', capturedMinor: amountMinor }, events: ['payment.captured'] };
}

/**
 * @param failedToo one that has failed is cancelled as well, as at Stripe, where it could be tried again otherwise
 * @throws {ApiError} it is captured or at its end, or the bank of a late one has it
 */
export function cancelled(payment: SimulatedPayment, { failedToo = false } = {}): Step {
  const cancellable = ['processing', 'requires_action', 'authorised', ...(failedToo ? ['failed'] : [])];
  const canBe = payment.behaviour !== 'late' && cancellable.includes(payment.status);
  if (!canBe) throw wrongState(payment, 'cancelled');
  return { payment: { ...payment, status: 'cancelled', nextActionUrl: null }, events: ['payment.cancelled'] };
}

/** @throws {ApiError} it is not captured, or less is left than is asked for */
export function refunded(
  payment: SimulatedPayment,
  given: Pick<SimulatedRefund, 'id' | 'reference' | 'amountMinor' | 'metadata'>,
  now: Date,
): Step {
  if (payment.status !== 'captured') throw wrongState(payment, 'refunded');
  if (given.amountMinor > payment.capturedMinor - refundedMinorOf(payment)) throw tooMuch(payment);
  const fails = payment.behaviour === 'refund_fails' && payment.refunds.length === 0;
  const made: SimulatedRefund = { ...given, status: fails ? 'failed' : 'succeeded', createdAt: now.toISOString() };
  return {
    payment: { ...payment, refunds: [...payment.refunds, made] },
    events: fails ? ['refund.failed'] : ['payment.refunded', 'refund.succeeded'],
    refund: made,
  };
}

/** What a person does on the page of `tok_action`. @throws {ApiError} nothing is asked of anybody */
export function acted(payment: SimulatedPayment, decision: 'complete' | 'decline'): Step {
  if (payment.status !== 'requires_action') throw wrongState(payment, 'completed');
  const done = { ...payment, nextActionUrl: null };
  return decision === 'complete'
    ? { payment: { ...done, status: 'authorised' }, events: ['payment.authorised'] }
    : {
        payment: { ...done, status: 'failed', failureReason: 'authentication_failed' },
        events: ['payment.failed'],
      };
}

/** A late one takes the money by itself. */
export function takenLate(payment: SimulatedPayment): Step {
  return {
    payment: { ...payment, status: 'captured', capturedMinor: payment.amountMinor, dueAt: null },
    events: ['payment.captured'],
  };
}

export function refundedMinorOf({ refunds }: SimulatedPayment): number {
  return refunds.reduce((sum, { status, amountMinor }) => (status === 'succeeded' ? sum + amountMinor : sum), 0);
}

/** A step that the payment does not allow as it is. The answer shows it. */
export class NotAllowed extends ApiError {
  readonly payment: SimulatedPayment;

  constructor(status: number, code: string, message: string, payment: SimulatedPayment) {
    super(status, code, message);
    this.payment = payment;
  }
}

function wrongState(payment: SimulatedPayment, step: string): NotAllowed {
  return new NotAllowed(409, 'invalid_state', `The payment is ${payment.status}: it cannot be ${step}.`, payment);
}

function tooMuch(payment: SimulatedPayment): NotAllowed {
  return new NotAllowed(400, 'amount_too_large', 'That is more than is left of the payment.', payment);
}
