import { describe, expect, test } from 'vitest';
import type { CheckoutEvent } from '../../src/processes/checkout-events.ts';
import { CHECKOUT_STEPS } from '../../src/processes/checkout-steps.ts';
import { ORDER } from '../support/carts.ts';
import {
  context,
  did,
  hears,
  LATER,
  noPaymentTimer,
  noTimer,
  process,
  STATES,
  sends,
  states,
  timer,
  WHY,
} from '../support/checkouts.ts';
import { due, givenProcess, handle, NOW, refused, stateAfter } from '../support/given-process.ts';
import { OTHER_PAYMENT, OTHER_RETURN, RETURN } from '../support/orders.ts';

const twoReturns = [...states.delivered, did.returned(), did.returned(OTHER_RETURN, 200)];
const after = (ms: number) => new Date(NOW.getTime() + ms);

describe('A return', () => {
  test('puts the goods into stock again, and gives their share back', () =>
    givenProcess(process, states.delivered)
      .when(hears.returned(), context)
      .thenEvents([did.returned()])
      .thenEffects([sends.restock(), sends.refund(RETURN, 200)]));

  test('of what cost nothing gives nothing back', () =>
    givenProcess(process, states.delivered)
      .when(hears.returned(RETURN, 0), context)
      .thenEvents([did.returned(RETURN, 0)])
      .thenEffects([sends.restock()]));

  test('is done when the goods are in stock, and the money was paid back', () => {
    givenProcess(process, [...states.delivered, did.returned()])
      .when(hears.restocked(), context)
      .thenEvents([did.restocked()])
      .thenEffects([]);
    givenProcess(process, [...states.delivered, did.returned()])
      .when(hears.refunded(RETURN, 200), context)
      .thenEvents([did.refunded(RETURN, 200)])
      .thenEffects([sends.noteRefund(RETURN, 200)]);
  });

  test('comes after others, and asks for its own alone', () =>
    givenProcess(process, [...states.delivered, did.returned()])
      .when(hears.returned(OTHER_RETURN, 200), context)
      .thenEvents([did.returned(OTHER_RETURN, 200)])
      .thenEffects([sends.restock(OTHER_RETURN), sends.refund(OTHER_RETURN, 200)]));

  test('is told to the order alone when its money was paid back, not once more what was before', () =>
    givenProcess(process, [...twoReturns, did.refunded(RETURN, 200)])
      .when(hears.refunded(OTHER_RETURN, 200), context)
      .thenEvents([did.refunded(OTHER_RETURN, 200)])
      .thenEffects([sends.noteRefund(OTHER_RETURN, 200)]));

  const pending = {
    RestockReturn: { events: [], effects: [sends.restock(), sends.restock(OTHER_RETURN)] },
    RefundPayment: { events: [], effects: [sends.refund(RETURN, 200), sends.refund(OTHER_RETURN, 200)] },
    NoteOrderRefunded: {
      events: [did.refunded(RETURN, 200), did.refunded(OTHER_RETURN, 200)],
      effects: [sends.noteRefund(RETURN, 200), sends.noteRefund(OTHER_RETURN, 200)],
    },
  } as const;
  test.each(Object.keys(pending) as (keyof typeof pending)[])('has all asked for again by %s, once it failed', (step) =>
    givenProcess(process, [...twoReturns, ...pending[step].events, did.stepFailed(step, 'x')])
      .when(due(`retry ${step}`, LATER), context)
      .thenEvents([did.stepRetried(step)])
      .thenEffects([noTimer(`retry ${step}`), ...pending[step].effects]),
  );

  test('is taken once, also when all of it is done', () => {
    const done = [...states.delivered, did.returned(), did.restocked(), did.refunded(RETURN, 200)];
    for (const input of [hears.returned(), hears.restocked(), hears.refunded(RETURN, 200)]) {
      givenProcess(process, done).when(input, context).thenNothing();
    }
  });
});

describe('A refund that is wanted', () => {
  test('while another is under way is asked for alone', () => {
    const late = [...states['paying otherwise'], did.confirmed(OTHER_PAYMENT), did.tooLate(), did.sold, did.paid];
    givenProcess(process, late)
      .when(hears.shipmentCancelled, context)
      .thenEvents([did.cancelled('SHIPMENT_CANCELLED')])
      .thenEffects([
        ...[
          noPaymentTimer,
          sends.cancelPayment('SHIPMENT_CANCELLED', OTHER_PAYMENT),
          sends.cancelOrder('SHIPMENT_CANCELLED'),
        ],
        ...[sends.release('SHIPMENT_CANCELLED'), sends.refund(`${ORDER}:cancelled`, 1000, OTHER_PAYMENT)],
      ]);
  });
});

describe('A refund that fails', () => {
  const refundId = `${ORDER}:cancelled`;
  const cancelled = [...states.shipping, did.asked, did.cancelled()];
  const failed = [...cancelled, did.refundFailed(refundId)];

  test('is tried again later', () =>
    givenProcess(process, cancelled)
      .when(hears.refundFailed(refundId), context)
      .thenEvents([did.refundFailed(refundId)])
      .thenEffects([timer(`refund ${refundId}`)]));

  test('is tried again as another one, for this one has failed for good', () => {
    const second = `${refundId}#2`;
    givenProcess(process, failed)
      .when(due(`refund ${refundId}`, LATER), context)
      .thenEvents([did.refundRetried(refundId, second)])
      .thenEffects([sends.refund(second)]);
    const later = after(120_000);
    const again = [...failed, did.refundRetried(refundId, second), did.refundFailed(second, later)];
    givenProcess(process, again.slice(0, -1))
      .when(hears.refundFailed(second), context)
      .thenEvents([did.refundFailed(second, later)])
      .thenEffects([timer(`refund ${second}`, later)]);
    givenProcess(process, again)
      .when(due(`refund ${second}`, later), context)
      .thenEvents([did.refundRetried(second, `${refundId}#3`)])
      .thenEffects([sends.refund(`${refundId}#3`)]);
    givenProcess(process, [...failed, did.refundRetried(refundId, second)])
      .when(hears.refunded(second), context)
      .thenEvents([did.refunded(second)])
      .thenEffects([sends.noteRefund(second)]);
  });

  test('is heard of once, and not of what nobody asked for', () => {
    givenProcess(process, failed).when(hears.refundFailed(refundId), context).thenNothing();
    givenProcess(process, [...failed, did.refundRetried(refundId, `${refundId}#2`)])
      .when(hears.refundFailed(refundId), context)
      .thenNothing();
    givenProcess(process, cancelled).when(hears.refundFailed('by hand'), context).thenNothing();
    givenProcess(process, cancelled).when(hears.refunded('by hand'), context).thenNothing();
  });

  test('after it was done is made good too: the bank sent the money back', () => {
    const done = [...cancelled, did.refunded(refundId)];
    givenProcess(process, done)
      .when(hears.refundFailed(refundId), context)
      .thenEvents([did.refundFailed(refundId)]);
    givenProcess(process, [...done, did.refundFailed(refundId)])
      .when(due(`refund ${refundId}`, LATER), context)
      .thenEffects([sends.refund(`${refundId}#2`)]);
  });
});

describe('A step that has to be done, and was not', () => {
  const early = ['RedeemCoupon', 'ReserveStock', 'PlaceOrder', 'RequestPayment'];
  const steps = CHECKOUT_STEPS.filter((it) => ![...early, 'CancelShipment', 'CommitStock'].includes(it));

  test.each(steps)('%s is tried again later, and waits once', (name) => {
    const failed = did.stepFailed(name, `${name} broke, and was given up.`);
    const refusal = refused(name, { status: 'DROPPED' });
    givenProcess(process, states.delivered)
      .when(refusal, context)
      .thenEvents([failed])
      .thenEffects([timer(`retry ${name}`)]);
    givenProcess(process, [...states.delivered, failed])
      .when(refusal, context)
      .thenNothing();
    givenProcess(process, [...states.delivered, failed])
      .when(due(`retry ${name}`, LATER), context)
      .thenEvents([did.stepRetried(name)]);
    givenProcess(process, [...states.delivered, failed])
      .when(due(`retry ${name}`, NOW), context)
      .thenNothing();
    givenProcess(process, [...states.delivered, failed, did.stepRetried(name)])
      .when(due(`retry ${name}`, LATER), context)
      .thenNothing();
  });

  test.each(['TimeOutPayment', 'CancelPayment'])(
    '%s is not tried again where the payment was confirmed before',
    (name) => givenProcess(process, states['timed out']).when(refused(name), context).thenNothing(),
  );

  test('is asked for again where the order does not know what came before it: that is on its way once more', () => {
    const message = 'The order is not on its way yet: this is to be told again.';
    const rejection = { code: 'ILLEGAL_STATE', state: 'PREPARING', message } as const;
    const failed = did.stepFailed('NoteOrderDelivered', message);
    givenProcess(process, states.delivered)
      .when(refused('NoteOrderDelivered', { rejection }), context)
      .thenEvents([failed])
      .thenEffects([timer('retry NoteOrderDelivered')]);
    givenProcess(process, [...states.delivered, failed])
      .when(due('retry NoteOrderDelivered', LATER), context)
      .thenEvents([did.stepRetried('NoteOrderDelivered')])
      .thenEffects([noTimer('retry NoteOrderDelivered'), sends.delivered]);
  });

  const again = [
    ['selling', 'CommitStock', [sends.commit]],
    ['sold', 'NoteOrderPaid', [sends.paid()]],
    ['shipping', 'RequestShipment', [sends.ship()]],
    ['on the way', 'NoteOrderShipped', [sends.shipped]],
    ['delivered', 'NoteOrderShipped', [sends.shipped]],
    ['declined', 'NoteOrderPaymentFailed', [sends.paymentFailed()]],
    ['cancelled', 'ReleaseStock', [sends.release(WHY)]],
    ['refused', 'CancelCartCheckOut', [sends.cancelCart()]],
    ['overdue', 'TimeOutPayment', [sends.timeOutPayment()]],
    // It is not wanted any more.
    ['delivered', 'CommitStock', []],
    ['delivered', 'NoteOrderPaid', []],
    ['cancelled', 'RequestShipment', []],
    ['timed out', 'NoteOrderPaymentFailed', []],
    ['reopened', 'CancelCartCheckOut', []],
  ] as const;
  test.each(again)('when it is %s, %s is sent again as it is wanted now', (state, step, effects) =>
    givenProcess(process, [...states[state], did.stepFailed(step, 'x')])
      .when(due(`retry ${step}`, LATER), context)
      .thenEvents([did.stepRetried(step)])
      .thenEffects([noTimer(`retry ${step}`), ...effects]),
  );

  test('is tried again later and later, a day at most, each step by itself', () => {
    const pauses: number[] = [];
    const happened: CheckoutEvent[] = [...states.delivered];
    for (let time = 0; time < 14; time += 1) {
      const input = refused('RecordCustomer', { status: 'DROPPED' });
      const [event] = process.decide(input, stateAfter(process, happened), { ...context, now: NOW });
      if (event?.type !== 'CheckoutStepFailed') throw new Error('It did not fail.');
      pauses.push((Date.parse(event.data.retryAt) - NOW.getTime()) / 60_000);
      happened.push(event, did.stepRetried('RecordCustomer'));
    }
    expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1440, 1440, 1440]);
    givenProcess(process, happened)
      .when(refused('NoteOrderShipped', { status: 'DROPPED' }), context)
      .thenEvents([did.stepFailed('NoteOrderShipped', 'NoteOrderShipped broke, and was given up.')]);
  });

  test('is nothing where it is no step of a checkout', () => {
    givenProcess(process, states.selling).when(refused('Whatever'), context).thenNothing();
    givenProcess(process, states.selling).when(due('whatever', NOW), context).thenNothing();
  });
});

describe('What is told again', () => {
  const messages = [
    ...[hears.checkOut(), hears.couponRedeemed, hears.reserved, hears.placed(), hears.placed(0), hears.pay()],
    ...[hears.actionRequired, hears.confirmed(), hears.confirmed(true), hears.failed(), hears.paymentCancelled],
    ...[hears.committed, hears.paid, hears.prepared, hears.handedOver, hears.delivered, hears.shipmentCancelled],
    ...[hears.reopened(), hears.failureNoted(), hears.paymentTimedOut(), hears.orderCancelled, hears.notCancelled],
    ...[hears.cancel, hears.returned(), hears.restocked(), hears.refunded(RETURN, 200), hears.refundFailed(RETURN)],
  ];

  test.each(STATES)('changes nothing when it is %s', (name) => {
    for (const message of messages) {
      const at = { ...context, now: NOW };
      const { state } = handle(process, stateAfter(process, states[name]), message, at);
      expect(handle(process, state, message, at)).toEqual({ events: [], effects: [], state });
    }
  });
});
