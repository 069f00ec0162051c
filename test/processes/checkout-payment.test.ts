import { describe, expect, test } from 'vitest';
import { paymentDeclined } from '../../src/contexts/rejections.ts';
import { ORDER } from '../support/carts.ts';
import {
  CANCEL_COMMAND,
  conclude,
  context,
  did,
  hears,
  noPaymentTimer,
  OTHER_PAY_COMMAND,
  overdueTimer,
  PAY_COMMAND,
  process,
  STATES,
  sends,
  states,
  UNTIL,
} from '../support/checkouts.ts';
import { due, givenProcess, NOW, refused } from '../support/given-process.ts';
import { DEADLINE, OTHER_PAYMENT, PAYMENT } from '../support/orders.ts';

const declined = (reason: string, paymentId: string | null = PAYMENT) => paymentDeclined(reason, ORDER, paymentId);
const deadline = new Date(DEADLINE);
const UNDER_WAY = ['paying', 'needing action', 'paying otherwise'] as const;
const AWAITING: readonly string[] = ['awaiting payment', 'declined', ...UNDER_WAY];
const undoTimedOut = [sends.cancelOrder('PAYMENT_TIMED_OUT'), sends.release('PAYMENT_TIMED_OUT')];

describe('A payment', () => {
  test('that is declined is told to the order, which waits for another', () =>
    givenProcess(process, states.paying)
      .when(hears.failed(), context)
      .thenEvents([did.failed()])
      .thenEffects([sends.paymentFailed()]));

  test('that is declined is answered when the order knows, once', () => {
    givenProcess(process, states.declined)
      .when(hears.failureNoted(), context)
      .thenEvents([did.failureNoted()])
      .thenEffects([conclude(PAY_COMMAND, declined('card_declined'))]);
    givenProcess(process, [...states.declined, did.failureNoted()])
      .when(hears.failureNoted(), context)
      .thenNothing();
    givenProcess(process, states['paying otherwise']).when(hears.failureNoted(), context).thenNothing();
  });

  test('that is declined is answered so, also where the order ends before it knows', () =>
    givenProcess(process, [...states.declined, did.timedOut])
      .when(hears.failureNoted(), context)
      .thenEvents([did.failureNoted()])
      .thenEffects([conclude(PAY_COMMAND, declined('card_declined'))]));

  test('that the provider calls off is told', () =>
    givenProcess(process, states.paying)
      .when(hears.paymentCancelled, context)
      .thenEvents([did.failed('CANCELLED')])
      .thenEffects([sends.paymentFailed('CANCELLED')]));

  test('that cannot even be asked for is told', () =>
    givenProcess(process, states.paying)
      .when(refused('RequestPayment', { status: 'DROPPED' }), context)
      .thenEvents([did.failed('ILLEGAL_STATE')])
      .thenEffects([sends.paymentFailed('ILLEGAL_STATE')]));

  test('can be made otherwise then', () => {
    givenProcess(process, states.declined)
      .when(hears.pay(OTHER_PAYMENT, OTHER_PAY_COMMAND), context)
      .thenEvents([did.paying(OTHER_PAYMENT, OTHER_PAY_COMMAND)])
      .thenEffects([sends.requestPayment(OTHER_PAYMENT, OTHER_PAY_COMMAND)]);
    givenProcess(process, states['paying otherwise'])
      .when(hears.confirmed(false, OTHER_PAYMENT), context)
      .thenEvents([did.confirmed(OTHER_PAYMENT)])
      .thenEffects([noPaymentTimer, sends.commit]);
  });

  test('that needs an action is answered, once, and goes on when that is done', () => {
    givenProcess(process, states.paying)
      .when(hears.actionRequired, context)
      .thenEvents([did.actionNeeded])
      .thenEffects([conclude(PAY_COMMAND)]);
    givenProcess(process, states['needing action']).when(hears.actionRequired, context).thenNothing();
    givenProcess(process, states['needing action']).when(hears.confirmed(), context).thenEvents([did.confirmed()]);
    givenProcess(process, states['needing action']).when(hears.failed(), context).thenEvents([did.failed()]);
  });

  test('that is another one than the awaited is nothing', () => {
    givenProcess(process, states['paying otherwise']).when(hears.failed(), context).thenNothing();
    givenProcess(process, states['paying otherwise']).when(hears.actionRequired, context).thenNothing();
    givenProcess(process, states['paying otherwise']).when(hears.paymentCancelled, context).thenNothing();
  });
});

describe('A payment that is not made in time', () => {
  test('ends the order where none is under way', () => {
    givenProcess(process, states['awaiting payment'])
      .when(due('payment', deadline), context)
      .thenEvents([did.timedOut])
      .thenEffects([noPaymentTimer, ...undoTimedOut]);
    givenProcess(process, states.declined)
      .when(due('payment', deadline), context)
      .thenEvents([did.timedOut])
      .thenEffects([noPaymentTimer, sends.timeOutPayment(), ...undoTimedOut]);
  });

  test.each(UNDER_WAY)('is stopped where it is under way, and says what became of it: %s', (state) => {
    const paymentId = state === 'paying otherwise' ? OTHER_PAYMENT : PAYMENT;
    const overdue = { ...did.overdue, data: { ...did.overdue.data, paymentId } };
    givenProcess(process, states[state])
      .when(due('payment', deadline), context)
      .thenEvents([overdue])
      .thenEffects([sends.timeOutPayment(paymentId), overdueTimer]);
    givenProcess(process, [...states[state], overdue])
      .when(due('payment', deadline), context)
      .thenNothing();
    givenProcess(process, [...states[state], overdue])
      .when(hears.paymentTimedOut(paymentId), context)
      .thenEvents([did.timedOut])
      .thenEffects([noPaymentTimer, sends.timeOutPayment(paymentId), ...undoTimedOut]);
  });

  test('was made in time where the provider had confirmed it before it was stopped', () => {
    givenProcess(process, states.overdue)
      .when(hears.confirmed(), context)
      .thenEvents([did.confirmed()])
      .thenEffects([noPaymentTimer, sends.commit]);
    const confirmed = [...states.overdue, did.confirmed()];
    givenProcess(process, confirmed).when(refused('TimeOutPayment'), context).thenNothing();
    givenProcess(process, confirmed).when(due('payment', UNTIL), context).thenNothing();
  });

  test('was not where that came after it was stopped: the money goes back, and the order ends as it hears so', () => {
    givenProcess(process, states.overdue)
      .when(hears.confirmed(true), context)
      .thenEvents([did.tooLate()])
      .thenEffects([sends.refund(`${PAYMENT}:late`)]);
    givenProcess(process, [...states.overdue, did.tooLate()])
      .when(hears.paymentTimedOut(), context)
      .thenEvents([did.timedOut]);
  });

  test('is not waited for any longer where nothing is heard of it', () => {
    givenProcess(process, states.overdue)
      .when(due('payment', UNTIL), context)
      .thenEvents([did.timedOut])
      .thenEffects([noPaymentTimer, sends.timeOutPayment(), ...undoTimedOut]);
    givenProcess(process, states['timed out']).when(hears.paymentTimedOut(), context).thenNothing();
  });

  test('and fails then ends the order at once; where it did not before, later', () => {
    const failed = [...states.overdue, did.failed(), did.failureNoted()];
    givenProcess(process, states.overdue).when(hears.failed(), context).thenEvents([did.failed(), did.timedOut]);
    givenProcess(process, failed).when(due('payment', UNTIL), context).thenEvents([did.timedOut]);
    givenProcess(process, [...failed, did.paying(OTHER_PAYMENT, OTHER_PAY_COMMAND)])
      .when(due('payment', UNTIL), context)
      .thenEvents([did.timedOut])
      .thenEffects([noPaymentTimer, sends.timeOutPayment(OTHER_PAYMENT), ...undoTimedOut]);
  });

  test('is answered when the order says that it is over', () =>
    givenProcess(process, states['timed out'])
      .when(hears.orderCancelled, context)
      .thenEvents([did.closed])
      .thenEffects([conclude(PAY_COMMAND, declined('TIMED_OUT'))]));

  test.each(STATES.filter((it) => !AWAITING.includes(it)))('ends nothing when it is %s', (state) =>
    givenProcess(process, states[state]).when(due('payment', deadline), context).thenNothing(),
  );

  test.each(STATES)('ends nothing where the timer is outdated: when it is %s', (state) => {
    givenProcess(process, states[state]).when(due('payment', NOW), context).thenNothing();
    givenProcess(process, states[state]).when(due('retry CommitStock', NOW), context).thenNothing();
    givenProcess(process, states[state])
      .when(due(`refund ${ORDER}:cancelled`, NOW), context)
      .thenNothing();
  });

  test('gives a coupon back', () => {
    const { effects } = effectsOfTimeout();
    expect(effects).toContainEqual(sends.releaseCoupon);
  });

  test('is answered where somebody began to pay in that moment, once the order says that it is over', () => {
    const timedOut = [...states['awaiting payment'], did.timedOut];
    const answered = [conclude(PAY_COMMAND, declined('TIMED_OUT', null))];
    givenProcess(process, timedOut).when(hears.pay(), context).thenEvents([did.unwanted]).thenEffects([]);
    givenProcess(process, [...timedOut, did.unwanted])
      .when(hears.orderCancelled, context)
      .thenEvents([did.closed])
      .thenEffects(answered);
    givenProcess(process, [...timedOut, did.closed])
      .when(hears.pay(), context)
      .thenEvents([did.unwanted])
      .thenEffects(answered);
  });

  test('is no matter to who cancels in that moment: it is cancelled', () =>
    givenProcess(process, states['timed out']).when(hears.cancel, context).thenEvents([did.asked]).thenEffects([]));
});

function effectsOfTimeout() {
  const [first, ...rest] = states['awaiting payment'];
  if (first?.type !== 'CheckoutStarted') throw new Error('It begins otherwise.');
  const withCoupon = [{ ...first, data: { ...first.data, couponCode: 'TEN' } }, did.redeemed, ...rest];
  const state = withCoupon.reduce<ReturnType<typeof process.evolve>>(process.evolve, process.initialState);
  const at = { ...context, now: deadline };
  const events = process.decide(due('payment', deadline), state, at);
  return { effects: events.flatMap((event) => process.effectsOf(event, process.evolve(state, event), at)) };
}

describe('Money that comes too late', () => {
  const late = {
    'after it timed out': [states['timed out'], true],
    'after it timed out, before the payment knew': [states['timed out'], false],
    'after it was cancelled': [states.cancelled, true],
    'after it was cancelled, before the payment knew': [states.cancelled, false],
    'after it was declined': [states.declined, true],
    'after it was declined, and paid otherwise': [[...states['paying otherwise'], did.confirmed(OTHER_PAYMENT)], true],
  } as const;

  test.each(Object.keys(late) as (keyof typeof late)[])('%s, is paid back, once', (when) => {
    const [events, isLate] = late[when];
    givenProcess(process, events)
      .when(hears.confirmed(isLate), context)
      .thenEvents([did.tooLate()])
      .thenEffects([sends.refund(`${PAYMENT}:late`)]);
    const known = [...events, did.tooLate()];
    givenProcess(process, known).when(hears.confirmed(isLate), context).thenNothing();
    const back = did.refunded(`${PAYMENT}:late`);
    givenProcess(process, known)
      .when(hears.refunded(`${PAYMENT}:late`), context)
      .thenEvents([back])
      .thenEffects([sends.noteRefund(`${PAYMENT}:late`)]);
    givenProcess(process, [...known, back])
      .when(hears.confirmed(isLate), context)
      .thenNothing();
  });

  test.each(['selling', 'sold', 'shipping', 'on the way', 'delivered'] as const)(
    'is not what is confirmed twice: when it is %s',
    (state) => givenProcess(process, states[state]).when(hears.confirmed(), context).thenNothing(),
  );

  test('is not what was paid back already, since a paid order was cancelled', () => {
    const cancelled = [...states.shipping, did.asked, did.cancelled()];
    givenProcess(process, cancelled).when(hears.confirmed(), context).thenNothing();
    givenProcess(process, [...cancelled, did.refunded(`${ORDER}:cancelled`)])
      .when(hears.confirmed(), context)
      .thenNothing();
  });
});

describe('Stock that went to others before it was sold', () => {
  const rejection = { code: 'ILLEGAL_STATE', message: 'No A is reserved any more.', state: 'EXPIRED' };
  const refundId = `${ORDER}:out-of-stock`;
  const undo = [sends.cancelOrder('OUT_OF_STOCK'), sends.release('OUT_OF_STOCK'), sends.refund(refundId)];

  test('ends the order, and the money goes back', () =>
    givenProcess(process, states.selling)
      .when(refused('CommitStock', { rejection }), context)
      .thenEvents([did.stockLost(rejection)])
      .thenEffects(undo));

  test('is what was wanted by who cancelled meanwhile', () =>
    givenProcess(process, [...states.selling, did.asked])
      .when(refused('CommitStock', { rejection }), context)
      .thenEvents([did.stockLost(rejection)])
      .thenEffects(undo));

  test('is answered when the order says that it is over', () => {
    const answered = conclude(PAY_COMMAND, declined('OUT_OF_STOCK'));
    givenProcess(process, [...states.selling, did.stockLost(rejection)])
      .when(hears.orderCancelled, context)
      .thenEvents([did.closed])
      .thenEffects([answered]);
    givenProcess(process, [...states.selling, did.asked, did.stockLost(rejection)])
      .when(hears.orderCancelled, context)
      .thenEvents([did.closed])
      .thenEffects([answered, conclude(CANCEL_COMMAND)]);
  });

  test('is not lost where the step only broke: it is tried again', () =>
    givenProcess(process, states.selling)
      .when(refused('CommitStock', { status: 'DROPPED' }), context)
      .thenEvents([did.stepFailed('CommitStock', 'CommitStock broke, and was given up.')]));
});
