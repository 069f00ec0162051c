import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { PaymentEvent } from '../../src/contexts/payment/events.ts';
import { type CallFate, ModelProvider } from '../support/model-provider.ts';
import { PaymentWorld } from '../support/payment-world.ts';
import { cancel, note, PAYMENT, refund, request, timeOut } from '../support/payments.ts';

const CLOSING = ['PaymentFailed', 'PaymentTimedOut', 'PaymentCancelled'];
const HOUR = 3_600_000;

interface Run {
  readonly world: PaymentWorld;
  readonly provider: ModelProvider;
  /** Whether the time limit passes in the end. */
  readonly isTimedOut: boolean;
}
type Step = (run: Run) => void | Promise<void>;

const fate = fc.constantFrom<CallFate>('answered', 'answered', 'broken', 'answer lost', 'delayed');
const beginning = fc.constantFrom('processing', 'requires_action', 'authorised', 'captured', 'declined', 'failed');
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.tuple(fc.nat(9), fate).map(
      ([at, next]): Step =>
        ({ world, provider }) => {
          provider.fate = next;
          return world.work(at);
        },
    ),
  },
  // A call of the provider's comes: late, again, or never.
  {
    weight: 4,
    arbitrary: fc.nat(20).map(
      (at): Step =>
        ({ world, provider: { told } }) => {
          const payment = told[told.length - 1 - (at % Math.max(1, told.length))];
          if (payment !== undefined) world.run(note(payment));
        },
    ),
  },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom('requires_action', 'processing', 'authorised', 'captured', 'declined', 'failed', 'cancelled')
      .map(
        (to): Step =>
          ({ provider }) =>
            provider.move(PAYMENT, to),
      ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom('succeeded', 'failed').map(
      (to): Step =>
        ({ provider }) =>
          provider.endRefunds(PAYMENT, to),
    ),
  },
  { weight: 4, arbitrary: fc.constant<Step>(({ world }) => world.reconcile()) },
  {
    weight: 2,
    arbitrary: fc.integer({ min: 1, max: HOUR }).map(
      (ms): Step =>
        ({ world }) =>
          world.pass(ms),
    ),
  },
  { weight: 1, arbitrary: fc.constant<Step>(({ provider }) => provider.arrive()) },
  { weight: 1, arbitrary: fc.constant<Step>(({ world }) => world.run(timeOut)) },
  { weight: 1, arbitrary: fc.constant<Step>(({ world }) => world.run(cancel)) },
  {
    weight: 4,
    arbitrary: fc.tuple(fc.constantFrom('r1', 'r2', 'r3', 'r4'), fc.integer({ min: 1, max: 1000 })).map(
      ([refundId, amountMinor]): Step =>
        ({ world }) =>
          world.run(refund(refundId, amountMinor)),
    ),
  },
  { weight: 1, arbitrary: fc.constant<Step>(({ world }) => world.crash()) },
  {
    weight: 1,
    arbitrary: fc.nat(9).map(
      (at): Step =>
        ({ world }) => {
          world.drop(at);
        },
    ),
  },
  { weight: 1, arbitrary: fc.constant<Step>(({ world }) => world.wipeToken()) },
);

const of = <Type extends PaymentEvent['type']>({ world }: Run, type: Type) =>
  world.events.filter((it): it is Extract<PaymentEvent, { type: Type }> => it.type === type);
const indexOf = ({ world }: Run, ...types: string[]) => world.events.findIndex(({ type }) => types.includes(type));

/** What holds at every moment. */
function check(run: Run): void {
  const confirmed = of(run, 'PaymentConfirmed');
  expect(confirmed.length).toBeLessThanOrEqual(1);
  // It comes to nothing once, and never after it was confirmed.
  const closings = run.world.events.filter(({ type }) => CLOSING.includes(type));
  expect(closings.length).toBeLessThanOrEqual(1);
  const [closedAt, confirmedAt] = [indexOf(run, ...CLOSING), indexOf(run, 'PaymentConfirmed')];
  if (confirmed[0] !== undefined) expect(confirmed[0].data.isLate).toBe(closedAt !== -1 && closedAt < confirmedAt);
  if (closedAt !== -1 && confirmedAt !== -1) expect(closedAt).toBeLessThan(confirmedAt);
  // What was taken is known of only if it was taken; and no more is paid back than that.
  const atProvider = run.provider.payments.get(PAYMENT);
  if (confirmed.length > 0) expect(atProvider?.status).toBe('captured');
  const totals = [...of(run, 'PaymentRefunded'), ...of(run, 'PaymentRefundFailed')].map((it) => it.data.refunded);
  for (const { amountMinor } of totals) {
    expect(amountMinor).toBeGreaterThanOrEqual(0);
    expect(amountMinor).toBeLessThanOrEqual(1000);
  }
  expect(atProvider?.refundedMinor ?? 0).toBeLessThanOrEqual(1000);
}

/** What holds in the end, when the provider has answered all that it was asked, though none of its calls came. */
function checkEnd(run: Run): void {
  const { world, provider, isTimedOut } = run;
  const atProvider = provider.payments.get(PAYMENT);
  // The money was taken if, and only if, that is known.
  expect(of(run, 'PaymentConfirmed').length).toBe(atProvider?.status === 'captured' ? 1 : 0);
  // Otherwise nothing is held. If nobody stopped it, what was held was taken, and there may have been nothing to hold.
  if (world.status !== 'confirmed') {
    expect([undefined, 'failed', 'cancelled']).toContain(atProvider?.status);
    expect(['failed', 'timed out', 'cancelled', ...(isTimedOut ? [] : ['requested'])]).toContain(world.status);
  }
  // Each refund that was asked for has come to an end, whatever was given up on the way.
  const ended = [...of(run, 'PaymentRefunded'), ...of(run, 'PaymentRefundFailed')].map(({ data }) => data.refundId);
  const open = of(run, 'PaymentRefundRequested').filter(({ data }) => !ended.includes(data.refundId));
  expect(open).toEqual([]);
  const paidBack = [...of(run, 'PaymentRefunded')].reduce((sum, { data }) => sum + data.amount.amountMinor, 0);
  expect(paidBack).toBe(atProvider?.refundedMinor ?? 0);
}

const seen = new Set<string>();

test('Whatever comes in between, money is taken once or not at all, and what was taken is known of', async () => {
  const runs = fc.record({
    begins: beginning,
    refunds: fc.constantFrom('pending', 'succeeded', 'failed'),
    steps: fc.array(step, { maxLength: 60, size: 'max' }),
    isTimedOut: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(runs, async ({ begins, refunds, steps, isTimedOut }) => {
      const provider = Object.assign(new ModelProvider(), { begins, refunds });
      const run: Run = { world: new PaymentWorld(provider), provider, isTimedOut };
      run.world.run(request());
      for (const each of steps) {
        await each(run);
        check(run);
      }
      provider.arrive();
      // Nobody waits for ever: whoever pays is done or gone, and so is the time limit.
      for (const to of ['authorised', 'failed'] as const) provider.move(PAYMENT, to);
      provider.endRefunds(PAYMENT, 'succeeded');
      if (provider.refunds === 'pending') provider.refunds = 'succeeded';
      if (isTimedOut) run.world.run(timeOut);
      else provider.begins = 'authorised';
      await run.world.settle();
      check(run);
      checkEnd(run);
      for (const { type, data } of run.world.events) seen.add('isLate' in data && data.isLate ? `late ${type}` : type);
      for (const code of run.world.rejections) seen.add(code);
    }),
    { numRuns: 1000 },
  );
  // Otherwise it was not shown for them.
  expect([...seen]).toEqual(
    expect.arrayContaining([
      ...['PaymentActionRequired', 'PaymentAuthorised', 'late PaymentAuthorised', 'PaymentConfirmed'],
      ...['late PaymentConfirmed', 'PaymentFailed', 'PaymentTimedOut', 'PaymentCancelled', 'PaymentVoided'],
      ...['PaymentRefundRequested', 'PaymentRefunded', 'PaymentRefundFailed', 'ILLEGAL_STATE'],
    ]),
  );
});
