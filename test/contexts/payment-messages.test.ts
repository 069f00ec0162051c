import { describe, expect, test } from 'vitest';
import { type PaymentEvent, paymentEvents } from '../../src/contexts/payment/events.ts';
import {
  type PaymentView,
  paymentMessage,
  paymentSourcesOf,
  paymentView,
  showPayment,
} from '../../src/contexts/payment/messages.ts';
import {
  AMOUNT,
  actionRequired,
  authorised,
  cancelled,
  confirmed,
  failed,
  gbp,
  ORDER,
  PAYMENT,
  refunded,
  refundFailed,
  refundRequested,
  requested,
  timedOut,
  voided,
} from '../support/payments.ts';
import { recorded } from '../support/recorded.ts';

const messagesOf = (...events: PaymentEvent[]) => recorded('payment', PAYMENT, events).map(paymentMessage);
const of = (second: number) => ({
  paymentId: PAYMENT,
  orderId: ORDER,
  at: new Date(Date.UTC(2030, 0, 31, 12, 0, second)),
});

describe('What payment publishes', () => {
  const events = [
    ...[requested, actionRequired('https://bank'), authorised(), confirmed(), failed(), timedOut, cancelled, voided],
    ...[refundRequested('r1', 400), refunded('r1', 400, 400), refundFailed('r1', 0), failed('TOKEN_GONE', null)],
  ];

  test('is a message for each event, about the payment of an order', () =>
    expect(messagesOf(...events)).toEqual([
      { type: 'PaymentRequested', ...of(0), customerId: 'carla', amount: AMOUNT, provider: 'simulated' },
      { type: 'PaymentActionRequired', ...of(1), kind: 'REDIRECT', url: 'https://bank' },
      { type: 'PaymentAuthorised', ...of(2), isLate: false },
      { type: 'PaymentConfirmed', ...of(3), amount: AMOUNT, isLate: false },
      { type: 'PaymentFailed', ...of(4), reason: 'card_declined', isOver: true },
      { type: 'PaymentTimedOut', ...of(5) },
      { type: 'PaymentCancelled', ...of(6), reason: 'unwanted' },
      { type: 'PaymentVoided', ...of(7) },
      { type: 'PaymentRefundRequested', ...of(8), refundId: 'r1', amount: gbp(400) },
      { type: 'PaymentRefunded', ...of(9), refundId: 'r1', amount: gbp(400), refunded: gbp(400) },
      { type: 'PaymentRefundFailed', ...of(10), refundId: 'r1', reason: 'REFUSED_BY_PROVIDER', refunded: gbp(0) },
      { type: 'PaymentFailed', ...of(11), reason: 'TOKEN_GONE', isOver: false },
    ]));

  test('comes from all its events, of the same names', () => {
    const types = messagesOf(...events).map(({ type }) => type);
    expect(new Set(paymentSourcesOf(...types))).toEqual(new Set(paymentEvents.map(({ type }) => type)));
  });
});

describe('A payment is shown', () => {
  function shown(...events: PaymentEvent[]): PaymentView | undefined {
    return messagesOf(...events).reduce<PaymentView | undefined>(showPayment, undefined);
  }

  test('as it was asked for', () => {
    const view = shown(requested);
    expect(view).toEqual({
      ...{ paymentId: PAYMENT, status: 'REQUESTED', ...AMOUNT, refundedMinor: 0, provider: 'simulated' },
      ...{ failureReason: null, nextAction: null, requestedAt: '2030-01-31T12:00:00.000Z', openRefunds: [] },
    });
    expect(paymentView.parse(view)).toEqual(view);
    expect(shown(confirmed())).toBeUndefined();
  });

  const taken = [requested, authorised(), confirmed()];
  const asked = [...taken, refundRequested('r1', 400), refundRequested('r2', 600)];

  test.each<[PaymentView['status'], number, PaymentEvent[]]>([
    ['REQUIRES_ACTION', 0, [requested, actionRequired(null)]],
    ['REQUESTED', 0, [requested, actionRequired(null), authorised()]],
    ['CONFIRMED', 0, taken],
    ['FAILED', 0, [requested, failed()]],
    ['TIMED_OUT', 0, [requested, timedOut]],
    ['TIMED_OUT', 0, [requested, timedOut, authorised(true), voided]],
    ['CANCELLED', 0, [requested, cancelled, voided]],
    ['CONFIRMED', 0, [requested, timedOut, confirmed(true)]],
    ['REFUND_REQUESTED', 0, asked],
    ['REFUND_REQUESTED', 400, [...asked, refunded('r1', 400, 400)]],
    ['REFUNDED', 1000, [...asked, refunded('r1', 400, 400), refunded('r2', 600, 1000)]],
    ['PARTIALLY_REFUNDED', 400, [...asked, refunded('r1', 400, 400), refundFailed('r2', 400)]],
    ['CONFIRMED', 0, [...asked, refundFailed('r1', 0), refundFailed('r2', 0)]],
    ['PARTIALLY_REFUNDED', 5, [...taken, refunded('re_9', 5, 5)]],
  ])('%s, with %d paid back', (status, refundedMinor, events) =>
    expect(shown(...events)).toMatchObject({ status, refundedMinor }),
  );

  test('with why it failed, and what is to be done', () => {
    expect(shown(requested, failed())?.failureReason).toBe('card_declined');
    expect(shown(requested, cancelled)?.failureReason).toBe('unwanted');
    expect(shown(requested, cancelled, confirmed(true))?.failureReason).toBeNull();
    expect(shown(requested, actionRequired('https://bank'))?.nextAction).toEqual({
      kind: 'REDIRECT',
      url: 'https://bank',
    });
    for (const end of [authorised(), confirmed(), failed(), timedOut, cancelled]) {
      expect(shown(requested, actionRequired('https://bank'), end)?.nextAction).toBeNull();
    }
  });
});
