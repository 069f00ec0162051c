import { describe, expect, test } from 'vitest';
import { paymentCommands, refundPayment, requestPayment } from '../../src/contexts/payment/commands.ts';
import { paymentDecider } from '../../src/contexts/payment/decider.ts';
import { paymentEffectsOf } from '../../src/contexts/payment/effects.ts';
import { type PaymentEvent, paymentEvents } from '../../src/contexts/payment/events.ts';
import type { ProviderPayment } from '../../src/contexts/payment/provider.ts';
import { given } from '../support/given.ts';
import {
  AMOUNT,
  actionRequired,
  at,
  atWith,
  authorised,
  cancel,
  cancelled,
  confirmed,
  declined,
  failed,
  gbp,
  made,
  note,
  ORDER,
  OTHER_PAYMENT,
  PAYMENT,
  perform,
  refund,
  refunded,
  refundFailed,
  refundRequested,
  request,
  requested,
  sendRefund,
  TOKEN_COMMAND,
  timedOut,
  timeOut,
  voided,
} from '../support/payments.ts';

const payment = (...events: PaymentEvent[]) => given(paymentDecider, events);
const askedFor = (...events: PaymentEvent[]) =>
  events.flatMap((event) => paymentEffectsOf(event, PAYMENT)).map((it) => it.kind === 'send' && it.command.type);
/** Every way in which a payment comes to nothing, with no word of the provider but in the first. */
const closings: Record<string, PaymentEvent[]> = {
  'failed at the provider': [requested, failed()],
  'declined at the provider, which would let it be tried again': [requested, declined],
  'failed without a token': [requested, failed('TOKEN_GONE', null)],
  'timed out': [requested, timedOut],
  cancelled: [requested, cancelled],
  'timed out, the money being held': [requested, authorised(), timedOut],
  'cancelled, the money being held': [requested, authorised(), cancelled],
};
const unvoided = Object.entries(closings).slice(1);

describe('Requesting a payment', () => {
  test('begins it, and asks the provider to hold the money', () => {
    payment().when(request()).thenEvents([requested]);
    expect(askedFor(requested)).toEqual(['AuthorisePayment']);
  });

  test('again is no change, whatever became of it', () => {
    payment(requested).when(request()).thenEvents([]);
    payment(requested, authorised(), confirmed()).when(request()).thenEvents([]);
  });

  test('is refused where another has its id', () => {
    payment(requested)
      .when(request({ orderId: OTHER_PAYMENT }))
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'REQUESTED' });
    payment(requested, timedOut)
      .when(request({ tokenCommandId: OTHER_PAYMENT }))
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'TIMED_OUT' });
  });

  test('of nothing is confirmed at once, and the provider hears nothing of it', () => {
    const nothing = { orderId: ORDER, customerId: 'carla', amount: gbp(0), provider: 'simulated' };
    const events: PaymentEvent[] = [
      { type: 'PaymentRequested', data: { ...nothing, tokenCommandId: TOKEN_COMMAND } },
      { type: 'PaymentConfirmed', data: { orderId: ORDER, providerRef: null, amount: gbp(0), isLate: false } },
    ];
    payment()
      .when(request({ amount: gbp(0) }))
      .thenEvents(events);
    expect(askedFor(...events)).toEqual([]);
    payment(...events)
      .when(refund('r1', 1))
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'NOT_ENOUGH_LEFT' });
  });
});

describe('What is not there', () => {
  const commands = [note(at('captured')), timeOut, cancel, refund('r1', 1), perform('CapturePayment')];
  test.each(commands)('is not found: $type', (command) =>
    payment().when(command).thenRejected({ code: 'NOT_FOUND', id: PAYMENT }),
  );
});

describe('The provider is heard', () => {
  /** As a call of the provider's, or as the answer to any question. */
  function hearing(events: PaymentEvent[], told: ProviderPayment, expected: PaymentEvent[]): void {
    payment(...events)
      .when(note(told))
      .thenEvents(expected);
    for (const type of ['AuthorisePayment', 'CapturePayment', 'VoidPayment', 'ReconcilePayment'] as const) {
      payment(...events)
        .when(perform(type), { performed: told })
        .thenEvents(expected);
    }
    payment(...events)
      .when(sendRefund('r1'), { performed: told })
      .thenEvents(expected);
    // The second time, nothing is new.
    payment(...events, ...expected)
      .when(note(told))
      .thenEvents([]);
  }

  test('to hold the money: it is to take it', () => {
    hearing([requested], at('authorised'), [authorised()]);
    hearing([requested, actionRequired(null)], at('authorised'), [authorised()]);
    expect(askedFor(authorised())).toEqual(['CapturePayment']);
  });

  test('to have taken the money: it is confirmed, held before or not', () => {
    hearing([requested, authorised()], at('captured'), [confirmed()]);
    hearing([requested], at('captured'), [confirmed()]);
    hearing([requested, actionRequired(null)], at('captured'), [confirmed()]);
    expect(askedFor(confirmed())).toEqual([]);
  });

  test('to need something of the customer, once for each thing', () => {
    const asking = (url: string) => at('requires_action', { nextAction: { kind: 'REDIRECT', url } });
    hearing([requested], asking('https://bank/1'), [actionRequired('https://bank/1')]);
    hearing([requested, actionRequired('https://bank/1')], asking('https://bank/2'), [
      actionRequired('https://bank/2'),
    ]);
    hearing([requested], at('requires_action'), [
      { type: 'PaymentActionRequired', data: { orderId: ORDER, kind: 'UNKNOWN', url: null } },
    ]);
    expect(askedFor(actionRequired(null))).toEqual([]);
  });

  test('to decline: it has failed', () => {
    hearing([requested], at('failed', { failureReason: 'card_declined' }), [failed()]);
    hearing([requested], at('failed'), [failed('DECLINED')]);
    expect(askedFor(failed())).toEqual([]);
  });

  test('to decline what could be tried again there: it has failed, and is stopped there', () => {
    hearing([requested, actionRequired(null)], at('declined', { failureReason: 'card_declined' }), [declined]);
    expect(askedFor(declined)).toEqual(['VoidPayment']);
    hearing([requested, declined], at('cancelled'), [voided]);
    hearing([requested, declined], at('authorised'), [authorised(true)]);
    // It was tried again, and that was heard of before.
    hearing([requested, authorised()], at('declined'), []);
    hearing([requested, timedOut], at('declined'), []);
  });

  test('to have made nothing: that says nothing of what it is known to have made', () => {
    const nothing = at('failed', { providerRef: 'none', failureReason: 'card_declined' });
    hearing([requested], nothing, [failed('card_declined', null)]);
    expect(askedFor(failed('card_declined', null))).toEqual([]);
    hearing([requested, timedOut], nothing, []);
    hearing([requested, authorised()], nothing, []);
    hearing([requested, authorised(), confirmed()], nothing, []);
    // And then it did make something.
    hearing([requested, failed('card_declined', null)], at('authorised'), [authorised(true)]);
    hearing([requested, failed('card_declined', null)], at('captured'), [confirmed(true)]);
    hearing([requested, failed('card_declined', null)], at('cancelled'), [voided]);
  });

  test('not to hold the money any more when it was to take it: it has failed', () => {
    hearing([requested, authorised()], at('failed', { failureReason: 'expired' }), [failed('expired')]);
    hearing([requested, authorised()], at('cancelled'), [failed('CANCELLED_BY_PROVIDER')]);
  });

  test('to be at it still: that is nothing new', () => {
    for (const events of [[requested], [requested, authorised()], [requested, timedOut]]) {
      hearing(events, at('processing'), []);
    }
  });

  test('late, with what was before: nothing goes backwards', () => {
    for (const status of ['processing', 'requires_action'] as const) {
      hearing([requested, authorised()], at(status), []);
      hearing([requested, authorised(), confirmed()], at(status), []);
    }
    for (const status of ['authorised', 'failed', 'cancelled'] as const) {
      hearing([requested, authorised(), confirmed()], at(status), []);
      hearing([requested, timedOut, confirmed(true)], at(status), []);
    }
  });

  test('not to be asked', () => {
    for (const type of ['AuthorisePayment', 'CapturePayment', 'VoidPayment', 'ReconcilePayment'] as const) {
      payment(requested).when(perform(type)).thenEvents([]);
    }
    payment(requested, confirmed()).when(sendRefund('r1')).thenEvents([]);
  });

  test('not to know of it, and the token is gone: it has failed, unless it is over already', () => {
    const performed = 'TOKEN_GONE';
    payment(requested)
      .when(perform('AuthorisePayment'), { performed })
      .thenEvents([failed('TOKEN_GONE', null)]);
    payment(requested, timedOut).when(perform('AuthorisePayment'), { performed }).thenEvents([]);
    payment(requested, confirmed()).when(perform('AuthorisePayment'), { performed }).thenEvents([]);
  });

  /** As a call of the provider's it is refused; as an answer it breaks, in a lane of its own. */
  function disagreeing(events: PaymentEvent[], told: ProviderPayment, why: string): void {
    payment(...events)
      .when(note(told))
      .thenRejected({ code: 'PROVIDER_DISAGREES', message: expect.stringContaining(why) });
    expect(() => payment(...events).when(perform('ReconcilePayment'), { performed: told })).toThrow(why);
  }

  test('to speak of another payment, or another amount: a person has to look', () => {
    for (const events of [[requested], [requested, timedOut], [requested, confirmed()]]) {
      disagreeing(events, at('captured', { paymentId: OTHER_PAYMENT }), 'belongs to');
      disagreeing(events, at('captured', { amount: gbp(999) }), 'is of 1000 GBP, but of 999 GBP at the provider');
      disagreeing(events, at('captured', { amount: { ...AMOUNT, currency: 'EUR' } }), '1000 EUR');
    }
    const second = at('captured', { providerRef: 'pay_2' });
    disagreeing([requested, authorised()], second, 'is pay_1 at the provider, and now pay_2');
    const refunds = [requested, confirmed(), refundRequested('r1', 400)];
    disagreeing(refunds, atWith(made('r1', 40)), 'is of 400, but of 40 at the provider');
  });

  test('in a way that nobody understands: that is no answer', () => {
    const performed = { ...at('captured'), status: 'perhaps' };
    expect(() => payment(requested).when(perform('CapturePayment'), { performed })).toThrow();
  });
});

describe('A payment that is not confirmed in time', () => {
  test('has timed out, and whatever is held is let go of', () => {
    payment(requested).when(timeOut).thenEvents([timedOut]);
    payment(requested, actionRequired(null)).when(timeOut).thenEvents([timedOut]);
    payment(requested, authorised()).when(timeOut).thenEvents([timedOut]);
    expect(askedFor(timedOut)).toEqual(['VoidPayment']);
  });

  test('but was, has not', () =>
    payment(requested, confirmed()).when(timeOut).thenRejected({ code: 'ILLEGAL_STATE', state: 'CONFIRMED' }));
});

describe('A payment that is not wanted any more', () => {
  test('is cancelled, and whatever is held is let go of', () => {
    payment(requested).when(cancel).thenEvents([cancelled]);
    payment(requested, authorised()).when(cancel).thenEvents([cancelled]);
    expect(askedFor(cancelled)).toEqual(['VoidPayment']);
  });

  test('but is confirmed, cannot be', () =>
    payment(requested, confirmed()).when(cancel).thenRejected({ code: 'ILLEGAL_STATE', state: 'CONFIRMED' }));
});

describe.each(Object.entries(closings))('A payment that has come to nothing: %s', (_name, events) => {
  test('does so once', () => {
    payment(...events)
      .when(timeOut)
      .thenEvents([]);
    payment(...events)
      .when(cancel)
      .thenEvents([]);
  });

  test('is confirmed late if the money was taken all the same', () => {
    for (const before of [events, [...events, voided]]) {
      payment(...before)
        .when(note(at('captured')))
        .thenEvents([confirmed(true)]);
    }
    payment(...events, confirmed(true))
      .when(note(at('captured')))
      .thenEvents([]);
  });

  test('needs nothing of the customer', () =>
    payment(...events)
      .when(note(at('requires_action')))
      .thenEvents([]));

  test('cannot be refunded, as long as nothing was taken', () => {
    payment(...events)
      .when(refund('r1', 1))
      .thenRejected({ code: 'ILLEGAL_STATE' });
    payment(...events, confirmed(true))
      .when(refund('r1', 1000))
      .thenEvents([refundRequested('r1', 1000)]);
  });
});

describe.each(unvoided)('Whatever the provider holds of it is let go of: %s', (_name, events) => {
  test('and that is heard of once', () => {
    for (const status of ['cancelled', 'failed'] as const) {
      payment(...events)
        .when(note(at(status)))
        .thenEvents([voided]);
      payment(...events, voided)
        .when(note(at(status)))
        .thenEvents([]);
    }
  });

  test('and what was held before does not come again', () =>
    payment(...events, voided)
      .when(note(at('authorised')))
      .thenEvents([]));
});

test.each(unvoided.slice(0, 4))(
  'What is held only after it has come to nothing is let go of, once: %s',
  (_, events) => {
    payment(...events)
      .when(note(at('authorised')))
      .thenEvents([authorised(true)]);
    payment(...events, authorised(true))
      .when(note(at('authorised')))
      .thenEvents([]);
    expect(askedFor(authorised(true))).toEqual(['VoidPayment']);
  },
);

test('What the provider said has failed holds nothing, whatever is told late', () => {
  for (const status of ['authorised', 'failed', 'cancelled'] as const) {
    payment(requested, failed())
      .when(note(at(status)))
      .thenEvents([]);
  }
});

describe('A refund', () => {
  const taken = [requested, authorised(), confirmed()];

  test('is asked of the provider', () => {
    payment(...taken)
      .when(refund('r1', 400))
      .thenEvents([refundRequested('r1', 400)]);
    expect(askedFor(refundRequested('r1', 400))).toEqual(['SendRefund']);
  });

  test('that was asked for is not asked for again', () => {
    for (const events of [[], [refunded('r1', 400, 400)], [refundFailed('r1', 0)]]) {
      payment(...taken, refundRequested('r1', 400), ...events)
        .when(refund('r1', 400))
        .thenEvents([]);
    }
    payment(...taken, refundRequested('r1', 400))
      .when(refund('r1', 300))
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'REFUND_KNOWN' });
  });

  test('is of what was taken, and of no more', () => {
    payment(...taken)
      .when(refund('r1', 1001))
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'NOT_ENOUGH_LEFT' });
    const some = [...taken, refundRequested('r1', 400), refundRequested('r2', 300), refunded('r1', 400, 400)];
    payment(...some)
      .when(refund('r3', 301))
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'NOT_ENOUGH_LEFT' });
    payment(...some)
      .when(refund('r3', 300))
      .thenEvents([refundRequested('r3', 300)]);
    payment(...taken)
      .when(refund('r1', 1, 'EUR'))
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'OTHER_CURRENCY' });
  });

  test.each([[requested], [requested, authorised()]])('is of nothing before it is confirmed', (...events) =>
    payment(...events)
      .when(refund('r1', 1))
      .thenRejected({ code: 'ILLEGAL_STATE' }),
  );

  test('is done when the provider says so, and not before', () => {
    const asked = [...taken, refundRequested('r1', 400), refundRequested('r2', 300)];
    payment(...asked)
      .when(note(atWith(made('r1', 400, 'pending'))))
      .thenEvents([]);
    payment(...asked)
      .when(note(atWith(made('r1', 400))))
      .thenEvents([refunded('r1', 400, 400)]);
    payment(...asked)
      .when(sendRefund('r2'), { performed: atWith(made('r1', 400), made('r2', 300)) })
      .thenEvents([refunded('r1', 400, 400), refunded('r2', 300, 700)]);
    payment(...asked, refunded('r1', 400, 400))
      .when(note(atWith(made('r1', 400))))
      .thenEvents([]);
  });

  test('that has failed can be asked for again, as another one', () => {
    const asked = [...taken, refundRequested('r1', 1000)];
    payment(...asked)
      .when(note(atWith(made('r1', 1000, 'failed'))))
      .thenEvents([refundFailed('r1', 0)]);
    const again = [...asked, refundFailed('r1', 0), refundRequested('r2', 1000)];
    payment(...asked, refundFailed('r1', 0))
      .when(refund('r2', 1000))
      .thenEvents([refundRequested('r2', 1000)]);
    payment(...again)
      .when(note(atWith(made('r1', 1000, 'failed'), made('r2', 1000))))
      .thenEvents([refunded('r2', 1000, 1000)]);
    payment(...asked, refundFailed('r1', 0))
      .when(note(atWith(made('r1', 1000))))
      .thenEvents([]);
  });

  test('may come back from a bank that does not take it', () =>
    payment(...taken, refundRequested('r1', 400), refunded('r1', 400, 400))
      .when(note(atWith(made('r1', 400, 'failed'))))
      .thenEvents([refundFailed('r1', 0)]));

  test('that was made at the provider counts', () => {
    const theirs = atWith(made('re_9', 600), made('re_10', 1, 'failed'));
    payment(...taken)
      .when(note(theirs))
      .thenEvents([refunded('re_9', 600, 600)]);
    payment(...taken, refunded('re_9', 600, 600))
      .when(refund('r1', 401))
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'NOT_ENOUGH_LEFT' });
  });

  test('is heard of together with what was refunded', () =>
    payment(requested, timedOut)
      .when(note(atWith(made('re_9', 1000))))
      .thenEvents([confirmed(true), refunded('re_9', 1000, 1000)]));
});

test('Every event fits its schema, and what an event asks for is a command', () => {
  const events = [
    ...[requested, actionRequired(null), authorised(), confirmed(true), failed(), timedOut, cancelled, voided],
    ...[refundRequested('r1', 400), refunded('r1', 400, 400), refundFailed('r1', 0)],
  ];
  expect(events.map(({ type }) => type)).toEqual(paymentEvents.map(({ type }) => type));
  for (const { type, data } of events) {
    expect(paymentEvents.find((it) => it.type === type)?.data.parse(data)).toEqual(data);
  }
  for (const effect of events.flatMap((event) => paymentEffectsOf(event, PAYMENT))) {
    const { type, data } = effect.kind === 'send' ? effect.command : { type: '', data: undefined };
    const definition = paymentCommands.find((it) => it.name === type);
    expect([definition?.performed, definition?.input.safeParse(data).success]).toEqual([true, true]);
  }
});

test('Input that makes no sense is refused', () => {
  const amounts = [gbp(-1), gbp(0.5), { amountMinor: 1, currency: 'XXX1' }];
  for (const amount of amounts) expect(requestPayment.input.safeParse(request({ amount }).data).success).toBe(false);
  expect(requestPayment.input.safeParse(request({ amount: gbp(5_000_000_000) }).data).success).toBe(true);
  for (const it of [refund('r1', 0), refund('', 1)]) expect(refundPayment.input.safeParse(it.data).success).toBe(false);
  expect(refundPayment.input.safeParse(refund('r1', 1).data).success).toBe(true);
});
