import { describe, expect, test } from 'vitest';
import type { PaymentEvent } from '../../src/contexts/payment/events.ts';
import { paymentMessage } from '../../src/contexts/payment/messages.ts';
import { type ReconciliationEvent, reconcilingPayments } from '../../src/processes/reconciling-payments.ts';
import { due, givenProcess, handle, NOW, refused } from '../support/given-process.ts';
import {
  actionRequired,
  authorised,
  cancelled,
  confirmed,
  declined,
  failed,
  PAYMENT,
  refunded,
  refundFailed,
  refundRequested,
  requested,
  timedOut,
  voided,
} from '../support/payments.ts';
import { recorded } from '../support/recorded.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const HOUR = 3_600_000;
const LIMIT = HOUR / 4;
const process = reconcilingPayments({ afterMs: 15_000, paymentLimitMs: LIMIT });
const context = { instanceId: PAYMENT };

const moment = (ms: number) => new Date(NOW.getTime() + ms);
const iso = (ms: number) => moment(ms).toISOString();
const storedOf = (event: PaymentEvent) => {
  const [stored] = recorded('payment', PAYMENT, [event]);
  if (stored === undefined) throw new Error('Nothing was stored.');
  return stored;
};
const told = (event: PaymentEvent, ms = 0) =>
  ({ kind: 'message', message: paymentMessage(storedOf(event)), at: moment(ms) }) as const;

const began = (open: string[], ms = 0, limit = 0): ReconciliationEvent => ({
  type: 'PaymentReconciliationBegan',
  data: { open, waitMs: 15_000, nextAt: iso(ms + 15_000), until: iso(ms + limit + 24 * HOUR) },
});
const narrowed = (...open: string[]): ReconciliationEvent => ({
  type: 'PaymentReconciliationNarrowed',
  data: { open },
});
const asked = (waitMs: number, ms: number): ReconciliationEvent => ({
  type: 'PaymentReconciliationAsked',
  data: { waitMs, nextAt: iso(ms + waitMs) },
});
const ended = (reason: 'SETTLED' | 'GIVEN_UP'): ReconciliationEvent => ({
  type: 'PaymentReconciliationEnded',
  data: { reason },
});
const timerAt = (ms: number) => ({ kind: 'setTimer', timer: 'ask', dueAt: moment(ms) }) as const;
const noTimer = { kind: 'cancelTimer', timer: 'ask' } as const;
const ask = { kind: 'send', command: { type: 'ReconcilePayment', data: { paymentId: PAYMENT } } } as const;

describe('The provider has something to tell', () => {
  test('from when a payment is requested', () =>
    givenProcess(process, [])
      .when(told(requested), context)
      .thenEvents([began(['PAYMENT'], 0, LIMIT)])
      .thenEffects([timerAt(15_000)]));

  test.each([timedOut, cancelled, failed('TOKEN_GONE', null), declined, authorised(true)])(
    'of a payment that came to nothing here: $type',
    (event) => {
      for (const events of [[], [began(['PAYMENT']), asked(30_000, 15_000)]]) {
        givenProcess(process, events)
          .when(told(event, HOUR), context)
          .thenEvents([began(['PAYMENT'], HOUR)])
          .thenEffects([timerAt(HOUR + 15_000)]);
      }
    },
  );

  test('of each refund that is asked for', () => {
    givenProcess(process, [began(['PAYMENT']), ended('SETTLED')])
      .when(told(refundRequested('r1', 400), HOUR), context)
      .thenEvents([began(['REFUND r1'], HOUR)]);
    givenProcess(process, [began(['REFUND r1'])])
      .when(told(refundRequested('r2', 400), HOUR), context)
      .thenEvents([began(['REFUND r1', 'REFUND r2'], HOUR)])
      .thenEffects([timerAt(HOUR + 15_000)]);
  });
});

describe('The provider was heard', () => {
  test.each([confirmed(), confirmed(true), failed(), voided])('of the payment: $type', (event) =>
    givenProcess(process, [began(['PAYMENT']), asked(30_000, 15_000)])
      .when(told(event), context)
      .thenEvents([ended('SETTLED')])
      .thenEffects([noTimer]),
  );

  test.each([refunded('r1', 400, 400), refundFailed('r1', 0)])('of a refund: $type', (event) => {
    givenProcess(process, [began(['REFUND r1', 'REFUND r2'])])
      .when(told(event), context)
      .thenEvents([narrowed('REFUND r2')])
      .thenEffects([]);
    givenProcess(process, [began(['REFUND r1', 'REFUND r2']), narrowed('REFUND r1')])
      .when(told(event), context)
      .thenEvents([ended('SETTLED')])
      .thenEffects([noTimer]);
  });

  test('of what nothing was waited for', () => {
    for (const events of [[], [began(['PAYMENT']), ended('SETTLED')]]) {
      for (const event of [confirmed(), failed(), voided, refunded('re_9', 1, 1)]) {
        givenProcess(process, events).when(told(event), context).thenNothing();
      }
    }
  });
});

describe('A provider that is silent', () => {
  const at = (ms: number) => ({ ...context, now: moment(ms) });

  test('is asked, and again later', () => {
    givenProcess(process, [began(['PAYMENT'])])
      .when(due('ask', moment(15_000)), at(16_000))
      .thenEvents([asked(30_000, 16_000)])
      .thenEffects([ask, timerAt(46_000)]);
    givenProcess(process, [began(['PAYMENT']), asked(30_000, 16_000)])
      .when(due('ask', moment(46_000)), at(46_000))
      .thenEvents([asked(60_000, 46_000)])
      .thenEffects([ask, timerAt(106_000)]);
  });

  test('is not asked by a timer that was replaced, or that says it twice', () => {
    givenProcess(process, [began(['PAYMENT']), began(['PAYMENT'], HOUR)])
      .when(due('ask', moment(15_000)), at(HOUR))
      .thenNothing();
    givenProcess(process, [began(['PAYMENT']), asked(30_000, 15_000)])
      .when(due('ask', moment(15_000)), at(15_000))
      .thenNothing();
    givenProcess(process, [began(['PAYMENT']), ended('SETTLED')])
      .when(due('ask', moment(15_000)), at(15_000))
      .thenNothing();
  });

  test('is asked the next time if it could not be this time', () =>
    givenProcess(process, [began(['PAYMENT']), asked(30_000, 15_000)])
      .when(refused('ReconcilePayment', { status: 'DROPPED' }), context)
      .thenNothing());

  /** Which timers are due from a message on, in seconds, if nothing else is heard. */
  function silence(event: PaymentEvent, longest: number) {
    const clock = new VirtualClock(NOW.toISOString());
    let { state, effects } = handle(process, process.initialState, told(event), { ...context, now: clock.now() });
    const times: number[] = [];
    while (times.length < longest) {
      const timer = effects.find((it) => it.kind === 'setTimer');
      if (timer === undefined) break;
      clock.advance(timer.dueAt.getTime() - clock.now().getTime());
      ({ state, effects } = handle(process, state, due('ask', timer.dueAt), { ...context, now: clock.now() }));
      if (effects.some(({ kind }) => kind === 'send')) times.push((clock.now().getTime() - NOW.getTime()) / 1000);
    }
    return { times, state, effects };
  }
  const pauses = (times: readonly number[]) => times.slice(1).map((it, index) => it - (times[index] ?? 0));

  test('is given up a day after the time limit of the payment, until when it is asked more and more rarely', () => {
    const { times, state, effects } = silence(requested, 1000);
    expect(effects).toEqual([noTimer]);
    expect(state).toEqual({ status: 'settled' });
    expect(times.slice(0, 8)).toEqual([15, 45, 105, 225, 465, 945, 1905, 3825]);
    expect(pauses(times.slice(7))).toEqual(new Array(times.length - 8).fill(3600));
    expect(times.at(-2)).toBeLessThan((24 * HOUR + LIMIT) / 1000);
    expect(times.at(-1)).toBeGreaterThanOrEqual((24 * HOUR + LIMIT) / 1000);
    expect(times.at(-1)).toBeLessThan((25 * HOUR + LIMIT) / 1000);
  });

  test('is asked once more where it is long past, and given up only then', () => {
    const long = began(['PAYMENT']);
    givenProcess(process, [long])
      .when(due('ask', moment(15_000)), at(25 * HOUR))
      .thenEvents([asked(30_000, 25 * HOUR)])
      .thenEffects([ask, timerAt(25 * HOUR + 30_000)]);
    const late = asked(30_000, 25 * HOUR);
    givenProcess(process, [long, late])
      .when(due('ask', moment(25 * HOUR + 30_000)), at(25 * HOUR + 30_000))
      .thenEvents([ended('GIVEN_UP')])
      .thenEffects([noTimer]);
    givenProcess(process, [long, late])
      .when(told(confirmed()), context)
      .thenEvents([ended('SETTLED')]);
  });

  test('of a refund is asked for ever, every six hours in the end: the money is owed', () => {
    const { times } = silence(refundRequested('r1', 400), 100);
    const firstDay = times.filter((it) => it < (24 * HOUR) / 1000);
    expect(Math.max(...pauses(firstDay))).toBe(3600);
    expect(pauses(times.slice(firstDay.length)).slice(0, 4)).toEqual([2, 4, 6, 6].map((it) => it * 3600));
    expect(new Set(pauses(times.slice(firstDay.length + 3)))).toEqual(new Set([6 * 3600]));
  });

  test('of a payment and a refund is given up for the payment alone', () =>
    givenProcess(process, [began(['PAYMENT', 'REFUND r1']), asked(HOUR, 24 * HOUR)])
      .when(due('ask', moment(25 * HOUR)), at(25 * HOUR))
      .thenEvents([narrowed('REFUND r1'), asked(2 * HOUR, 25 * HOUR)])
      .thenEffects([ask, timerAt(27 * HOUR)]));
});

test('A payment has one instance, which is told what matters to it', () => {
  const instances = [
    ...[requested, confirmed(), failed(), timedOut, cancelled, voided, authorised(true)],
    ...[refundRequested('r1', 1), refunded('r1', 1, 1), refundFailed('r1', 0)],
  ];
  for (const event of instances) {
    expect(process.instanceOf(storedOf(event))).toBe(PAYMENT);
    expect(process.eventTypes).toContain(event.type);
  }
  // Most payments: the provider holds the money, and is asked to take it. That needs no watching of its own.
  expect(process.instanceOf(storedOf(authorised()))).toBeUndefined();
  expect(process.eventTypes).not.toContain(actionRequired(null).type);
});

test('It shows what is waited for, and fits its schema', () => {
  const events = [began(['PAYMENT']), narrowed('REFUND r1'), asked(30_000, 0), ended('SETTLED'), ended('GIVEN_UP')];
  expect(events.map(process.view).map(({ step, stepStatus, status }) => `${step} ${stepStatus}, ${status}`)).toEqual([
    ...['hear WAITING, RUNNING', 'hear WAITING, RUNNING', 'ask DONE, RUNNING'],
    ...['hear DONE, COMPLETED', 'hear FAILED, COMPLETED'],
  ]);
  for (const { type, data } of events) {
    expect(process.events.find((it) => it.type === type)?.data.parse(data)).toEqual(data);
  }
});
