import { describe, expect, test } from 'vitest';
import { paymentCommands } from '../../src/contexts/payment/commands.ts';
import { paymentDecider } from '../../src/contexts/payment/decider.ts';
import type { PaymentEvent } from '../../src/contexts/payment/events.ts';
import { createPaymentPerformers } from '../../src/contexts/payment/performers.ts';
import type { PaymentProvider, ProviderPayment } from '../../src/contexts/payment/provider.ts';
import {
  AMOUNT,
  at,
  atWith,
  authorised,
  cancelled,
  confirmed,
  declined,
  failed,
  gbp,
  made,
  ORDER,
  PAYMENT,
  REF,
  refunded,
  refundFailed,
  refundRequested,
  requested,
  TOKEN_COMMAND,
  timedOut,
  voided,
} from '../support/payments.ts';

const NOW = new Date('2030-01-31T12:00:00Z');

type Name = keyof ReturnType<typeof createPaymentPerformers>;

/** A provider that answers what it is told to, and remembers what it was asked. */
function scripted(known?: ProviderPayment) {
  const calls: unknown[] = [];
  const answer = at('processing');
  const asked =
    (name: string) =>
    async (it: unknown): Promise<ProviderPayment> => {
      calls.push([name, it]);
      return answer;
    };
  const provider: PaymentProvider = {
    ...{ name: 'simulated', authorise: asked('authorise'), capture: asked('capture') },
    ...{ cancel: asked('cancel'), refund: asked('refund'), readWebhook: () => undefined },
    find: async (paymentId) => {
      calls.push(['find', paymentId]);
      return known;
    },
  };
  return { provider, calls, answer };
}

interface Asked {
  readonly events: readonly PaymentEvent[];
  readonly known?: ProviderPayment;
  readonly token?: string | null | undefined;
  readonly refundId?: string;
  readonly attempts?: number;
  /** How long ago it was asked for first, in minutes. */
  readonly age?: number;
}

async function performing(name: Name, asked: Asked) {
  const { events, known, token = 'tok_ok', refundId = 'r1', attempts = 1, age = 0 } = asked;
  const { provider, calls, answer } = scripted(known);
  const inputs = new Map([[TOKEN_COMMAND, { orderId: ORDER, paymentToken: token }]]);
  const performed = await createPaymentPerformers(provider)[name]({
    ...{ commandId: 'c', attempts, now: NOW, submittedAt: new Date(NOW.getTime() - age * 60_000) },
    inputOf: async (id) => inputs.get(id),
    data: { paymentId: PAYMENT, refundId },
    state: events.reduce(paymentDecider.evolve, paymentDecider.initialState),
  });
  return { performed, calls, answer };
}

const taken = [requested, authorised(), confirmed()];
const find = ['find', PAYMENT];
const cancelCall = (seen: string) => ['cancel', { paymentId: PAYMENT, providerRef: REF, seen }];

test('Every command whose work lies outside is performed', () => {
  const performed = paymentCommands.filter((it) => it.performed === true).map(({ name }) => name);
  expect(Object.keys(createPaymentPerformers(scripted().provider)).sort()).toEqual(performed.sort());
});

describe('Authorising', () => {
  test('hands the token over that the command brought which is paid by', async () => {
    const { performed, calls, answer } = await performing('AuthorisePayment', { events: [requested] });
    expect(calls).toEqual([['authorise', { paymentId: PAYMENT, orderId: ORDER, amount: AMOUNT, token: 'tok_ok' }]]);
    expect(performed).toBe(answer);
  });

  test.each([{ attempts: 2 }, { age: 60 }])('that may have been asked before looks first: %o', async (before) => {
    const call = ['authorise', { paymentId: PAYMENT, orderId: ORDER, amount: AMOUNT, token: 'tok_ok' }];
    const lost = await performing('AuthorisePayment', { events: [requested], ...before });
    expect(lost).toMatchObject({ performed: lost.answer, calls: [find, call] });
    const known = at('authorised');
    expect(await performing('AuthorisePayment', { events: [requested], known, ...before })).toMatchObject({
      ...{ performed: known, calls: [find] },
    });
  });

  test('without the token asks what the provider knows', async () => {
    const known = at('authorised');
    expect(await performing('AuthorisePayment', { events: [requested], token: null, known })).toMatchObject({
      ...{ performed: known, calls: [find] },
    });
    expect(await performing('AuthorisePayment', { events: [requested], token: null })).toMatchObject({
      ...{ performed: 'TOKEN_GONE', calls: [find] },
    });
  });
});

test('Capturing takes what is held', async () => {
  const { performed, calls, answer } = await performing('CapturePayment', { events: [requested, authorised()] });
  expect(calls).toEqual([['capture', { paymentId: PAYMENT, providerRef: REF, amount: AMOUNT }]]);
  expect(performed).toBe(answer);
});

describe.each([['VoidPayment'], ['ReconcilePayment']] as const)('What came to nothing is let go of: %s', (name) => {
  test.each(['processing', 'requires_action', 'authorised', 'declined'] as const)('where it is %s', async (status) => {
    for (const events of [
      [requested, timedOut],
      [requested, authorised(), cancelled],
      [requested, failed('TOKEN_GONE', null)],
      [requested, declined],
    ]) {
      const { performed, calls, answer } = await performing(name, { events, known: at(status) });
      expect(calls).toEqual([find, cancelCall(status)]);
      expect(performed).toBe(answer);
    }
  });

  test.each(['captured', 'failed', 'cancelled'] as const)('but not where it is %s', async (status) => {
    const known = at(status);
    const { performed, calls } = await performing(name, { events: [requested, timedOut], known });
    expect(calls).toEqual([find]);
    expect(performed).toBe(known);
  });

  test('and not where the provider knows of none', async () =>
    expect(await performing(name, { events: [requested, timedOut] })).toMatchObject({
      ...{ performed: undefined, calls: [find] },
    }));

  test('once', async () =>
    expect(await performing(name, { events: [requested, timedOut, voided] })).toMatchObject({
      ...{ performed: undefined, calls: [] },
    }));
});

describe('Reconciling', () => {
  const refundCall = (refundId: string, amountMinor: number) => [
    ...['refund', { paymentId: PAYMENT, providerRef: REF, refundId, amount: gbp(amountMinor) }],
  ];

  test('asks how things stand, and does nothing else where they stand as they should', async () => {
    const asked = [...taken, refundRequested('r1', 400)];
    for (const [known, ...histories] of [
      [at('authorised'), [requested], taken, asked],
      [at('processing'), [requested], [requested, authorised()]],
      [at('captured'), [requested, authorised()], taken, [...asked, refunded('r1', 400, 400)]],
      [atWith(made('r1', 400, 'pending')), asked],
      [at('captured'), [...asked, refundFailed('r1', 0)]],
      [undefined, [requested], [requested, authorised()], taken, asked],
    ] as const) {
      for (const events of histories) {
        const { performed, calls } = await performing('ReconcilePayment', { events, ...(known && { known }) });
        expect(calls).toEqual([find]);
        expect(performed).toEqual(known);
      }
    }
  });

  test('takes what is held still, where that was given up', async () => {
    const { performed, calls, answer } = await performing('ReconcilePayment', {
      ...{ events: [requested, authorised()], known: at('authorised') },
    });
    expect(calls).toEqual([find, ['capture', { paymentId: PAYMENT, providerRef: REF, amount: AMOUNT }]]);
    expect(performed).toBe(answer);
  });

  test('pays back what never came to the provider, and only that', async () => {
    const { provider, calls } = scripted(atWith(made('r1', 100)));
    // The answer to r3 is one from before, when nothing else was there; r4 is refused.
    const answers: Record<string, ProviderPayment> = {
      r3: atWith(made('r3', 300)),
      r4: atWith(made('r4', 400, 'failed')),
    };
    const performed = await reconciling(provider, calls, answers, ['r1', 100], ['r3', 300], ['r4', 400]);
    expect(calls).toEqual([find, refundCall('r3', 300), refundCall('r4', 400)]);
    expect(performed).toEqual(atWith(made('r1', 100), made('r3', 300), made('r4', 400, 'failed')));
  });

  test('goes on where one refund breaks, and breaks itself only where there is nothing to tell', async () => {
    const two = scripted(at('captured'));
    const answers = { r2: atWith(made('r2', 200)) };
    const performed = await reconciling(two.provider, two.calls, answers, ['r1', 100], ['r2', 200]);
    expect(two.calls).toEqual([find, refundCall('r1', 100), refundCall('r2', 200)]);
    expect(performed).toEqual(atWith(made('r2', 200)));
    const one = scripted(atWith(made('r2', 200, 'pending')));
    await expect(reconciling(one.provider, one.calls, {}, ['r1', 100], ['r2', 200])).rejects.toThrow('is away');
  });

  /** @param answers to refunds, by their ids; to others the provider is away */
  function reconciling(
    provider: PaymentProvider,
    calls: unknown[],
    answers: Readonly<Record<string, ProviderPayment>>,
    ...refunds: readonly (readonly [string, number])[]
  ): Promise<unknown> {
    const refund: PaymentProvider['refund'] = async (it) => {
      calls.push(['refund', it]);
      const answer = answers[it.refundId];
      if (answer === undefined) throw new Error('The provider is away.');
      return answer;
    };
    const events = [...taken, ...refunds.map((it) => refundRequested(...it))];
    return createPaymentPerformers({ ...provider, refund }).ReconcilePayment({
      ...{ commandId: 'c', attempts: 1, now: NOW, submittedAt: NOW, inputOf: async () => undefined },
      data: { paymentId: PAYMENT },
      state: events.reduce(paymentDecider.evolve, paymentDecider.initialState),
    });
  }
});

describe('Refunding', () => {
  const events = [...taken, refundRequested('r1', 400)];

  test('pays back what was asked for, and is not there yet', async () => {
    const call = ['refund', { paymentId: PAYMENT, providerRef: REF, refundId: 'r1', amount: gbp(400) }];
    for (const known of [undefined, at('captured'), atWith(made('r2', 400))]) {
      const { performed, calls, answer } = await performing('SendRefund', { events, ...(known && { known }) });
      expect(calls).toEqual([find, call]);
      expect(performed).toBe(answer);
    }
  });

  test.each(['pending', 'succeeded', 'failed'] as const)('does not repeat what is %s there', async (status) => {
    const known = atWith(made('r1', 400, status));
    const { performed, calls } = await performing('SendRefund', { events, known });
    expect(calls).toEqual([find]);
    expect(performed).toBe(known);
  });
});

test('What the state of the payment does not want is not asked for', async () => {
  const closed = [
    [requested, timedOut],
    [requested, authorised(), cancelled],
    [requested, failed()],
  ];
  const refunds = [refunded('r1', 400, 400), refundFailed('r1', 0)].map((end) => [
    ...[...taken, refundRequested('r1', 400), end],
  ]);
  const unwanted: Record<Name, PaymentEvent[][]> = {
    AuthorisePayment: [[], [requested, authorised()], taken, ...closed],
    CapturePayment: [[], [requested], taken, ...closed],
    VoidPayment: [[], [requested], [requested, authorised()], taken, [requested, timedOut, confirmed(true)]],
    ReconcilePayment: [[]],
    SendRefund: [[], [requested], taken, ...closed, ...refunds],
  };
  for (const [name, histories] of Object.entries(unwanted)) {
    for (const events of histories) {
      const { performed, calls } = await performing(name as Name, { events, known: at('authorised') });
      expect([name, performed, calls]).toEqual([name, undefined, []]);
    }
  }
});

test('A payment that is with another provider is not asked of this one', async () => {
  const elsewhere: PaymentEvent = {
    type: 'PaymentRequested',
    data: { orderId: ORDER, customerId: 'carla', amount: AMOUNT, provider: 'stripe', tokenCommandId: TOKEN_COMMAND },
  };
  await expect(performing('AuthorisePayment', { events: [elsewhere] })).rejects.toThrow('is with stripe');
});
