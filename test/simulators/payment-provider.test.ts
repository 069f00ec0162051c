import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { Cleanup, eventually, SimulatorClient, startPayments, temporaryFolder } from '../support/simulators.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

async function start(options: Parameters<typeof startPayments>[1] = {}) {
  const { url, stop } = await startPayments(cleanup, options);
  return { url, stop, client: new SimulatorClient(url) };
}

describe('The simulated payment provider', () => {
  test('authorises, captures and refunds', async () => {
    const { client } = await start();
    const { body, status } = await client.create('p1', 'tok_ok');
    expect({ status, body }).toMatchObject({ status: 201, body: { status: 'authorised', capturedMinor: 0 } });
    expect((await client.capture(body.id)).body).toMatchObject({ status: 'captured', capturedMinor: 1_000 });
    await client.refund(body.id, 'r1', 300);
    await client.refund(body.id, 'r2', 700);
    expect(await client.find('p1')).toMatchObject({ status: 'captured', refundedMinor: 1_000 });
    expect((await client.ledger()).payments).toEqual([
      expect.objectContaining({ reference: 'p1', authorisedMinor: 1_000, capturedMinor: 1_000, refundedMinor: 1_000 }),
    ]);
  });

  test.each([
    ['tok_ok', 'authorised', null],
    ['tok_ok_of_somebody', 'authorised', null],
    ['tok_decline', 'failed', 'card_declined'],
    ['tok_twice', 'authorised', null],
    ['tok_disorder', 'authorised', null],
    ['tok_silent', 'processing', null],
    ['tok_late', 'processing', null],
    ['tok_action', 'requires_action', null],
    ['tok_nobody_knows', 'failed', 'unknown_token'],
    ['4242424242424242', 'failed', 'unknown_token'],
  ])('answers to %s with %s', async (token, status, failureReason) => {
    const { client } = await start({ lateAfterMs: 60_000 });
    expect((await client.create('p1', token)).body).toMatchObject({ status, failureReason });
  });

  test('takes nothing with tok_error, whatever is tried', async () => {
    const { client } = await start();
    for (const _ of [1, 2]) expect((await client.create('p1', 'tok_error')).status).toBe(500);
    const { payments, calls } = await client.ledger();
    expect(payments).toEqual([]);
    expect(calls).toEqual([expect.objectContaining({ key: 'p1:authorise', operation: 'create', seen: 2, bodies: 1 })]);
  });

  test('never answers to tok_hang, and holds the money all the same', async () => {
    const { client } = await start();
    const leaving = new AbortController();
    const answer = client.create('p1', 'tok_hang', { signal: leaving.signal });
    await eventually(async () => expect(await client.find('p1')).toMatchObject({ status: 'authorised' }));
    leaving.abort();
    await expect(answer).rejects.toThrow();
  });

  test('takes the money of tok_late by itself, and lets nobody stop that', async () => {
    const { client } = await start({ lateAfterMs: 100 });
    const { body } = await client.create('p1', 'tok_late');
    expect((await client.send('POST', `/v1/payments/${body.id}/cancel`, { key: 'c1' })).status).toBe(409);
    await eventually(async () => expect(await client.find('p1')).toMatchObject({ status: 'captured' }));
  });

  test('takes the money of tok_late although it was down when its time came', async () => {
    const ledgerFile = join(temporaryFolder(cleanup), 'ledger.jsonl');
    const first = await start({ ledgerFile, lateAfterMs: 50 });
    await first.client.create('p1', 'tok_late');
    await first.stop();
    const { client } = await start({ ledgerFile });
    await eventually(async () => expect(await client.find('p1')).toMatchObject({ status: 'captured' }));
  });

  test.each([
    ['complete', 'authorised'],
    ['decline', 'failed'],
  ])('lets a person %s a payment with tok_action', async (decision, status) => {
    const { client } = await start();
    const { body } = await client.create('p1', 'tok_action');
    const { nextAction } = body as { nextAction?: { url: string } };
    const page = await fetch(nextAction?.url ?? '');
    expect(await page.text()).toContain('Is this you?');
    const done = await fetch(nextAction?.url ?? '', { method: 'POST', body: new URLSearchParams({ decision }) });
    expect(await done.text()).toContain(`The payment is ${status}.`);
    const again = new URLSearchParams({ decision: decision === 'complete' ? 'decline' : 'complete' });
    await fetch(nextAction?.url ?? '', { method: 'POST', body: again });
    expect(await client.find('p1')).toMatchObject({ status, nextAction: null });
  });

  test('fails the first refund of tok_refund_fails, and makes a later one', async () => {
    const { client } = await start();
    const { body } = await client.create('p1', 'tok_refund_fails');
    await client.capture(body.id);
    for (const reference of ['r1', 'r1', 'r2']) await client.refund(body.id, reference, 400);
    expect((await client.find('p1')).refunds.map(({ reference, status }) => [reference, status])).toEqual([
      ['r1', 'failed'],
      ['r2', 'succeeded'],
    ]);
  });

  test('pays back no more than it took, and captures what is authorised alone', async () => {
    const { client } = await start();
    const { body } = await client.create('p1', 'tok_ok');
    expect((await client.refund(body.id, 'r1', 1)).body.error?.code).toBe('invalid_state');
    await client.capture(body.id);
    await client.refund(body.id, 'r2', 800);
    expect((await client.refund(body.id, 'r3', 201)).body.error?.code).toBe('amount_too_large');
    const twice = await client.capture(body.id, 'another-key');
    expect(twice).toMatchObject({ status: 409, body: { payment: { status: 'captured', refundedMinor: 800 } } });
  });

  test.each<[string, number, Parameters<SimulatorClient['send']>]>([
    ['no key', 401, ['GET', '/v1/ledger', { apiKey: '' }]],
    ['another key', 401, ['GET', '/v1/ledger', { apiKey: 'sk_of_another' }]],
    ['no idempotency key', 400, ['POST', '/v1/payments', { body: payment({}) }]],
    ['an amount of nothing', 400, ['POST', '/v1/payments', { key: 'k', body: payment({ amountMinor: 0 }) }]],
    ['half an amount', 400, ['POST', '/v1/payments', { key: 'k', body: payment({ amountMinor: 0.5 }) }]],
    ['no currency', 400, ['POST', '/v1/payments', { key: 'k', body: payment({ currency: 'pounds' }) }]],
    ['no such payment', 404, ['POST', '/v1/payments/pay_x/capture', { key: 'k', body: {} }]],
    ['no such path', 404, ['GET', '/v1/nothing', {}]],
  ])('refuses %s', async (_, status, parameters) => {
    const { client } = await start();
    const answer = await client.send(...parameters);
    expect(answer.status).toBe(status);
    expect(answer.body.error?.code).toEqual(expect.any(String));
  });
});

describe('An idempotency key', () => {
  test('gives the same answer again, and nothing is done twice', async () => {
    const { client } = await start();
    const first = await client.create('p1', 'tok_ok');
    await client.capture(first.body.id);
    const again = await client.create('p1', 'tok_ok');
    expect(again.body).toEqual(first.body);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    const found = await client.send('GET', '/v1/payments?idempotency_key=p1:authorise');
    expect(found.body.payments).toEqual([expect.objectContaining({ reference: 'p1', status: 'captured' })]);
  });

  test('is refused with another body, and the ledger tells', async () => {
    const { client } = await start();
    await client.create('p1', 'tok_ok');
    const other = await client.create('p1', 'tok_ok', { amountMinor: 2_000 });
    expect(other).toMatchObject({ status: 409, body: { error: { code: 'idempotency_conflict' } } });
    expect((await client.ledger()).calls).toEqual([expect.objectContaining({ seen: 2, bodies: 2 })]);
  });

  test('does it once, however many come at once', async () => {
    const { client } = await start();
    await client.send('POST', '/v1/faults', { body: { rate: 0.5, kinds: ['slow'], seed: 7, slowMs: 20 } });
    const answers = await Promise.all(Array.from({ length: 20 }, () => client.create('p1', 'tok_ok')));
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    expect((await client.ledger()).payments).toHaveLength(1);
  });
});

describe('The ledger', () => {
  test('is there after a restart, with the answers that were given', async () => {
    const ledgerFile = join(temporaryFolder(cleanup), 'ledger.jsonl');
    const before = await start({ ledgerFile });
    const created = await before.client.create('p1', 'tok_ok');
    await before.client.capture(created.body.id);
    const report = await before.client.ledger();
    await before.stop();
    // A line that the process could not write to its end.
    appendFileSync(ledgerFile, '[{"kind":"payment","payment":{"id":"pay_to');

    const { client, stop } = await start({ ledgerFile });
    expect(await client.ledger()).toEqual(report);
    expect((await client.create('p1', 'tok_ok')).body).toEqual(created.body);
    await client.create('p2', 'tok_ok');
    await stop();
    expect((await (await start({ ledgerFile })).client.ledger()).payments).toHaveLength(2);
  });

  test('belongs to one process at a time', async () => {
    const ledgerFile = join(temporaryFolder(cleanup), 'ledger.jsonl');
    await start({ ledgerFile });
    await expect(start({ ledgerFile })).rejects.toThrow('is in use');
  });

  test('holds no token', async () => {
    const ledgerFile = join(temporaryFolder(cleanup), 'ledger.jsonl');
    const { client } = await start({ ledgerFile });
    for (const token of ['tok_ok_secret1', 'tok_decline', 'secret2']) await client.create(token.slice(-1), token);
    expect(readFileSync(ledgerFile, 'utf8')).not.toMatch(/tok_|secret/);
  });
});

describe('A fault mode', () => {
  /** What becomes of payments that are tried until they are made. */
  async function run(seed: number) {
    const { client } = await start();
    const kinds = ['error_before', 'error_after', 'slow'];
    await client.send('POST', '/v1/faults', { body: { rate: 0.6, kinds, seed, slowMs: 1 } });
    const statuses: number[] = [];
    for (let payment = 0; payment < 12; payment += 1) {
      do statuses.push((await client.create(`p${payment}`, 'tok_ok')).status);
      while (statuses.at(-1) !== 201);
    }
    return { statuses, ledger: await client.ledger() };
  }

  test('lets calls fail, the same ones again for the same seed', async () => {
    const [once, again, other] = [await run(3), await run(3), await run(4)];
    expect(once.statuses).toEqual(again.statuses);
    expect(once.statuses).not.toEqual(other.statuses);
    expect(new Set(once.statuses)).toEqual(new Set([201, 500]));
    // However often it was tried, each was made once.
    expect(once.ledger.payments).toHaveLength(12);
    expect(once.ledger.calls.every(({ bodies }) => bodies === 1)).toBe(true);
    expect(once.ledger.calls.reduce((sum, { seen }) => sum + seen, 0)).toBe(once.statuses.length);
  });

  test.each([
    ['error_before', 0],
    ['error_after', 1],
  ])('does nothing, or everything, before it fails: %s', async (kind, made) => {
    const { client } = await start();
    await client.send('POST', '/v1/faults', { body: { rate: 1, kinds: [kind] } });
    expect((await client.create('p1', 'tok_ok')).status).toBe(500);
    expect((await client.ledger()).payments).toHaveLength(made);
  });

  test('leaves calls without an answer, and gives it when they come again', async () => {
    const { client } = await start();
    await client.send('POST', '/v1/faults', { body: { rate: 1, kinds: ['hang_after'] } });
    const leaving = new AbortController();
    const unanswered = client.create('p1', 'tok_ok', { signal: leaving.signal });
    await eventually(async () => expect((await client.ledger()).payments).toHaveLength(1));
    leaving.abort();
    await expect(unanswered).rejects.toThrow();
    await client.send('POST', '/v1/faults', { body: { rate: 0 } });
    expect((await client.create('p1', 'tok_ok')).status).toBe(201);
    expect((await client.ledger()).payments).toHaveLength(1);
  });

  test('refuses a plan that is none', async () => {
    const { client } = await start();
    expect((await client.send('POST', '/v1/faults', { body: { rate: 2 } })).status).toBe(400);
  });
});

function payment(given: object) {
  return { reference: 'p1', amountMinor: 1, currency: 'GBP', token: 'tok_ok', ...given };
}
