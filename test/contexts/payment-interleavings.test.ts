import { beforeEach, describe, expect, test } from 'vitest';
import { type CallFate, ModelProvider } from '../support/model-provider.ts';
import { PaymentWorld } from '../support/payment-world.ts';
import { AMOUNT, cancel, note, PAYMENT, refund, request, timeOut } from '../support/payments.ts';

/** What comes in between, one by one: the model test has them all, in any order, by chance. */
let provider: ModelProvider;
let world: PaymentWorld;

beforeEach(() => {
  provider = new ModelProvider();
  world = new PaymentWorld(provider);
  world.run(request());
});

/** Takes the first command under way one step on: asks the provider, or decides on its answer. */
async function step(fate: CallFate = 'answered'): Promise<void> {
  provider.fate = fate;
  await world.work(0);
}
const status = () => provider.payments.get(PAYMENT)?.status;
const types = () => world.events.map(({ type, data }) => ('isLate' in data && data.isLate ? `late ${type}` : type));
const hearNewest = () => {
  const newest = provider.told.at(-1);
  if (newest !== undefined) world.run(note(newest));
};

test('All goes well: asked to hold the money, then to take it', async () => {
  await world.settle();
  expect(types()).toEqual(['PaymentRequested', 'PaymentAuthorised', 'PaymentConfirmed']);
  expect(status()).toBe('captured');
});

describe('The call of the provider', () => {
  test('comes before the answer', async () => {
    await step();
    hearNewest();
    expect(types()).toEqual(['PaymentRequested', 'PaymentAuthorised']);
    await world.settle();
    expect(types()).toEqual(['PaymentRequested', 'PaymentAuthorised', 'PaymentConfirmed']);
  });

  test('comes twice, and once more at the end', async () => {
    await step();
    hearNewest();
    hearNewest();
    await world.settle();
    for (const told of provider.told) world.run(note(told));
    expect(types()).toEqual(['PaymentRequested', 'PaymentAuthorised', 'PaymentConfirmed']);
  });

  test('tells of money that was taken before it was known to be held', async () => {
    provider.begins = 'captured';
    await step('answer lost');
    hearNewest();
    await world.settle();
    expect(types()).toEqual(['PaymentRequested', 'PaymentConfirmed']);
  });
});

describe('An answer that was lost', () => {
  test('is given again, and the money is held once', async () => {
    await step('answer lost');
    await world.settle();
    expect(types()).toEqual(['PaymentRequested', 'PaymentAuthorised', 'PaymentConfirmed']);
    expect(provider.told.map((it) => it.status)).toEqual(['authorised', 'captured']);
  });

  test('and never asked for again, is found by asking how things stand', async () => {
    await step();
    await step();
    await step('answer lost');
    world.drop(0);
    expect(types()).toEqual(['PaymentRequested', 'PaymentAuthorised']);
    await world.settle();
    expect(types()).toEqual(['PaymentRequested', 'PaymentAuthorised', 'PaymentConfirmed']);
  });
});

test('Taking the money that was given up before it came to the provider is asked for again', async () => {
  await step();
  await step();
  world.drop(0);
  expect(status()).toBe('authorised');
  await world.settle();
  expect(types()).toEqual(['PaymentRequested', 'PaymentAuthorised', 'PaymentConfirmed']);
  expect(status()).toBe('captured');
});

describe('A payment that is declined, and could be tried again', () => {
  beforeEach(async () => {
    provider.begins = 'declined';
    await step();
    await step();
    expect(types()).toEqual(['PaymentRequested', 'PaymentFailed']);
  });

  test('is stopped', async () => {
    await world.settle();
    expect(types().slice(2)).toEqual(['PaymentVoided']);
    expect(status()).toBe('cancelled');
  });

  test('is let go of if it was tried again before that', async () => {
    provider.move(PAYMENT, 'authorised');
    hearNewest();
    await world.settle();
    expect(types().slice(2)).toEqual(['late PaymentAuthorised', 'PaymentVoided']);
    expect(status()).toBe('cancelled');
  });

  test('is stopped even if that was given up, and nobody calls', async () => {
    world.drop(0);
    provider.move(PAYMENT, 'authorised');
    await world.settle();
    expect(types().at(-1)).toBe('PaymentVoided');
    expect(status()).toBe('cancelled');
  });
});

describe('The time limit passes', () => {
  test('while the provider is asked to hold the money: it is let go of', async () => {
    await step();
    world.run(timeOut);
    await step();
    expect(types()).toEqual(['PaymentRequested', 'PaymentTimedOut', 'late PaymentAuthorised']);
    await world.settle();
    expect(types().at(-1)).toBe('PaymentVoided');
    expect(status()).toBe('cancelled');
  });

  test('while the provider takes the money: it is known, to be paid back', async () => {
    await step();
    await step();
    await step();
    world.run(timeOut);
    await world.settle();
    expect(types().slice(2)).toEqual(['PaymentTimedOut', 'late PaymentConfirmed']);
    world.run(refund('late', AMOUNT.amountMinor));
    await world.settle();
    expect(types().slice(4)).toEqual(['PaymentRefundRequested', 'PaymentRefunded']);
    expect(provider.payments.get(PAYMENT)?.refundedMinor).toBe(AMOUNT.amountMinor);
  });

  test('before the provider was asked: it never is', async () => {
    world.run(timeOut);
    await world.settle();
    expect(types()).toEqual(['PaymentRequested', 'PaymentTimedOut']);
    expect(status()).toBeUndefined();
  });

  test('and the provider comes to know of the payment only after that: it is let go of', async () => {
    await step('delayed');
    world.run(timeOut);
    await step();
    await step();
    provider.arrive();
    expect(status()).toBe('authorised');
    await world.settle();
    expect(types().at(-1)).toBe('PaymentVoided');
    expect(status()).toBe('cancelled');
  });

  test('while the customer has something to do: they cannot go on with it', async () => {
    provider.begins = 'requires_action';
    await step();
    await step();
    world.run(timeOut);
    await world.settle();
    expect(types()).toEqual(['PaymentRequested', 'PaymentActionRequired', 'PaymentTimedOut', 'PaymentVoided']);
    expect(status()).toBe('cancelled');
  });
});

test('Whoever cancels may be too late: what was taken is known', async () => {
  await step();
  await step();
  await step('answer lost');
  world.run(cancel);
  await world.settle();
  expect(types().slice(2)).toEqual(['PaymentCancelled', 'late PaymentConfirmed']);
});

test('What is held no more when it is to be taken has failed', async () => {
  await step();
  await step();
  provider.move(PAYMENT, 'cancelled');
  await world.settle();
  expect(types().slice(2)).toEqual(['PaymentFailed']);
});

test('A token that is gone ends the payment, and what the provider comes to know of later is let go of', async () => {
  await step('delayed');
  world.wipeToken();
  await step();
  await step();
  expect(types()).toEqual(['PaymentRequested', 'PaymentFailed']);
  provider.arrive();
  await world.settle();
  expect(types().slice(2)).toEqual(['PaymentVoided']);
  expect(status()).toBe('cancelled');
});

describe('A refund', () => {
  beforeEach(() => world.settle());

  test('whose answer was lost is made once', async () => {
    world.run(refund('r1', 400));
    await step('answer lost');
    await world.settle();
    expect(types().slice(3)).toEqual(['PaymentRefundRequested', 'PaymentRefunded']);
    expect(provider.payments.get(PAYMENT)?.refunds).toHaveLength(1);
  });

  test('that was given up before it came to the provider is asked for again', async () => {
    world.run(refund('r1', 400));
    world.run(refund('r2', 500));
    world.drop(0);
    world.drop(0);
    expect(provider.payments.get(PAYMENT)?.refunds).toEqual([]);
    await world.settle();
    expect(types().slice(5)).toEqual(['PaymentRefunded', 'PaymentRefunded']);
    expect(provider.payments.get(PAYMENT)?.refundedMinor).toBe(900);
  });

  test('is asked for as long as the provider is away, however long that is', async () => {
    world.run(refund('r1', 400));
    world.drop(0);
    world.reconcile();
    for (let hours = 0; hours < 100; hours += 1) {
      world.pass(3_600_000);
      world.reconcile();
      await step('broken');
      world.drop(0);
    }
    await world.settle();
    expect(types().slice(4)).toEqual(['PaymentRefunded']);
  });

  test('that is long under way is heard of by asking', async () => {
    provider.refunds = 'pending';
    world.run(refund('r1', 400));
    await step();
    await step();
    provider.endRefunds(PAYMENT, 'succeeded');
    expect(types().slice(3)).toEqual(['PaymentRefundRequested']);
    await world.settle();
    expect(types().slice(4)).toEqual(['PaymentRefunded']);
  });

  test('that has failed is made again under another id', async () => {
    provider.refunds = 'failed';
    world.run(refund('r1', 1000));
    await world.settle();
    provider.refunds = 'succeeded';
    world.run(refund('r2', 1000));
    await world.settle();
    expect(types().slice(3)).toEqual([
      ...['PaymentRefundRequested', 'PaymentRefundFailed', 'PaymentRefundRequested', 'PaymentRefunded'],
    ]);
  });
});
