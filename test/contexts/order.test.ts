import { describe, expect, test } from 'vitest';
import { orderCommands } from '../../src/contexts/ordering/commands.ts';
import { orderDecider } from '../../src/contexts/ordering/decider.ts';
import { orderNumberOf } from '../../src/contexts/ordering/order-number.ts';
import { ORDER, price } from '../support/carts.ts';
import { ANONYMOUS, customer, GUEST, given, STAFF } from '../support/given.ts';
import {
  cancel,
  cancelled,
  cancelling,
  DEADLINE,
  delivered,
  NUMBER,
  notCancelled,
  note,
  ORDER_STATES,
  OTHER_PAYMENT,
  orderStates,
  paid,
  pay,
  paymentFailed,
  paymentRequested,
  place,
  placed,
  preparing,
  refunded,
  returnItems,
  shipped,
} from '../support/orders.ts';

describe('Placing an order', () => {
  test('gives it a number, and its total', () => given(orderDecider, []).when(place()).thenEvents([placed()]));

  test.each([
    { off: 1, totalMinor: 999 },
    { off: 1000, totalMinor: 0 },
    { off: 1001, totalMinor: 0 },
  ])('takes $off off, and never more than there is', ({ off, totalMinor }) => {
    const discounts = [{ code: 'X', label: 'X', amount: price(off) }];
    given(orderDecider, [])
      .when(place({ discounts }))
      .thenEvents([placed({ discounts, totalMinor })]);
  });

  test('goes without who was forgotten', () => {
    const nobody = { email: null, shippingAddress: null };
    given(orderDecider, [])
      .when(place(nobody))
      .thenEvents([placed(nobody)]);
  });

  test.each(ORDER_STATES)('is done once, also when it is %s', (state) =>
    given(orderDecider, orderStates[state]).when(place()).thenEvents([]),
  );
});

describe('The number of an order', () => {
  const ids = Array.from({ length: 1000 }, (_, at) => `01890a5d-ac96-774b-bcce-${`${at}`.padStart(12, '0')}`);

  test('stays the same', () => expect(orderNumberOf(ORDER)).toBe(NUMBER));

  test('can be read out', () => {
    for (const id of ids) expect(orderNumberOf(id)).toMatch(/^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){2}$/);
  });

  test('is one of its own, also where ids differ in a digit', () =>
    expect(new Set(ids.map(orderNumberOf)).size).toBe(ids.length));

  test('is not chosen by who chooses the id: all symbols come everywhere', () => {
    for (let at = 0; at < 14; at += 1) {
      const symbols = new Set(ids.map((id) => orderNumberOf(id)[at]));
      expect(symbols.size).toBe(at === 4 || at === 9 ? 1 : 32);
    }
  });
});

describe('Whose order it is', () => {
  const commands = [pay(), cancel, returnItems([{ sku: 'A', quantity: 1 }])];

  test.each(commands)('a guest may $type whose id is known to them', (command) => {
    const events = command.type === 'ReturnItems' ? orderStates.delivered : orderStates.placed;
    for (const actor of [ANONYMOUS, GUEST, STAFF, customer('bob')]) {
      expect(given(orderDecider, events).when(command, { actor }).decision).toHaveLength(1);
    }
  });

  test.each(commands)('nobody but the customer and staff may $type', (command) => {
    const whose = placed({ ownerId: 'carla' });
    const events = [whose, ...(command.type === 'ReturnItems' ? orderStates.delivered.slice(1) : [])];
    for (const actor of [ANONYMOUS, GUEST, customer('bob')]) {
      given(orderDecider, events).when(command, { actor }).thenRejected({ code: 'NOT_FOUND', id: ORDER });
    }
    for (const actor of [STAFF, customer('carla')]) {
      expect(given(orderDecider, events).when(command, { actor }).decision).toHaveLength(1);
    }
  });
});

describe('An order that there is not', () => {
  const commands = [
    ...[pay(), cancel, returnItems([{ sku: 'A', quantity: 1 }]), note.paymentFailed(), note.paid, note.preparation],
    ...[note.shipped, note.delivered, note.cancelled, note.notCancelled, note.refunded('r1')],
  ];

  test.each(commands)('is not found by $type', (command) =>
    given(orderDecider, []).when(command).thenRejected({ code: 'NOT_FOUND', id: ORDER }),
  );

  test('was looked for by every command but the one that places it', () =>
    expect([...commands.map(({ type }) => type), 'PlaceOrder'].sort()).toEqual(
      orderCommands.map(({ name }) => name).sort(),
    ));
});

describe('Paying', () => {
  test('asks for the total', () =>
    given(orderDecider, orderStates.placed).when(pay()).thenEvents([paymentRequested()]));

  test('is possible until the deadline, and not after it', () => {
    const deadline = new Date(DEADLINE);
    given(orderDecider, orderStates.placed).when(pay(), { now: deadline }).thenEvents([paymentRequested()]);
    given(orderDecider, orderStates.placed)
      .when(pay(), { now: new Date(deadline.getTime() + 1) })
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'PAYMENT_OVERDUE' });
  });

  test('otherwise is possible once a payment failed', () =>
    given(orderDecider, [...orderStates.paying, paymentFailed()])
      .when(pay(OTHER_PAYMENT))
      .thenEvents([paymentRequested(OTHER_PAYMENT)]));

  test('is refused once ten payments have failed; one that came to nothing otherwise is one of them', () => {
    const failures = (count: number) =>
      Array.from({ length: count }, () => [paymentRequested(), paymentFailed()]).flat();
    given(orderDecider, [placed(), ...failures(9)])
      .when(pay(OTHER_PAYMENT))
      .thenEvents([paymentRequested(OTHER_PAYMENT)]);
    for (const count of [10, 11]) {
      given(orderDecider, [placed(), ...failures(count)])
        .when(pay(OTHER_PAYMENT))
        .thenRejected({
          ...{ code: 'ILLEGAL_STATE', state: 'TOO_MANY_PAYMENTS' },
          message: 'Ten payments of this order have failed: cancel it, and put it into a cart again.',
        });
    }
    // What was under way goes on, and so does a cancellation.
    given(orderDecider, [placed(), ...failures(10)])
      .when(note.paid)
      .thenEvents([paid]);
    given(orderDecider, [placed(), ...failures(10)])
      .when(cancel)
      .thenEvents([cancelling]);
  });

  test.each(ORDER_STATES.filter((it) => it !== 'placed'))('is refused when it is %s', (state) =>
    given(orderDecider, orderStates[state])
      .when(pay(OTHER_PAYMENT))
      .thenRejected({ code: 'ILLEGAL_STATE', state: state.toUpperCase() }),
  );

  test('is refused where there is nothing to pay', () =>
    given(orderDecider, [placed({ totalMinor: 0 })])
      .when(pay())
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'NOTHING_TO_PAY' }));

  test('is refused while it is being cancelled, and possible if that was refused', () => {
    given(orderDecider, [placed(), cancelling]).when(pay()).thenRejected({ state: 'CANCELLING' });
    given(orderDecider, [placed(), cancelling, notCancelled]).when(pay()).thenEvents([paymentRequested()]);
  });
});

describe('A payment that came to nothing', () => {
  test('leaves the order to be paid otherwise', () =>
    given(orderDecider, orderStates.paying).when(note.paymentFailed()).thenEvents([paymentFailed()]));

  test.each(ORDER_STATES.filter((it) => it !== 'paying'))('is nothing new when it is %s', (state) =>
    given(orderDecider, orderStates[state]).when(note.paymentFailed()).thenEvents([]),
  );

  test('is nothing to another one', () =>
    given(orderDecider, [...orderStates.paying, paymentFailed(), paymentRequested(OTHER_PAYMENT)])
      .when(note.paymentFailed())
      .thenEvents([]));
});

describe('An order goes on', () => {
  const steps = [
    { command: note.paid, event: paid, from: ['placed', 'paying'] },
    { command: note.preparation, event: preparing, from: ['paid'] },
    { command: note.shipped, event: shipped, from: ['paid', 'preparing'] },
    { command: note.delivered, event: delivered, from: ['shipped'] },
  ];

  test.each(steps.flatMap((step) => ORDER_STATES.map((state) => ({ ...step, state, type: step.command.type }))))(
    '$type when it is $state: once, and never back',
    ({ command, event, from, state }) => {
      const then = given(orderDecider, orderStates[state]).when(command);
      const isTooEarly = state === 'paid' || state === 'preparing';
      if (command.type === 'NoteOrderPaid' && state === 'cancelled') then.thenRejected({ state: 'CANCELLED' });
      else if (command.type === 'NoteOrderDelivered' && isTooEarly) then.thenRejected({ state: state.toUpperCase() });
      else then.thenEvents(from.includes(state) ? [event] : []);
    },
  );

  test('without a payment, where nothing was to be paid', () =>
    given(orderDecider, [placed({ totalMinor: 0 })])
      .when({ type: 'NoteOrderPaid', data: { orderId: ORDER, paymentId: null } })
      .thenEvents([{ type: 'OrderPaid', data: { paymentId: null } }]));
});

describe('Cancelling', () => {
  test.each(ORDER_STATES)('is possible before the goods leave: when it is %s', (state) => {
    const then = given(orderDecider, orderStates[state]).when(cancel);
    if (['shipped', 'delivered', 'cancelled'].includes(state)) {
      then.thenRejected({ code: 'ILLEGAL_STATE', state: state.toUpperCase() });
    } else {
      then.thenEvents([cancelling]);
    }
  });

  test("is the order's customer's affair, whoever asks for it; also where the reason is forgotten", () => {
    const asked = { type: 'CancelOrder', data: { orderId: ORDER, customerId: 'bob', reason: null } } as const;
    given(orderDecider, [placed()])
      .when(asked, { actor: customer('bob') })
      .thenEvents([{ type: 'OrderCancellationRequested', data: { customerId: 'carla', reason: null } }]);
  });

  test('is asked for once at a time', () => {
    given(orderDecider, [placed(), cancelling]).when(cancel).thenRejected({ state: 'CANCELLING' });
    given(orderDecider, [placed(), cancelling, notCancelled]).when(cancel).thenEvents([cancelling]);
  });

  test.each(ORDER_STATES)('ends the order, unless the goods left: when it is %s', (state) => {
    for (const events of [orderStates[state], [...orderStates[state], cancelling]]) {
      const then = given(orderDecider, events).when(note.cancelled);
      if (state === 'shipped' || state === 'delivered') then.thenRejected({ state: state.toUpperCase() });
      else then.thenEvents(state === 'cancelled' ? [] : [cancelled]);
    }
  });

  test('that was refused lets it go on', () => {
    given(orderDecider, [...orderStates.shipped, cancelling])
      .when(note.notCancelled)
      .thenEvents([notCancelled]);
    given(orderDecider, [...orderStates.shipped, cancelling, notCancelled])
      .when(note.notCancelled)
      .thenEvents([]);
    given(orderDecider, orderStates.shipped).when(note.notCancelled).thenEvents([]);
  });
});

describe('Money that was paid back', () => {
  test.each(ORDER_STATES)('is noted, once each: when it is %s', (state) => {
    const events = orderStates[state];
    given(orderDecider, events)
      .when(note.refunded('r1'))
      .thenEvents([refunded('r1')]);
    given(orderDecider, [...events, refunded('r1')])
      .when(note.refunded('r1'))
      .thenEvents([]);
    given(orderDecider, [...events, refunded('r1')])
      .when(note.refunded('r2'))
      .thenEvents([refunded('r2')]);
  });
});
