import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { PaymentProvider } from '../../src/contexts/payment/provider.ts';
import { providerPayment, UNKNOWN_REF } from '../../src/contexts/payment/provider-state.ts';
import { createSimulatedProvider } from '../../src/contexts/payment/providers/simulated.ts';
import { createStripeProvider } from '../../src/contexts/payment/providers/stripe.ts';
import { OutsideParty, type OutsidePartySettings } from '../../src/platform/outside-party.ts';
import { signWebhook } from '../../src/platform/webhook-signature.ts';
import {
  API_KEY,
  Cleanup,
  eventually,
  receiveWebhooks,
  SimulatorClient,
  startPayments,
  WEBHOOK_SECRET,
} from '../support/simulators.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

/** What every adapter of the port does, each against the simulator over real sockets. */
const ADAPTERS = [
  {
    name: 'simulated',
    shape: 'plain',
    signatureHeader: 'simulator-signature',
    create: (url: string, party: OutsideParty): PaymentProvider =>
      createSimulatedProvider({ url, apiKey: API_KEY, webhookSecret: WEBHOOK_SECRET, party }),
  },
  {
    name: 'stripe',
    shape: 'stripe',
    signatureHeader: 'stripe-signature',
    create: (url: string, party: OutsideParty): PaymentProvider =>
      createStripeProvider({ apiUrl: url, secretKey: API_KEY, webhookSecret: WEBHOOK_SECRET, party }),
  },
] as const;

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

describe.each(ADAPTERS)('The $name payment provider', ({ name, shape, signatureHeader, create }) => {
  async function open({
    lateAfterMs = 60_000,
    searchLagMs = 60_000,
    ...settings
  }: Partial<OutsidePartySettings> & { lateAfterMs?: number; searchLagMs?: number } = {}) {
    const simulator = await startPayments(cleanup, { lateAfterMs, searchLagMs });
    const client = new SimulatorClient(simulator.url);
    const party = new OutsideParty({ name: 'payment provider', timeoutMs: 10_000, ...settings });
    const provider = create(simulator.url, party);
    const shop = await receiveWebhooks(cleanup);
    await client.send('POST', '/v1/webhook_endpoints', { body: { url: shop.url, shape } });
    const ids = { paymentId: randomUUID(), orderId: randomUUID() };
    const amount = { amountMinor: 2_500, currency: 'GBP' };
    const authorise = (token: string) => provider.authorise({ ...ids, amount, token });
    const heard = () => shop.received.flatMap((it) => provider.readWebhook(it.headers, it.raw) ?? []);
    return { simulator, client, party, provider, shop, ...ids, amount, authorise, heard };
  }

  test('says who it is', async () => {
    expect((await open()).provider.name).toBe(name);
  });

  test('authorises, captures, and is asked again without harm', async () => {
    const { authorise, provider, paymentId, amount, client } = await open();
    const authorised = await authorise('tok_ok');
    const { providerRef } = authorised;
    expect(providerPayment.parse(authorised)).toEqual({
      providerRef: expect.stringMatching(/^p/),
      paymentId,
      status: 'authorised',
      amount,
      refundedMinor: 0,
      refunds: [],
      failureReason: null,
      nextAction: null,
    });
    expect(await authorise('tok_ok')).toEqual(authorised);
    for (const _ of [1, 2]) {
      const captured = await provider.capture({ paymentId, providerRef, amount });
      expect(captured).toEqual({ ...authorised, status: 'captured' });
    }
    const { payments, calls } = await client.ledger();
    expect(payments).toEqual([expect.objectContaining({ reference: paymentId, capturedMinor: 2_500 })]);
    expect(calls.map(({ key, seen, bodies }) => ({ key, seen, bodies }))).toEqual([
      { key: `${paymentId}:authorise`, seen: 2, bodies: 1 },
      { key: `${paymentId}:capture`, seen: 2, bodies: 1 },
    ]);
  });

  test('takes a card that is declined, or not known, for an answer', async () => {
    const { authorise, provider, orderId, amount, party } = await open({ failuresToOpen: 1 });
    const declined = await authorise('tok_decline');
    // At Stripe it could be tried again.
    const status = name === 'stripe' ? 'declined' : 'failed';
    expect(declined).toMatchObject({ status, failureReason: expect.stringMatching(/decline/) });
    const unknown = await provider.authorise({ paymentId: randomUUID(), orderId, amount, token: 'nonsense' });
    expect(unknown).toMatchObject({ status, failureReason: expect.any(String) });
    expect(party.state()).toMatchObject({ breaker: 'closed', lastFailure: null });
  });

  test('shows what was declined as it is, and stops it where it could be tried again', async () => {
    const { authorise, provider, paymentId, heard } = await open();
    const { status, providerRef } = await authorise('tok_decline');
    expect(await provider.find(paymentId)).toMatchObject({ status, failureReason: expect.any(String) });
    await eventually(() => expect(heard()).toEqual([expect.objectContaining({ payment: expect.anything() })]));
    expect(heard()[0]?.payment).toMatchObject({ status, providerRef });
    const stopped = name === 'stripe' ? 'cancelled' : 'failed';
    expect(await provider.cancel({ paymentId, providerRef, seen: status })).toMatchObject({ status: stopped });
  });

  test('shows what the customer has to do', async () => {
    const { authorise, provider, paymentId, heard } = await open();
    const waiting = await authorise('tok_action');
    expect(waiting).toMatchObject({ status: 'requires_action', nextAction: { kind: expect.any(String) } });
    const decision = new URLSearchParams({ decision: 'complete' });
    await fetch(waiting.nextAction?.url ?? '', { method: 'POST', body: decision });
    expect(await provider.find(paymentId)).toMatchObject({ status: 'authorised', nextAction: null });
    await eventually(() =>
      expect(heard().map(({ payment }) => payment.status)).toEqual(
        expect.arrayContaining(['requires_action', 'authorised']),
      ),
    );
  });

  test('waits for what is being processed', async () => {
    const { authorise, provider, paymentId, heard } = await open({ lateAfterMs: 30 });
    expect(await authorise('tok_late')).toMatchObject({ status: 'processing' });
    await eventually(() => expect(heard()).toEqual([expect.objectContaining({ payment: expect.anything() })]));
    expect(heard()[0]?.payment).toEqual(await provider.find(paymentId));
    expect(heard()[0]?.payment).toMatchObject({ paymentId, status: 'captured' });
  });

  test('cancels what is authorised, and shows what is captured instead of cancelling it', async () => {
    const { authorise, provider, paymentId, amount, orderId } = await open();
    const { providerRef } = await authorise('tok_ok');
    const cancel = { paymentId, providerRef, seen: 'authorised' } as const;
    expect(await provider.cancel(cancel)).toMatchObject({ status: 'cancelled' });
    expect(await provider.cancel(cancel)).toMatchObject({ status: 'cancelled' });
    expect(await provider.capture({ paymentId, providerRef, amount })).toMatchObject({ status: 'cancelled' });

    const other = { paymentId: randomUUID(), orderId, amount };
    const { providerRef: taken } = await provider.authorise({ ...other, token: 'tok_ok' });
    await provider.capture({ ...other, providerRef: taken });
    const late = { ...other, providerRef: taken, seen: 'authorised' } as const;
    expect(await provider.cancel(late)).toMatchObject({ status: 'captured', amount });
  });

  test('asks to cancel anew where it saw another state: a refusal may be kept', async () => {
    const { authorise, provider, paymentId, client } = await open();
    const { providerRef } = await authorise('tok_late');
    for (const seen of ['processing', 'authorised'] as const) {
      expect(await provider.cancel({ paymentId, providerRef, seen })).toMatchObject({ status: 'processing' });
    }
    const { calls } = await client.ledger();
    expect(calls.filter(({ operation }) => operation === 'cancel').map(({ key }) => key)).toEqual([
      ...[`${paymentId}:cancel:processing`, `${paymentId}:cancel:authorised`],
    ]);
  });

  test('captures and cancels in the end, also where the answers of the first times were 500', async () => {
    const { authorise, provider, client, paymentId, orderId, amount } = await open();
    const { providerRef } = await authorise('tok_ok');
    const other = { paymentId: randomUUID(), orderId, amount };
    const { providerRef: held } = await provider.authorise({ ...other, token: 'tok_ok' });
    const capture = () => provider.capture({ paymentId, providerRef, amount });
    const cancel = () => provider.cancel({ ...other, providerRef: held, seen: 'authorised' });
    for (const _ of [1, 2]) {
      await client.send('POST', '/v1/faults', { body: { rate: 1, kinds: ['error_before'] } });
      for (const step of [capture, cancel]) await expect(step()).rejects.toThrow('500');
    }
    await client.send('POST', '/v1/faults', { body: { rate: 0 } });
    expect(await capture()).toMatchObject({ status: 'captured' });
    expect(await cancel()).toMatchObject({ status: 'cancelled' });
    const { payments } = await client.ledger();
    expect(payments).toContainEqual(expect.objectContaining({ reference: paymentId, capturedMinor: 2_500 }));
  });

  describe('asked to authorise', () => {
    /** A provider that answers everything with a status. */
    async function answering(status: number) {
      const server = createServer((_, response) => {
        response.writeHead(status, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ error: { type: 'invalid_request_error', code: 'not_so', message: 'No.' } }));
      }).listen(0, '127.0.0.1');
      cleanup.add(() => server.close());
      await once(server, 'listening');
      const { port } = z.object({ port: z.number() }).parse(server.address());
      const party = new OutsideParty({ name: 'payment provider', timeoutMs: 10_000, failuresToOpen: 1 });
      const paymentId = randomUUID();
      const provider = create(`http://127.0.0.1:${port}`, party);
      const authorise = () => provider.authorise({ paymentId, orderId: randomUUID(), amount: AMOUNT, token: 'tok_ok' });
      return { authorise, paymentId, party };
    }

    test.each([400, 402, 404, 422])('takes %i for an answer: nothing was made', async (status) => {
      const { authorise, paymentId, party } = await answering(status);
      expect(providerPayment.parse(await authorise())).toEqual({
        ...{ providerRef: UNKNOWN_REF, paymentId, status: 'failed', amount: AMOUNT, failureReason: 'not_so' },
        ...{ refundedMinor: 0, refunds: [], nextAction: null },
      });
      expect(party.state().lastFailure).toBeNull();
    });

    test.each([401, 403, 409, 429, 500, 503])('takes %i for a fault', async (status) => {
      const { authorise } = await answering(status);
      await expect(authorise()).rejects.toMatchObject({ name: expect.stringMatching(/^OutsideParty/) });
    });

    test('takes what it does not understand for an answer, and a key that came with something else for a fault', async () => {
      const { provider, paymentId, orderId, amount, authorise } = await open();
      const none = { paymentId: randomUUID(), orderId, amount: { ...amount, amountMinor: 0 }, token: 'tok_ok' };
      expect(await provider.authorise(none)).toMatchObject({ providerRef: UNKNOWN_REF, status: 'failed' });
      await authorise('tok_ok');
      const other = provider.authorise({ paymentId, orderId, amount: AMOUNT, token: 'tok_ok' });
      await expect(other).rejects.toMatchObject({ name: 'OutsidePartyRefused' });
    });
  });

  test('pays back parts, and no more than was taken', async () => {
    const { authorise, provider, paymentId, amount } = await open();
    const { providerRef } = await authorise('tok_ok');
    await provider.capture({ paymentId, providerRef, amount });
    const refund = (refundId: string, amountMinor: number) =>
      provider.refund({ paymentId, providerRef, refundId, amount: { ...amount, amountMinor } });
    expect(await refund('r1', 1_000)).toMatchObject({
      status: 'captured',
      amount,
      refundedMinor: 1_000,
      refunds: [{ refundId: 'r1', amountMinor: 1_000, status: 'succeeded' }],
    });
    expect((await refund('r1', 1_000)).refundedMinor).toBe(1_000);
    expect((await refund('r2', 1_500)).refundedMinor).toBe(2_500);
    const tooMuch = await refund('r3', 1);
    expect(tooMuch).toMatchObject({ status: 'captured', refundedMinor: 2_500 });
    expect(tooMuch.refunds).toContainEqual({ refundId: 'r3', amountMinor: 1, status: 'failed' });
    const found = await provider.find(paymentId);
    expect(found).toMatchObject({ status: 'captured', amount, refundedMinor: 2_500 });
    expect(new Set(found?.refunds.map(({ refundId }) => refundId))).toEqual(new Set(['r1', 'r2']));
  });

  test('tells of a refund that failed', async () => {
    const { authorise, provider, paymentId, amount, heard } = await open();
    const { providerRef } = await authorise('tok_refund_fails');
    await provider.capture({ paymentId, providerRef, amount });
    const failed = await provider.refund({ paymentId, providerRef, refundId: 'r1', amount });
    expect(failed).toMatchObject({ refundedMinor: 0, refunds: [{ refundId: 'r1', status: 'failed' }] });
    await provider.refund({ paymentId, providerRef, refundId: 'r2', amount });
    await eventually(() => {
      const refunds = heard().flatMap(({ payment }) => payment.refunds);
      expect(refunds).toContainEqual({ refundId: 'r1', amountMinor: 2_500, status: 'failed' });
      expect(refunds).toContainEqual({ refundId: 'r2', amountMinor: 2_500, status: 'succeeded' });
    });
    for (const { payment } of heard()) expect(payment).toMatchObject({ paymentId, providerRef, amount });
  });

  test.each([0, 60_000])(
    'finds what was done without an answer, where a search is %i ms behind',
    async (searchLagMs) => {
      const { authorise, provider, paymentId } = await open({ timeoutMs: 150, searchLagMs });
      expect(await provider.find(paymentId)).toBeUndefined();
      await expect(authorise('tok_hang')).rejects.toThrow('authorise took longer than 150 ms');
      expect(await provider.find(paymentId)).toMatchObject({ paymentId, status: 'authorised' });
      expect(await provider.find(randomUUID())).toBeUndefined();
    },
  );

  test('reads webhooks, each with an id of its own that a repeat has as well', async () => {
    const { authorise, provider, paymentId, amount, heard } = await open();
    const authorised = await authorise('tok_disorder');
    await provider.capture({ paymentId, providerRef: authorised.providerRef, amount });
    await eventually(() => expect(heard()).toHaveLength(4));
    expect(heard().map(({ payment }) => payment.status)).toEqual(['captured', 'captured', 'authorised', 'authorised']);
    expect(new Set(heard().map(({ eventId }) => eventId)).size).toBe(2);
    expect(heard()[2]?.payment).toEqual(authorised);
  });

  test('hears of tok_twice twice, as two things that happened', async () => {
    const { authorise, heard } = await open();
    await authorise('tok_twice');
    await eventually(() => expect(heard()).toHaveLength(2));
    expect(new Set(heard().map(({ eventId }) => eventId)).size).toBe(2);
    expect(heard()[0]?.payment).toEqual(heard()[1]?.payment);
  });

  test('believes no webhook that is not signed, or not any more', async () => {
    const { authorise, provider, shop } = await open();
    await authorise('tok_ok');
    await eventually(() => expect(shop.received).not.toEqual([]));
    const [{ raw, headers } = { raw: Buffer.alloc(0), headers: {} }] = shop.received;
    const signed = (body: Buffer, secret: string, now = new Date()) => ({
      [signatureHeader]: signWebhook(secret, body, now),
    });
    expect(provider.readWebhook(signed(raw, WEBHOOK_SECRET), raw)).toEqual(provider.readWebhook(headers, raw));
    const forged = Buffer.from(raw.toString().replaceAll('2500', '1'));
    const long = new Date(Date.now() - 301_000);
    const nonsense = Buffer.from('{"id": 7}');
    for (const [given, body] of [
      [{}, raw],
      [{ [signatureHeader]: 'nonsense' }, raw],
      [headers, forged],
      [signed(raw, 'whsec_of_another'), raw],
      [signed(raw, WEBHOOK_SECRET, long), raw],
      [signed(Buffer.from('no JSON'), WEBHOOK_SECRET), Buffer.from('no JSON')],
    ] as const) {
      expect(() => provider.readWebhook(given, body)).toThrow(expect.objectContaining({ name: 'WebhookRefused' }));
    }
    const read = () => provider.readWebhook(signed(nonsense, WEBHOOK_SECRET), nonsense);
    if (name === 'simulated') expect(read).toThrow(expect.objectContaining({ name: 'WebhookRefused' }));
    else expect(read()).toBeUndefined();
  });

  test('names what failed, without a word of what was sent', async () => {
    const { authorise, party, provider, paymentId } = await open();
    const failure = await authorise('tok_error_of_Ada').catch((error: unknown) => error);
    expect(failure).toMatchObject({ name: 'OutsidePartyFailed', party: 'payment provider', operation: 'authorise' });
    expect(String(failure)).toMatch(/500/);
    expect(JSON.stringify([String(failure), party.state()])).not.toContain('Ada');
    const nobody = create('http://127.0.0.1:1', new OutsideParty({ name: 'nobody', timeoutMs: 1_000 }));
    await expect(nobody.find(paymentId)).rejects.toMatchObject({ name: 'OutsidePartyFailed' });
    const refused = provider.capture({ paymentId, providerRef: 'pay_x', amount: AMOUNT });
    await expect(refused).rejects.toMatchObject({ name: 'OutsidePartyRefused' });
  });

  test('leaves a provider alone that is down, and comes back to it', async () => {
    const { client, provider, paymentId, party } = await open({ failuresToOpen: 3, openForMs: 500 });
    await client.send('POST', '/v1/faults', { body: { rate: 1, kinds: ['error_before'] } });
    for (const _ of [1, 2, 3]) await expect(provider.find(paymentId)).rejects.toThrow('500');
    await expect(provider.find(paymentId)).rejects.toMatchObject({ name: 'OutsidePartyUnavailable' });
    expect(party.state()).toMatchObject({ breaker: 'open', lastFailure: { error: 'OutsidePartyFailed' } });
    await client.send('POST', '/v1/faults', { body: { rate: 0 } });
    await eventually(async () => expect(await provider.find(paymentId)).toBeUndefined());
    expect(party.state().breaker).toBe('closed');
  });
});

describe('The webhooks of the stripe payment provider', () => {
  test('that are about nothing of ours are left alone', () => {
    const clock = new VirtualClock();
    const party = new OutsideParty({ name: 'stripe', timeoutMs: 1_000 });
    const provider = createStripeProvider({ secretKey: API_KEY, webhookSecret: WEBHOOK_SECRET, party, clock });
    const read = (type: string, object: object) => {
      const body = Buffer.from(JSON.stringify({ id: 'evt_1', object: 'event', type, data: { object } }));
      return provider.readWebhook({ 'stripe-signature': signWebhook(WEBHOOK_SECRET, body, clock.now()) }, body);
    };
    const intent = { id: 'pi_1', amount: 100, currency: 'gbp', status: 'succeeded', metadata: {}, next_action: null };
    expect(read('customer.created', { id: 'cus_1' })).toBeUndefined();
    expect(read('charge.refunded', { id: 'ch_1', amount_refunded: 5 })).toBeUndefined();
    expect(read('payment_intent.succeeded', intent)).toBeUndefined();
    expect(read('refund.updated', { id: 're_1', payment_intent: 'pi_1', amount: 5, metadata: {} })).toBeUndefined();
    expect(read('payment_intent.succeeded', { ...intent, metadata: { paymentId: 'p1' } })?.payment).toMatchObject({
      paymentId: 'p1',
      status: 'captured',
    });
  });
});

const AMOUNT = { amountMinor: 1, currency: 'GBP' };
