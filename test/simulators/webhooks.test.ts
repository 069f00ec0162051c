import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { checkWebhookSignature } from '../../src/platform/webhook-signature.ts';
import {
  Cleanup,
  eventually,
  receiveWebhooks,
  SimulatorClient,
  startPayments,
  temporaryFolder,
  WEBHOOK_SECRET,
} from '../support/simulators.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

async function start(options: Parameters<typeof startPayments>[1] = {}) {
  const { url, stop } = await startPayments(cleanup, options);
  const client = new SimulatorClient(url);
  const register = (webhooks: string, shape = 'plain') =>
    client.send('POST', '/v1/webhook_endpoints', { body: { url: webhooks, shape } });
  return { stop, client, register };
}

describe('Webhooks', () => {
  test('tell each step, signed', async () => {
    const shop = await receiveWebhooks(cleanup);
    const { client } = await start({ webhookUrl: shop.url });
    const { body } = await client.create('p1', 'tok_ok');
    await eventually(() => expect(shop.types()).toEqual(['payment.authorised']));
    await client.capture(body.id);
    await eventually(() => expect(shop.types()).toHaveLength(2));
    await client.refund(body.id, 'r1', 1);
    await eventually(() => expect(shop.types()).toHaveLength(4));
    expect(shop.types().slice(1, 2)).toEqual(['payment.captured']);
    expect(shop.types().slice(2).sort()).toEqual(['payment.refunded', 'refund.succeeded']);
    for (const { headers, raw } of shop.received) {
      const header = headers['simulator-signature'];
      expect(() => checkWebhookSignature(WEBHOOK_SECRET, header, raw, new Date())).not.toThrow();
    }
  });

  test('come again until they are taken, each time with the same event', async () => {
    const shop = await receiveWebhooks(cleanup);
    const { client } = await start({ webhookUrl: shop.url });
    shop.answer(500);
    await client.create('p1', 'tok_ok');
    await eventually(() => expect(shop.received.length).toBeGreaterThanOrEqual(3));
    expect((await client.ledger()).unsentWebhooks).toBe(1);
    shop.answer(204);
    await eventually(async () => expect((await client.ledger()).unsentWebhooks).toBe(0));
    expect(new Set(shop.received.map(({ body }) => body.id)).size).toBe(1);
  });

  test('that one shop refuses do not hold up the others', async () => {
    const [wellShop, illShop] = [await receiveWebhooks(cleanup), await receiveWebhooks(cleanup)];
    const { client, register } = await start();
    illShop.answer(400);
    for (const { url } of [wellShop, illShop, wellShop]) await register(url);
    for (const reference of ['p1', 'p2', 'p3']) await client.create(reference, 'tok_ok');
    await eventually(() => expect(wellShop.received).toHaveLength(3));
    expect((await client.ledger()).unsentWebhooks).toBe(3);
  });

  test('wait on disk for a shop that is away, while the provider is started anew', async () => {
    const ledgerFile = join(temporaryFolder(cleanup), 'ledger.jsonl');
    const shop = await receiveWebhooks(cleanup);
    const before = await start({ ledgerFile, webhookUrl: shop.url });
    await shop.stop();
    for (const reference of ['p1', 'p2', 'p3']) await before.client.create(reference, 'tok_ok');
    await before.stop();
    const { client } = await start({ ledgerFile });
    expect((await client.ledger()).unsentWebhooks).toBe(3);
    const again = await receiveWebhooks(cleanup, Number(new URL(shop.url).port));
    await eventually(() => expect(again.received).toHaveLength(3));
    await eventually(async () => expect((await client.ledger()).unsentWebhooks).toBe(0));
  });

  test('go at once to a shop that says that it is back', async () => {
    const shop = await receiveWebhooks(cleanup);
    const hour = 3_600_000;
    const { client, register } = await start({ webhookPausesMs: { first: hour, longest: hour } });
    await register(shop.url);
    await shop.stop();
    await client.create('p1', 'tok_ok');
    await client.create('p2', 'tok_ok');
    await eventually(async () => expect((await client.ledger()).unsentWebhooks).toBe(2));
    const again = await receiveWebhooks(cleanup, Number(new URL(shop.url).port));
    await eventually(async () => {
      await register(shop.url);
      expect(again.received).toHaveLength(2);
    });
  });

  test('are given up where nobody takes any for long, until they register again', async () => {
    const ledgerFile = join(temporaryFolder(cleanup), 'ledger.jsonl');
    const [shop, other] = [await receiveWebhooks(cleanup), await receiveWebhooks(cleanup)];
    const patient = await start({ ledgerFile, webhookUrl: shop.url });
    await patient.register(other.url);
    await shop.stop();
    await patient.client.create('p1', 'tok_ok');
    await eventually(() => expect(readFileSync(ledgerFile, 'utf8')).toContain('"away"'));
    await patient.stop();
    // How long they are away is known to the next process, too.
    const hurried = { first: 1, longest: 5, giveUp: 1 };
    const { client, register } = await start({ ledgerFile, webhookPausesMs: hurried });
    await eventually(async () => expect((await client.ledger()).unsentWebhooks).toBe(0));
    const again = await receiveWebhooks(cleanup, Number(new URL(shop.url).port));
    await client.create('p2', 'tok_ok');
    await eventually(() => expect(other.received).toHaveLength(2));
    expect(again.received).toEqual([]);
    await register(again.url);
    await client.create('p3', 'tok_ok');
    await eventually(() => expect(again.received).toHaveLength(1));
  });

  test('that somebody else answers for with 404 are given up, too; one that is refused for long, it alone', async () => {
    const [stranger, refusing] = [await receiveWebhooks(cleanup), await receiveWebhooks(cleanup)];
    stranger.answer(404);
    refusing.answer(400);
    const { client, register } = await start({ webhookPausesMs: { first: 1, longest: 5, giveUp: 50 } });
    for (const { url } of [stranger, refusing]) await register(url);
    await client.create('p1', 'tok_ok');
    await eventually(async () => expect((await client.ledger()).unsentWebhooks).toBe(0));
    expect(stranger.received.length).toBeGreaterThanOrEqual(10);
    const before = [stranger, refusing].map(({ received }) => received.length);
    refusing.answer(204);
    await client.create('p2', 'tok_ok');
    await eventually(() => expect(refusing.received).toHaveLength((before[1] ?? 0) + 1));
    expect(stranger.received).toHaveLength(before[0] ?? 0);
  });

  test('wait for who comes back in time, however often they were away', async () => {
    const shop = await receiveWebhooks(cleanup);
    const { client } = await start({
      webhookUrl: shop.url,
      webhookPausesMs: { first: 1, longest: 5, giveUp: 3_600_000 },
    });
    await shop.stop();
    await client.create('p1', 'tok_ok');
    const again = await receiveWebhooks(cleanup, Number(new URL(shop.url).port));
    await eventually(() => expect(again.received).toHaveLength(1));
    expect((await client.ledger()).unsentWebhooks).toBe(0);
  });

  test('of tok_silent never come, those of tok_twice come twice, as two events', async () => {
    const shop = await receiveWebhooks(cleanup);
    const { client } = await start({ webhookUrl: shop.url });
    await client.create('p1', 'tok_silent');
    await client.create('p2', 'tok_twice');
    await eventually(() => expect(shop.types()).toEqual(['payment.authorised', 'payment.authorised']));
    expect(new Set(shop.received.map(({ body }) => body.id)).size).toBe(2);
    expect((await client.ledger()).unsentWebhooks).toBe(0);
  });

  test('of tok_disorder come late, out of order and repeated', async () => {
    const shop = await receiveWebhooks(cleanup);
    const { client } = await start({ webhookUrl: shop.url });
    const { body } = await client.create('p1', 'tok_disorder');
    await client.capture(body.id);
    await eventually(() => expect(shop.received).toHaveLength(4));
    const [captured, authorised] = ['payment.captured', 'payment.authorised'];
    expect(shop.types()).toEqual([captured, captured, authorised, authorised]);
    expect(new Set(shop.received.map((it) => it.body.id)).size).toBe(2);
  });

  test('go to no address that is none', async () => {
    const { register } = await start();
    for (const url of ['shop', 'file:///etc/hosts', '']) expect((await register(url)).status).toBe(400);
    expect((await register('http://127.0.0.1:1/webhooks', 'round')).status).toBe(400);
  });
});
