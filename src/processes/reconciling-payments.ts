import { z } from 'zod';
import {
  type PaymentMessage,
  type PaymentRequest,
  paymentMessage,
  paymentSourcesOf,
} from '../contexts/payment/messages.ts';
import { defineEvent, type EventOf } from '../eventsourcing/log/event.ts';
import type {
  ProcessEffect,
  ProcessInput,
  ProcessManager,
  ProcessStepView,
} from '../eventsourcing/processes/process-manager.ts';

const open = z.array(z.string()).describe('What is waited for: PAYMENT, or REFUND with its id.');
const nextAt = z.iso.datetime().meta({ description: 'When the provider is asked, if nothing is heard.' });
const waitMs = z.number().int().describe('How long it is waited until then, in milliseconds.');

const paymentReconciliationBegan = defineEvent({
  type: 'PaymentReconciliationBegan',
  schemaVersion: 1,
  description: 'The provider has something to tell of a payment, from now on or besides.',
  data: z.object({
    open,
    waitMs,
    nextAt,
    until: z.iso.datetime().meta({ description: 'When it is given up, but for refunds.' }),
  }),
});

const paymentReconciliationNarrowed = defineEvent({
  type: 'PaymentReconciliationNarrowed',
  schemaVersion: 1,
  description: 'Some of it was heard, or given up; the rest is waited for.',
  data: z.object({ open }),
});

const paymentReconciliationAsked = defineEvent({
  type: 'PaymentReconciliationAsked',
  schemaVersion: 1,
  description: 'Nothing was heard for so long that the provider is asked how the payment stands.',
  data: z.object({ waitMs, nextAt }),
});

const paymentReconciliationEnded = defineEvent({
  type: 'PaymentReconciliationEnded',
  schemaVersion: 1,
  description: 'Everything was heard, or nothing more is expected.',
  data: z.object({
    reason: z.enum(['SETTLED', 'GIVEN_UP']).meta({ description: 'SETTLED, or GIVEN_UP: a person has to look.' }),
  }),
});

const reconciliationEvents = [
  paymentReconciliationBegan,
  paymentReconciliationNarrowed,
  paymentReconciliationAsked,
  paymentReconciliationEnded,
] as const;
export type ReconciliationEvent = EventOf<(typeof reconciliationEvents)[number]>;

export type ReconciliationState =
  | { readonly status: 'settled' }
  | {
      readonly status: 'open';
      readonly open: readonly string[];
      readonly waitMs: number;
      readonly nextAt: string;
      readonly until: string;
    };

const TIMER = 'ask';
const PAYMENT = 'PAYMENT';
const HOUR_MS = 3_600_000;
const LONGEST_WAIT_MS = HOUR_MS;
const GIVEN_UP_AFTER_MS = 24 * HOUR_MS;
/** Between two questions about a refund that is open for longer than a day. */
const LONGEST_WAIT_FOR_REFUND_MS = 6 * HOUR_MS;

export interface ReconciliationSettings {
  /** How long the provider may be silent before it is asked for the first time; from then on twice as long each time. */
  readonly afterMs: number;
  /** Within so long an order has to be paid: until then its payment is open. */
  readonly paymentLimitMs: number;
}

/**
 * Finds what was done at the payment provider and not heard of: an answer that was lost, a call that never came. One
 * instance for each payment. As long as the provider has something to tell, it is asked, more and more rarely. A payment is
 * given up a day after its time limit, or after it came to nothing, but only after a question that was asked then; a refund
 * never, for that money is owed.
 */
export function reconcilingPayments(
  settings: ReconciliationSettings,
): ProcessManager<ReconciliationState, PaymentMessage, ReconciliationEvent> {
  return {
    name: 'reconciling-payments',
    description: 'Asks the payment provider how payments stand that it tells nothing of.',
    events: reconciliationEvents,
    eventTypes: paymentSourcesOf(
      'PaymentRequested',
      'PaymentAuthorised',
      'PaymentConfirmed',
      'PaymentFailed',
      'PaymentTimedOut',
      'PaymentCancelled',
      'PaymentVoided',
      'PaymentRefundRequested',
      'PaymentRefunded',
      'PaymentRefundFailed',
    ),
    instanceOf(event) {
      const message = paymentMessage(event);
      return meaningOf(message) === undefined ? undefined : message.paymentId;
    },
    messageOf: paymentMessage,
    endsWith: ['PaymentReconciliationEnded'],
    initialState: { status: 'settled' },
    decide(input, state, { now }) {
      switch (input.kind) {
        case 'message':
          return onMessage(input, state, settings);
        case 'timer':
          return onTimer(input.dueAt, state, now);
        case 'refusal':
          // It was not asked this time: it will be the next.
          return [];
        default:
          return input satisfies never;
      }
    },
    evolve,
    effectsOf: (event, _state, { instanceId }) => effectsOf(event, instanceId),
    view,
  };
}

type Meaning = { readonly opens: string } | { readonly settles: string };

/** What a message says of what the provider has to tell; undefined for nothing. */
function meaningOf(message: PaymentMessage): Meaning | undefined {
  switch (message.type) {
    case 'PaymentRequested':
    // It has come to nothing here; now it must at the provider.
    case 'PaymentTimedOut':
    case 'PaymentCancelled':
      return { opens: PAYMENT };
    case 'PaymentFailed':
      return message.isOver ? { settles: PAYMENT } : { opens: PAYMENT };
    case 'PaymentAuthorised':
      return message.isLate ? { opens: PAYMENT } : undefined;
    case 'PaymentConfirmed':
    case 'PaymentVoided':
      return { settles: PAYMENT };
    case 'PaymentRefundRequested':
      return { opens: `REFUND ${message.refundId}` };
    case 'PaymentRefunded':
    case 'PaymentRefundFailed':
      return { settles: `REFUND ${message.refundId}` };
    case 'PaymentActionRequired':
      return undefined;
    default:
      return message satisfies never;
  }
}

function onMessage(
  { message, at }: Extract<ProcessInput<PaymentMessage>, { kind: 'message' }>,
  state: ReconciliationState,
  { afterMs, paymentLimitMs }: ReconciliationSettings,
): ReconciliationEvent[] {
  const meaning = meaningOf(message);
  if (meaning === undefined) return [];
  const before = state.status === 'open' ? state.open : [];
  if ('opens' in meaning) {
    const limitMs = message.type === 'PaymentRequested' ? paymentLimitMs : 0;
    const data = {
      open: [...new Set([...before, meaning.opens])],
      waitMs: afterMs,
      nextAt: later(at, afterMs),
      until: later(at, limitMs + GIVEN_UP_AFTER_MS),
    };
    return [{ type: 'PaymentReconciliationBegan', data }];
  }
  if (!before.includes(meaning.settles)) return [];
  const rest = before.filter((it) => it !== meaning.settles);
  return rest.length > 0
    ? [{ type: 'PaymentReconciliationNarrowed', data: { open: rest } }]
    : [{ type: 'PaymentReconciliationEnded', data: { reason: 'SETTLED' } }];
}

function onTimer(dueAt: Date, state: ReconciliationState, now: Date): ReconciliationEvent[] {
  if (state.status !== 'open' || dueAt.toISOString() !== state.nextAt) return [];
  // However late it is, as after a night in which nothing ran: before it is given up, it is asked once more.
  const askedAt = later(new Date(state.nextAt), -state.waitMs);
  const rest = askedAt >= state.until ? state.open.filter((it) => it !== PAYMENT) : state.open;
  if (rest.length === 0) return [{ type: 'PaymentReconciliationEnded', data: { reason: 'GIVEN_UP' } }];
  const isLong = now.toISOString() >= state.until && !rest.includes(PAYMENT);
  const waitMs = Math.min(2 * state.waitMs, isLong ? LONGEST_WAIT_FOR_REFUND_MS : LONGEST_WAIT_MS);
  const asked: ReconciliationEvent = {
    type: 'PaymentReconciliationAsked',
    data: { waitMs, nextAt: later(now, waitMs) },
  };
  if (rest.length === state.open.length) return [asked];
  return [{ type: 'PaymentReconciliationNarrowed', data: { open: [...rest] } }, asked];
}

function later(instant: Date, ms: number): string {
  return new Date(instant.getTime() + ms).toISOString();
}

function evolve(state: ReconciliationState, event: ReconciliationEvent): ReconciliationState {
  switch (event.type) {
    case 'PaymentReconciliationBegan':
      return { status: 'open', ...event.data };
    case 'PaymentReconciliationNarrowed':
    case 'PaymentReconciliationAsked':
      return state.status === 'open' ? { ...state, ...event.data } : state;
    case 'PaymentReconciliationEnded':
      return { status: 'settled' };
    default:
      return event satisfies never;
  }
}

function effectsOf(event: ReconciliationEvent, paymentId: string): readonly ProcessEffect[] {
  switch (event.type) {
    case 'PaymentReconciliationBegan':
      return [{ kind: 'setTimer', timer: TIMER, dueAt: new Date(event.data.nextAt) }];
    case 'PaymentReconciliationAsked': {
      const command: PaymentRequest = { type: 'ReconcilePayment', data: { paymentId } };
      const dueAt = new Date(event.data.nextAt);
      return [
        { kind: 'send', command },
        { kind: 'setTimer', timer: TIMER, dueAt },
      ];
    }
    case 'PaymentReconciliationEnded':
      return [{ kind: 'cancelTimer', timer: TIMER }];
    case 'PaymentReconciliationNarrowed':
      return [];
    default:
      return event satisfies never;
  }
}

function view(event: ReconciliationEvent): ProcessStepView {
  switch (event.type) {
    case 'PaymentReconciliationBegan':
    case 'PaymentReconciliationNarrowed':
      return { step: 'hear', stepStatus: 'WAITING', detail: event.data.open.join(', '), status: 'RUNNING' };
    case 'PaymentReconciliationAsked': {
      const detail = `again at ${event.data.nextAt}`;
      return { step: 'ask', stepStatus: 'DONE', detail, status: 'RUNNING' };
    }
    case 'PaymentReconciliationEnded': {
      const { reason } = event.data;
      const stepStatus = reason === 'SETTLED' ? 'DONE' : 'FAILED';
      return { step: 'hear', stepStatus, detail: reason, status: 'COMPLETED' };
    }
    default:
      return event satisfies never;
  }
}
