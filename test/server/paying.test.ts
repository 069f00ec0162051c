import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Buyer, changesIn, onlyOne, orderOf, PAID_BY_NOW, watchOrder } from '../support/buyer.ts';
import { eventually, rawId, receiptOf } from '../support/operator.ts';
import type { Order } from '../support/order-views.ts';
import { describeEachStore } from '../support/stores.ts';
import { TradingShop } from '../support/trading-shop.ts';

const PAID = { __typename: 'OrderPayload', order: { status: PAID_BY_NOW, payments: [{ status: 'CONFIRMED' }] } };

describeEachStore('Paying', (kind) => {
  let shop: TradingShop;
  let buyer: Buyer;

  beforeAll(async () => {
    shop = await TradingShop.open(kind);
    buyer = shop.buyer;
    await buyer.addProduct('A', { price: 500 });
  });
  afterAll(() => shop.close());

  /** Types of the events of an order's payments, as everybody can see them. */
  async function paymentEvents(order: Pick<Order, 'id'>, since: string): Promise<readonly string[]> {
    const watching = watchOrder(shop.client, order.id, since);
    await eventually(() => expect(changesIn(watching)).not.toHaveLength(0));
    watching.stop();
    const events = changesIn(watching).flatMap((it) => it.events);
    return events.filter(({ aggregateType }) => aggregateType === 'payment').map(({ type }) => type);
  }

  async function expectTold(order: Order, ...subjects: readonly string[]): Promise<void> {
    await eventually(async () =>
      expect((await buyer.told(order.id)).slice(1).map(({ subject }) => subject)).toEqual(
        subjects.map((it) => expect.stringContaining(it)),
      ),
    );
  }

  /** The calls that the provider was asked for one payment: each with a key of its own, whose body never changed. */
  async function callsFor({ id }: { readonly id: string }) {
    const { calls } = await shop.provider.ledger();
    const ofPayment = calls.filter(({ key }) => key.startsWith(rawId(id)));
    expect(ofPayment.every(({ bodies }) => bodies === 1)).toBe(true);
    return ofPayment.map(({ operation }) => operation);
  }

  describe('with the same commandId', () => {
    test('again gives the same answer again, and takes no money twice', async () => {
      const { id } = await buyer.placed({ A: 1 });
      const commandId = randomUUID();
      const first = await buyer.pay(id, 'tok_ok', { commandId });
      expect(first).toMatchObject({ ...PAID, receipt: { replayed: false } });
      for (let time = 0; time < 2; time += 1) {
        const again = await buyer.pay(id, 'tok_ok', { commandId });
        expect(again).toMatchObject({ __typename: 'OrderPayload' });
        expect(again.receipt).toEqual({ ...receiptOf(first), replayed: true });
      }
      const payment = onlyOne((await buyer.order(id))?.payments ?? []);
      expect(await callsFor(payment)).toEqual(['create', 'capture']);
    });

    test('many times at once is one payment', async () => {
      const { id } = await buyer.placed({ A: 1 });
      const commandId = randomUUID();
      const outcomes = await Promise.all(Array.from({ length: 5 }, () => buyer.pay(id, 'tok_ok', { commandId })));
      for (const outcome of outcomes) expect(outcome).toMatchObject({ __typename: 'OrderPayload' });
      expect(new Set(outcomes.map((it) => onlyOne(orderOf(it).payments).id)).size).toBe(1);
    });

    test('but another token, or another order, is refused', async () => {
      const [first, second] = [await buyer.placed({ A: 1 }), await buyer.placed({ A: 1 })];
      const commandId = randomUUID();
      await buyer.pay(first.id, 'tok_decline', { commandId });
      expect((await buyer.pay(first.id, 'tok_ok', { commandId })).__typename).toBe('CommandIdReused');
      expect((await buyer.pay(second.id, 'tok_decline', { commandId })).__typename).toBe('CommandIdReused');
      expect(await buyer.order(second.id)).toMatchObject({ status: 'PLACED', payments: [] });
    });
  });

  test('twice at once, with two cards, takes the money once', async () => {
    const { id } = await buyer.placed({ A: 1 });
    const outcomes = await Promise.all(['tok_ok_1', 'tok_ok_2', 'tok_ok_3'].map((token) => buyer.pay(id, token)));
    expect(outcomes.filter(({ __typename }) => __typename === 'OrderPayload')).toHaveLength(1);
    for (const { state } of outcomes.filter(({ __typename }) => __typename !== 'OrderPayload')) {
      expect(['PAYING', 'PAID', 'PREPARING']).toContain(state);
    }
    expect((await buyer.order(id))?.payments).toHaveLength(1);
    expect(await buyer.pay(id)).toMatchObject({ __typename: 'IllegalState', message: 'The order is paid already.' });
  });

  test('with a card that is declined leaves the order open, for another one', async () => {
    const order = await buyer.placed({ A: 1 });
    const commandId = randomUUID();
    const declined = {
      __typename: 'PaymentDeclined',
      code: 'PAYMENT_DECLINED',
      reason: 'card_declined',
      payment: { status: 'FAILED', failureReason: 'card_declined', amount: { amountMinor: 500 } },
    };
    const outcome = await buyer.pay(order.id, 'tok_decline', { commandId });
    expect(outcome).toMatchObject({ ...declined, receipt: { status: 'REJECTED', replayed: false } });
    const open = await buyer.untilOrder(order.id, { status: 'PLACED', statusReason: 'card_declined' });
    expect(open.paymentDeadline).toBe(order.paymentDeadline);
    expect(await buyer.payment(outcome.payment?.id ?? '')).toMatchObject({ status: 'FAILED' });
    await eventually(async () => expect(await buyer.pay(order.id)).toMatchObject({ __typename: 'OrderPayload' }));
    expect(await buyer.order(order.id)).toMatchObject({ payments: [{ status: 'FAILED' }, { status: 'CONFIRMED' }] });
    // What it ended with then is what it ended with.
    expect(await buyer.pay(order.id, 'tok_decline', { commandId })).toMatchObject({
      ...declined,
      receipt: { replayed: true },
    });
    await expectTold(order, 'did not work');
  });

  test('with a token that the provider does not know is declined', async () => {
    const { id } = await buyer.placed({ A: 1 });
    const unknown = { __typename: 'PaymentDeclined', reason: 'unknown_token' };
    expect(await buyer.pay(id, 'tok_nobody_knows')).toMatchObject(unknown);
  });

  describe('with a card whose bank asks the customer first', () => {
    async function asked(): Promise<{ order: Order; url: string }> {
      const { id } = await buyer.placed({ A: 1 });
      const order = orderOf(await buyer.pay(id, 'tok_action'));
      expect(order).toMatchObject({
        status: 'PLACED',
        payments: [{ status: 'REQUIRES_ACTION', nextAction: { kind: 'redirect' } }],
      });
      return { order, url: onlyOne(order.payments).nextAction?.url ?? '' };
    }
    const press = (url: string, decision: string) =>
      fetch(url, { method: 'POST', body: new URLSearchParams({ decision }) });

    test('is done when they said yes', async () => {
      const { order, url } = await asked();
      expect(await (await fetch(url)).text()).toContain('Is this you?');
      expect(await buyer.pay(order.id)).toMatchObject({ __typename: 'IllegalState', state: 'PAYING' });
      expect((await press(url, 'complete')).status).toBe(200);
      await buyer.untilOrder(order.id, {
        status: 'PREPARING',
        payments: [{ status: 'CONFIRMED', nextAction: null }],
      });
    });

    test('is declined when they said no', async () => {
      const { order, url } = await asked();
      await press(url, 'decline');
      const payments = [{ status: 'FAILED', failureReason: 'authentication_failed', nextAction: null }];
      await buyer.untilOrder(order.id, { status: 'PLACED', statusReason: 'authentication_failed', payments });
      expect(await buyer.pay(order.id)).toMatchObject({ __typename: 'OrderPayload' });
    });

    test('comes to nothing when they do not answer in time', async () => {
      const { order, url } = await asked();
      shop.letPaymentsTimeOut();
      await buyer.untilOrder(order.id, { status: 'CANCELLED', statusReason: 'PAYMENT_TIMED_OUT' });
      const payment = onlyOne(order.payments);
      await eventually(async () => expect((await shop.atProvider(payment)).status).toBe('cancelled'));
      await press(url, 'complete');
      expect(await buyer.payment(payment.id)).toMatchObject({ status: 'TIMED_OUT', nextAction: null });
    });
  });

  test('with a card that nothing is heard of times out: the order is cancelled, and what was reserved is free', async () => {
    const stock = await buyer.available('A');
    const order = await buyer.placed({ A: 2 });
    expect(await buyer.available('A')).toBe((stock ?? 0) - 2);
    const commandId = randomUUID();
    const paying = buyer.pay(order.id, 'tok_silent', { commandId });
    const { payments } = await buyer.untilOrder(order.id, { payments: [{ status: 'REQUESTED' }] });
    await eventually(() => shop.atProvider(onlyOne(payments)));
    shop.letPaymentsTimeOut();
    const timedOut = { __typename: 'PaymentDeclined', reason: 'TIMED_OUT', payment: { id: onlyOne(payments).id } };
    expect(await paying).toMatchObject({ ...timedOut, receipt: { status: 'REJECTED', replayed: false } });
    await buyer.untilOrder(order.id, {
      status: 'CANCELLED',
      statusReason: 'PAYMENT_TIMED_OUT',
      paymentDeadline: null,
      payments: [{ status: 'TIMED_OUT' }],
    });
    expect(await buyer.pay(order.id, 'tok_silent', { commandId })).toMatchObject({
      ...timedOut,
      payment: { status: 'TIMED_OUT' },
      receipt: { replayed: true },
    });
    expect(await buyer.command(commandId)).toMatchObject({ status: 'REJECTED', input: { paymentToken: null } });
    expect(await buyer.pay(order.id)).toMatchObject({ __typename: 'IllegalState', state: 'CANCELLED' });
    await eventually(async () => expect(await buyer.available('A')).toBe(stock));
    // The provider lets go of it, too.
    await eventually(async () => expect((await shop.atProvider(onlyOne(payments))).status).toBe('cancelled'));
    await expectTold(order, 'was not paid in time');
  });

  test('not at all ends in the same way', async () => {
    const stock = await buyer.available('A');
    const order = await buyer.placed({ A: 1 });
    shop.letPaymentsTimeOut();
    await buyer.untilOrder(order.id, { status: 'CANCELLED', statusReason: 'PAYMENT_TIMED_OUT', payments: [] });
    await eventually(async () => expect(await buyer.available('A')).toBe(stock));
    await expectTold(order, 'was not paid in time');
  });

  test('with a card that is confirmed after the limit is paid back', async () => {
    const stock = await buyer.available('A');
    const order = await buyer.placed({ A: 1 });
    const paying = buyer.pay(order.id, 'tok_late');
    const { payments } = await buyer.untilOrder(order.id, { payments: [{ status: 'REQUESTED' }] });
    await eventually(() => shop.atProvider(onlyOne(payments)));
    shop.letPaymentsTimeOut();
    expect(await paying).toMatchObject({ __typename: 'PaymentDeclined', reason: 'TIMED_OUT' });
    await buyer.untilOrder(order.id, {
      status: 'CANCELLED',
      payments: [{ status: 'REFUNDED', refunded: { amountMinor: 500 } }],
    });
    expect(await shop.atProvider(onlyOne(payments))).toMatchObject({ capturedMinor: 500, refundedMinor: 500 });
    expect(await paymentEvents(order, order.position)).toEqual([
      'PaymentRequested',
      'PaymentTimedOut',
      'PaymentConfirmed',
      'PaymentRefundRequested',
      'PaymentRefunded',
    ]);
    expect(await buyer.available('A')).toBe(stock);
    await expectTold(order, 'was not paid in time', 'Money back');
  });

  test.each(['tok_twice', 'tok_disorder', 'tok_hang'])(
    'with %s is one payment, of which everything is known once',
    async (token) => {
      const order = await buyer.placed({ A: 1 });
      expect(await buyer.pay(order.id, token)).toMatchObject(PAID);
      await shop.untilProviderIsSilent();
      const prepared = await buyer.untilOrder(order.id, { status: 'PREPARING', payments: [{ status: 'CONFIRMED' }] });
      expect(await paymentEvents(order, order.position)).toEqual([
        'PaymentRequested',
        'PaymentAuthorised',
        'PaymentConfirmed',
      ]);
      const payment = onlyOne(prepared.payments);
      expect(await shop.atProvider(payment)).toMatchObject({ status: 'captured', capturedMinor: 500 });
      expect(new Set(await callsFor(payment))).toEqual(new Set(['create', 'capture']));
    },
  );

  test('at a provider that breaks is tried again until the limit; then nothing was taken', async () => {
    const order = await buyer.placed({ A: 1 });
    const paying = buyer.pay(order.id, 'tok_error');
    const { payments } = await buyer.untilOrder(order.id, { payments: [{ status: 'REQUESTED' }] });
    const payment = onlyOne(payments);
    await eventually(async () => expect(await callsFor(payment)).toContain('create'));
    shop.letPaymentsTimeOut();
    expect(await paying).toMatchObject({ __typename: 'PaymentDeclined', reason: 'TIMED_OUT' });
    await buyer.untilOrder(order.id, { status: 'CANCELLED', payments: [{ status: 'TIMED_OUT' }] });
    const { payments: known } = await shop.provider.ledger();
    expect(known.filter(({ reference }) => reference === rawId(payment.id))).toEqual([]);
    // The next customer is served as if nothing had happened.
    expect(await buyer.pay((await buyer.placed({ A: 1 })).id)).toMatchObject({ __typename: 'OrderPayload' });
  });

  test('what is refused by the version of the order can be sent again', async () => {
    const order = await buyer.placed({ A: 1 });
    const input = { commandId: randomUUID(), expectedVersion: order.version + 1 };
    expect(await buyer.pay(order.id, 'tok_ok', input)).toMatchObject({ __typename: 'VersionConflict' });
    expect(await buyer.pay(order.id, 'tok_ok', { ...input, expectedVersion: order.version })).toMatchObject(PAID);
  });
});
