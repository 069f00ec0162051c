import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import {
  Cleanup,
  eventually,
  receiveWebhooks,
  SimulatorClient,
  startCarrier,
  temporaryFolder,
} from '../support/simulators.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const ADDRESS = { name: 'Ada Lovelace', street: '12 St James', city: 'London', postalCode: 'SW1', country: 'GB' };

async function start(options: Parameters<typeof startCarrier>[1] = {}) {
  const { url, stop } = await startCarrier(cleanup, options);
  const client = new SimulatorClient(url);
  const register = (reference: string, key = `${reference}:register`) =>
    client.send('POST', '/v1/shipments', { key, body: { reference, address: ADDRESS } });
  const found = async (reference: string) =>
    (await client.send('GET', `/v1/shipments?reference=${reference}`)).body['shipments'];
  return { stop, client, register, found };
}

describe('The simulated carrier', () => {
  test('moves shipments on by itself, and tells of each step', async () => {
    const shop = await receiveWebhooks(cleanup);
    const { register, found } = await start({ pace: { preparedMs: 5, inTransitMs: 5 }, webhookUrl: shop.url });
    expect((await register('s1')).body).toMatchObject({
      reference: 's1',
      trackingCode: expect.stringMatching(/^CS\w{12}$/),
    });
    await eventually(() => expect(shop.types()).toHaveLength(3));
    expect(shop.types().sort()).toEqual(['shipment.delivered', 'shipment.in_transit', 'shipment.prepared']);
    expect(await found('s1')).toEqual([expect.objectContaining({ status: 'delivered' })]);
  });

  test('goes on after a restart where it was', async () => {
    const ledgerFile = join(temporaryFolder(cleanup), 'ledger.jsonl');
    const before = await start({ ledgerFile, pace: { preparedMs: 20, inTransitMs: 20 } });
    const { body } = await before.register('s1');
    await before.stop();
    const { register, found } = await start({ ledgerFile, pace: { preparedMs: 20, inTransitMs: 20 } });
    await eventually(async () => expect(await found('s1')).toEqual([expect.objectContaining({ status: 'delivered' })]));
    expect((await register('s1')).body).toEqual(body);
  });

  test('registers the same goods once, with the same key or another', async () => {
    const { register, found, client } = await start();
    const answers = [await register('s1'), await register('s1'), await register('s1', 'another')];
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    expect(await found('s1')).toHaveLength(1);
    expect(await found('s2')).toEqual([]);
    expect((await client.ledger()).calls.map(({ key, seen }) => [key, seen])).toEqual([
      ['s1:register', 2],
      ['another', 1],
    ]);
  });

  test('stays where it is told to, and can be moved', async () => {
    const { register, client } = await start();
    const { body } = await register('s1');
    const move = () => client.send('POST', `/v1/shipments/${body.id}/advance`);
    expect((await move()).body.status).toBe('in_transit');
    expect((await client.send('POST', `/v1/shipments/${body.id}/cancel`, { key: 'c' })).status).toBe(409);
    expect((await move()).body.status).toBe('delivered');
    expect((await move()).status).toBe(409);
  });

  test('cancels what it has not fetched', async () => {
    const { register, client } = await start();
    const { body } = await register('s1');
    for (const _ of [1, 2]) {
      const { body: cancelled } = await client.send('POST', `/v1/shipments/${body.id}/cancel`, { key: 'c' });
      expect(cancelled.status).toBe('cancelled');
    }
  });

  test('keeps no address', async () => {
    const ledgerFile = join(temporaryFolder(cleanup), 'ledger.jsonl');
    const { register, client } = await start({ ledgerFile });
    await register('s1');
    const bad = { reference: 's2', address: { ...ADDRESS, city: '' } };
    const refused = await client.send('POST', '/v1/shipments', { key: 'k', body: bad });
    expect(refused).toMatchObject({
      status: 400,
      body: { error: { message: expect.stringContaining('address.city') } },
    });
    expect(readFileSync(ledgerFile, 'utf8')).not.toMatch(/Ada|James|London|SW1/);
  });
});
