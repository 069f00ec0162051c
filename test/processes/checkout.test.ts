import { describe, expect, test } from 'vitest';
import { insufficientStock } from '../../src/contexts/rejections.ts';
import type { Rejection } from '../../src/eventsourcing/commands/rejection.ts';
import { CART, OTHER_CART, price } from '../support/carts.ts';
import {
  began,
  CHECK_OUT_COMMAND,
  conclude,
  context,
  did,
  hears,
  noPaymentTimer,
  noTimer,
  PAY_COMMAND,
  paymentTimer,
  process,
  STATES,
  sends,
  states,
} from '../support/checkouts.ts';
import { givenProcess, handle, refused, stateAfter } from '../support/given-process.ts';

describe('A checkout', () => {
  test('begins with reserving what is in the cart', () =>
    givenProcess(process, []).when(hears.checkOut(), context).thenEvents([began()]).thenEffects([sends.reserve]));

  test('is refused at once where whoever orders was forgotten, and nothing is taken for it', () => {
    const rejection = { code: 'ILLEGAL_STATE', state: 'FORGOTTEN', message: expect.any(String) };
    for (const gone of [{ email: null }, { shippingAddress: null }, { email: null, shippingAddress: null }]) {
      givenProcess(process, [])
        .when(hears.checkOut(gone), context)
        .thenEvents([began(gone), did.refused(rejection as Rejection)])
        .thenEffects([sends.cancelCart()]);
    }
  });

  test('then places the order', () =>
    givenProcess(process, states.reserving)
      .when(hears.reserved, context)
      .thenEvents([did.reserved])
      .thenEffects([sends.place()]));

  test('then answers who checked out, and waits for the payment until its deadline', () =>
    givenProcess(process, states.placing)
      .when(hears.placed(), context)
      .thenEvents([did.placed])
      .thenEffects([sends.completeCart, sends.record(), paymentTimer, conclude(CHECK_OUT_COMMAND)]));

  test('asks for the money when the customer pays', () =>
    givenProcess(process, states['awaiting payment'])
      .when(hears.pay(), context)
      .thenEvents([did.paying()])
      .thenEffects([sends.requestPayment()]));

  test('sells what is reserved once the money is there', () =>
    givenProcess(process, states.paying)
      .when(hears.confirmed(), context)
      .thenEvents([did.confirmed()])
      .thenEffects([noPaymentTimer, sends.commit]));

  test('then has the order paid', () =>
    givenProcess(process, states.selling)
      .when(hears.committed, context)
      .thenEvents([did.sold])
      .thenEffects([sends.paid()]));

  test('then answers who paid, and sends the goods off', () =>
    givenProcess(process, states.sold)
      .when(hears.paid, context)
      .thenEvents([did.paid])
      .thenEffects([conclude(PAY_COMMAND), sends.ship()]));

  test('tells the order how far the goods are', () => {
    givenProcess(process, states.shipping)
      .when(hears.prepared, context)
      .thenEvents([did.prepared])
      .thenEffects([sends.preparation]);
    givenProcess(process, states.prepared)
      .when(hears.handedOver, context)
      .thenEvents([did.shipped])
      .thenEffects([sends.shipped]);
    givenProcess(process, states['on the way'])
      .when(hears.delivered, context)
      .thenEvents([did.delivered])
      .thenEffects([sends.delivered]);
  });

  test('is told to whoever watches, from beginning to end', () => {
    const steps = states.delivered.map((event) => process.view(event));
    expect(steps.map(({ status }) => status)).toEqual([
      ...Array.from({ length: steps.length - 1 }, () => 'RUNNING'),
      'COMPLETED',
    ]);
  });
});

describe('A checkout with a coupon', () => {
  const withCoupon = states['redeeming coupon'];

  test('begins with redeeming it', () =>
    givenProcess(process, [])
      .when(hears.checkOut({ couponCode: 'TEN' }), context)
      .thenEvents(withCoupon)
      .thenEffects([sends.redeem]));

  test('then reserves', () =>
    givenProcess(process, withCoupon)
      .when(hears.couponRedeemed, context)
      .thenEvents([did.redeemed])
      .thenEffects([sends.reserve]));

  test('comes to nothing where it was used up meanwhile', () => {
    const rejection = { code: 'COUPON_INVALID', message: 'used up', reason: 'USED_UP' };
    givenProcess(process, withCoupon)
      .when(refused('RedeemCoupon', { rejection }), context)
      .thenEvents([did.refused(rejection)])
      .thenEffects([sends.cancelCart()]);
  });

  test('gives it back where there is no stock', () => {
    const rejection = insufficientStock('A', 2, 1);
    givenProcess(process, [...withCoupon, did.redeemed])
      .when(refused('ReserveStock', { rejection }), context)
      .thenEvents([did.refused(rejection)])
      .thenEffects([sends.releaseCoupon, sends.cancelCart()]);
  });
});

describe('A checkout where there is nothing to pay', () => {
  const nothing = [...states.placing, did.placed, did.nothingToPay];

  test('sells at once', () =>
    givenProcess(process, states.placing)
      .when(hears.placed(0), context)
      .thenEvents([did.placed, did.nothingToPay])
      .thenEffects([
        ...[sends.completeCart, sends.record(), paymentTimer, conclude(CHECK_OUT_COMMAND)],
        ...[noPaymentTimer, sends.commit],
      ]));

  test('has the order paid by nothing, and sends the goods off', () => {
    givenProcess(process, nothing)
      .when(hears.committed, context)
      .thenEvents([did.sold])
      .thenEffects([sends.paid(null)]);
    givenProcess(process, [...nothing, did.sold])
      .when(hears.paid, context)
      .thenEvents([did.paid])
      .thenEffects([sends.ship()]);
  });

  test('gives no money back', () => {
    const { effects } = handle(
      process,
      stateAfter(process, [...nothing, did.sold, did.paid]),
      hears.shipmentCancelled,
      {
        ...context,
        now: new Date(),
      },
    );
    expect(effects).not.toContainEqual(
      expect.objectContaining({ command: expect.objectContaining({ type: 'RefundPayment' }) }),
    );
  });
});

describe('A checkout that is refused', () => {
  const rejection = insufficientStock('A', 2, 1);

  test('for want of stock opens the cart again', () =>
    givenProcess(process, states.reserving)
      .when(refused('ReserveStock', { rejection }), context)
      .thenEvents([did.refused(rejection)])
      .thenEffects([sends.cancelCart()]));

  test('says why once the cart is open again', () => {
    givenProcess(process, [...states.reserving, did.refused(rejection)])
      .when(hears.reopened(), context)
      .thenEvents([did.reopened()])
      .thenEffects([conclude(CHECK_OUT_COMMAND, rejection)]);
    givenProcess(process, states.reopened).when(hears.reopened(), context).thenNothing();
    givenProcess(process, states.refused).when(hears.reopened(OTHER_CART), context).thenNothing();
  });

  test('when the order is placed gives the stock back', () =>
    givenProcess(process, states.placing)
      .when(refused('PlaceOrder', { rejection }), context)
      .thenEvents([did.refused(rejection)])
      .thenEffects([sends.release('REFUSED'), sends.cancelCart()]));

  const happened = {
    DROPPED: 'broke, and was given up',
    TIMED_OUT: 'was not done in time',
    CANCELLED: 'was called off',
  };
  const steps = { 'redeeming coupon': 'RedeemCoupon', reserving: 'ReserveStock', placing: 'PlaceOrder' } as const;
  const faults = (['DROPPED', 'TIMED_OUT', 'CANCELLED'] as const).flatMap((status) =>
    (['redeeming coupon', 'reserving', 'placing'] as const).map((state) => ({ status, state })),
  );
  test.each(faults)('where a step was $status while $state, too', ({ status, state }) => {
    const why = { code: 'ILLEGAL_STATE', message: `${steps[state]} ${happened[status]}.`, state: status };
    givenProcess(process, states[state])
      .when(refused(steps[state], { status }), context)
      .thenEvents([did.refused(why)]);
  });

  test('for a reason that must not be stored tells what happened instead', () => {
    const conflict = { code: 'VERSION_CONFLICT', message: 'of another version.' };
    givenProcess(process, states.reserving)
      .when(refused('ReserveStock', { rejection: conflict }), context)
      .thenEvents([
        did.refused({
          ...{ code: 'ILLEGAL_STATE', state: 'REJECTED' },
          message: 'ReserveStock was refused: of another version.',
        }),
      ]);
  });

  test.each(STATES)('is refused once: when it is %s, a late refusal is nothing', (state) => {
    const early = { 'redeeming coupon': 'RedeemCoupon', reserving: 'ReserveStock', placing: 'PlaceOrder' };
    for (const name of Object.values(early).filter((it) => it !== early[state as keyof typeof early])) {
      givenProcess(process, states[state]).when(refused(name, { rejection }), context).thenNothing();
    }
  });
});

describe('A second cart with the id of an order that there is', () => {
  const taken = did.idTaken(OTHER_CART, 'another command');
  const rejection = {
    ...{ code: 'ILLEGAL_STATE', state: 'ID_TAKEN' },
    message: 'There is an order of that id already: choose another newOrderId.',
  };
  const other = hears.checkOut({ cartId: OTHER_CART, commandId: 'another command' });

  test.each(STATES.filter((it) => it !== 'not begun'))('is opened again, and told: when it is %s', (state) => {
    const reopened = did.reopened(OTHER_CART, 'another command');
    givenProcess(process, states[state])
      .when(other, context)
      .thenEvents([taken])
      .thenEffects([sends.cancelCart(OTHER_CART, 'ID_TAKEN')]);
    givenProcess(process, [...states[state], taken])
      .when(other, context)
      .thenNothing();
    givenProcess(process, [...states[state], taken])
      .when(hears.reopened(OTHER_CART), context)
      .thenEvents([reopened])
      .thenEffects([conclude('another command', rejection)]);
    for (const input of [other, hears.reopened(OTHER_CART)]) {
      givenProcess(process, [...states[state], taken, reopened])
        .when(input, context)
        .thenNothing();
    }
  });

  test('is opened again later, where that failed, and not the cart of the order', () =>
    givenProcess(process, [...states.paying, taken, did.stepFailed('CancelCartCheckOut', 'x')])
      .when({ kind: 'timer', timer: 'retry CancelCartCheckOut', dueAt: new Date('2030-01-31T12:01:00Z') }, context)
      .thenEvents([did.stepRetried('CancelCartCheckOut')])
      .thenEffects([noTimer('retry CancelCartCheckOut'), sends.cancelCart(OTHER_CART, 'ID_TAKEN')]));
});

describe('Who was forgotten', () => {
  const nobody = { email: null, shippingAddress: null };

  test('still gets the order placed, as nobody', () => {
    givenProcess(process, [began(nobody)])
      .when(hears.reserved, context)
      .thenEvents([did.reserved])
      .thenEffects([sends.place(nobody)]);
    givenProcess(process, [began(nobody), did.reserved])
      .when(hears.placed(), context)
      .thenEvents([did.placed])
      .thenEffects([
        ...[sends.completeCart, sends.record({ email: null, name: null })],
        ...[paymentTimer, conclude(CHECK_OUT_COMMAND)],
      ]);
  });

  test('still has the goods asked to be shipped, where nobody knows: that is for staff to see to', () =>
    givenProcess(process, [began(nobody), ...states.sold.slice(1)])
      .when(hears.paid, context)
      .thenEvents([did.paid])
      .thenEffects([conclude(PAY_COMMAND), sends.ship(null)]));
});

describe('What a checkout has not begun with', () => {
  test('changes nothing', () => {
    for (const input of [
      hears.reserved,
      hears.placed(),
      hears.pay(),
      hears.confirmed(),
      hears.cancel,
      hears.returned(),
    ]) {
      givenProcess(process, []).when(input, context).thenNothing();
    }
    givenProcess(process, []).when(refused('ReserveStock'), context).thenNothing();
  });

  test('keeps the cart and its price', () => {
    expect(stateAfter(process, states.delivered)).toMatchObject({ cartId: CART, paid: { amount: price(1000) } });
  });
});
