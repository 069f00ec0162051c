import Stripe from 'stripe';
import { afterEach, describe, expect, test } from 'vitest';
import { formOf } from '../../src/simulators/payment-provider/form-body.ts';
import { API_KEY, Cleanup, SimulatorClient, startPayments } from '../support/simulators.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

async function start() {
  const { url } = await startPayments(cleanup, { searchLagMs: 0 });
  const { hostname: host, port } = new URL(url);
  const stripe = new Stripe(API_KEY, { host, port: Number(port), protocol: 'http', maxNetworkRetries: 0 });
  const create = (paymentId: string, token = 'tok_ok', amount = 1_000) =>
    stripe.paymentIntents.create(
      {
        amount,
        currency: 'gbp',
        confirm: true,
        capture_method: 'manual',
        payment_method: token,
        metadata: { paymentId },
      },
      { idempotencyKey: `${paymentId}:authorise` },
    );
  return { url, stripe, create, client: new SimulatorClient(url) };
}

const failureOf = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

describe("The payment provider in the shape of Stripe's", () => {
  test('shows one ledger in both shapes', async () => {
    const { stripe, create, client } = await start();
    const { id, status } = await create('p1');
    expect(status).toBe('requires_capture');
    expect(await client.find('p1')).toMatchObject({ id, status: 'authorised' });
    await client.capture(id);
    expect(await stripe.paymentIntents.retrieve(id)).toMatchObject({ status: 'succeeded', amount_received: 1_000 });
  });

  test('says no as Stripe does', async () => {
    const { stripe, create } = await start();
    expect(await failureOf(create('p1', 'tok_decline'))).toMatchObject({
      type: 'StripeCardError',
      code: 'card_declined',
      statusCode: 402,
      payment_intent: { status: 'requires_payment_method', metadata: { paymentId: 'p1' } },
    });
    await create('p2');
    expect(await failureOf(create('p2', 'tok_ok', 7))).toMatchObject({ type: 'StripeIdempotencyError' });
    const { id } = await create('p3');
    await stripe.paymentIntents.cancel(id);
    expect(await failureOf(stripe.paymentIntents.capture(id))).toMatchObject({
      type: 'StripeInvalidRequestError',
      code: 'payment_intent_unexpected_state',
    });
    expect(await failureOf(stripe.paymentIntents.retrieve('pi_x'))).toMatchObject({ code: 'resource_missing' });
    expect(await failureOf(create('p4', 'tok_error'))).toMatchObject({ type: 'StripeAPIError', statusCode: 500 });
    expect(await failureOf(stripe.paymentIntents.create({ amount: 1, currency: 'gbp' }))).toMatchObject({
      type: 'StripeInvalidRequestError',
      code: 'invalid_request',
    });
  });

  test('keeps refusals and 500s under their keys, as Stripe does', async () => {
    const { stripe, create, client } = await start();
    const { id, next_action: action } = await create('p1', 'tok_action');
    const capture = (idempotencyKey: string) => stripe.paymentIntents.capture(id, {}, { idempotencyKey });
    const refused = { code: 'payment_intent_unexpected_state', payment_intent: { status: 'requires_action' } };
    expect(await failureOf(capture('k1'))).toMatchObject(refused);
    const decision = new URLSearchParams({ decision: 'complete' });
    await fetch(action?.redirect_to_url?.url ?? '', { method: 'POST', body: decision });
    const headers = { 'idempotent-replayed': 'true' };
    expect(await failureOf(capture('k1'))).toMatchObject({ ...refused, headers });

    await client.send('POST', '/v1/faults', { body: { rate: 1, kinds: ['error_before'] } });
    expect(await failureOf(capture('k2'))).toMatchObject({ statusCode: 500 });
    await client.send('POST', '/v1/faults', { body: { rate: 0 } });
    expect(await failureOf(capture('k2'))).toMatchObject({ statusCode: 500, headers });
    expect(await capture('k3')).toMatchObject({ status: 'succeeded' });
    expect(await client.find('p1')).toMatchObject({ status: 'captured' });
  });

  test('keeps nothing of what it could not read', async () => {
    const { stripe } = await start();
    const ask = (amount: number) =>
      stripe.paymentIntents.create(
        { amount, currency: 'gbp', confirm: true, capture_method: 'manual', payment_method: 'tok_ok' },
        { idempotencyKey: 'k1' },
      );
    expect(await failureOf(ask(0))).toMatchObject({ code: 'invalid_request' });
    expect(await ask(100)).toMatchObject({ status: 'requires_capture' });
  });

  test('lists, newest first, page by page, and searches', async () => {
    const { stripe, create } = await start();
    for (const paymentId of ['p1', 'p2', 'p3']) await create(paymentId);
    const all = await stripe.paymentIntents.list({ limit: 2, created: { gte: 1 } }).autoPagingToArray({ limit: 10 });
    expect(all.map(({ metadata }) => metadata['paymentId'])).toEqual(['p3', 'p2', 'p1']);
    const future = Math.floor(Date.now() / 1_000) + 60;
    expect((await stripe.paymentIntents.list({ created: { gte: future } })).data).toEqual([]);
    const { data } = await stripe.paymentIntents.search({ query: "metadata['paymentId']:'p2'" });
    expect(data.map(({ metadata }) => metadata['paymentId'])).toEqual(['p2']);
  });

  test('wants its key', async () => {
    const { url } = await start();
    const answer = await fetch(`${url}/v1/payment_intents`);
    expect(answer.status).toBe(401);
    expect(await answer.json()).toMatchObject({ error: { type: 'invalid_request_error' } });
  });
});

describe('A form', () => {
  const read = (text: string) => formOf({ body: Buffer.from(text) });

  test('is read with what is nested in it', () => {
    expect(read('a=1&b[c]=2&b[d][e]=3%204&f[0]=x&f[1]=y&g[]=z')).toEqual({
      a: '1',
      b: { c: '2', d: { e: '3 4' } },
      f: { 0: 'x', 1: 'y' },
      g: { 0: 'z' },
    });
    expect(read('')).toEqual({});
  });

  test.each(['a=1&a[b]=2', '__proto__[polluted]=1', 'a[constructor][prototype]=1', '[a]=1', 'a[b=1', 'a]=1'])(
    'is refused where it is none: %s',
    (text) => {
      expect(() => read(text)).toThrow(expect.objectContaining({ status: 400 }));
      expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
    },
  );
});
