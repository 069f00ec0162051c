import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import { carrierShipment } from '../../src/contexts/shipping/carrier-state.ts';
import { createSimulatedCarrier } from '../../src/contexts/shipping/carriers/simulated.ts';
import { OutsideParty } from '../../src/platform/outside-party.ts';
import { signWebhook } from '../../src/platform/webhook-signature.ts';
import {
  API_KEY,
  Cleanup,
  eventually,
  receiveWebhooks,
  SimulatorClient,
  startCarrier,
  WEBHOOK_SECRET,
} from '../support/simulators.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const address = { name: 'Ada Lovelace', street: '12 St James', city: 'London', postalCode: 'SW1', country: 'GB' };

async function open(options: Parameters<typeof startCarrier>[1] = {}) {
  const shop = await receiveWebhooks(cleanup);
  const { url } = await startCarrier(cleanup, { webhookUrl: shop.url, ...options });
  const party = new OutsideParty({ name: 'carrier', timeoutMs: 10_000, failuresToOpen: 2, openForMs: 500 });
  const carrier = createSimulatedCarrier({ url, apiKey: API_KEY, webhookSecret: WEBHOOK_SECRET, party });
  const shipmentId = randomUUID();
  const register = () => carrier.register({ shipmentId, orderId: randomUUID(), address });
  return { shop, client: new SimulatorClient(url), party, carrier, shipmentId, register };
}

describe('The simulated carrier, as the shop sees it', () => {
  test('takes a shipment, once, and finds it again', async () => {
    const { carrier, shipmentId } = await open();
    expect(await carrier.find(shipmentId)).toBeUndefined();
    const orderId = randomUUID();
    const taken = await carrier.register({ shipmentId, orderId, address });
    expect(carrierShipment.parse(taken)).toMatchObject({ shipmentId, carrier: 'Simulated Parcel', status: 'prepared' });
    expect(await carrier.register({ shipmentId, orderId, address })).toEqual(taken);
    expect(await carrier.find(shipmentId)).toEqual(taken);
  });

  test('calls a shipment off, or shows that it is on its way', async () => {
    const { carrier, shipmentId, register, client } = await open();
    expect(await carrier.cancel({ shipmentId })).toBeUndefined();
    await register();
    for (const _ of [1, 2]) expect(await carrier.cancel({ shipmentId })).toMatchObject({ status: 'cancelled' });

    const other = await open();
    await other.register();
    const { shipments } = (await other.client.send('GET', '/v1/ledger')).body as { shipments?: { id: string }[] };
    await other.client.send('POST', `/v1/shipments/${shipments?.[0]?.id}/advance`);
    expect(await other.carrier.cancel({ shipmentId: other.shipmentId })).toMatchObject({ status: 'in_transit' });
    expect((await client.ledger()).calls.map(({ key }) => key)).toEqual([
      `${shipmentId}:register`,
      `${shipmentId}:cancel`,
    ]);
  });

  test('tells of each step by webhooks, which are believed only if they are signed', async () => {
    const { carrier, shipmentId, register, shop } = await open({ pace: { preparedMs: 5, inTransitMs: 5 } });
    await register();
    const heard = () => shop.received.flatMap((it) => carrier.readWebhook(it.headers, it.raw) ?? []);
    await eventually(() => expect(heard()).toHaveLength(3));
    expect(new Set(heard().map(({ shipment }) => shipment.status))).toEqual(
      new Set(['prepared', 'in_transit', 'delivered']),
    );
    for (const { shipment } of heard()) expect(shipment.shipmentId).toBe(shipmentId);
    const nonsense = Buffer.from('[]');
    for (const headers of [{}, { 'simulator-signature': signWebhook(WEBHOOK_SECRET, nonsense, new Date()) }]) {
      expect(() => carrier.readWebhook(headers, nonsense)).toThrow(expect.objectContaining({ name: 'WebhookRefused' }));
    }
  });

  test('is left alone while it is down; no address is in what is said of it', async () => {
    const { carrier, client, party, register } = await open();
    await client.send('POST', '/v1/faults', { body: { rate: 1, kinds: ['error_before'] } });
    for (const _ of [1, 2]) await expect(register()).rejects.toMatchObject({ name: 'OutsidePartyFailed' });
    await expect(register()).rejects.toMatchObject({ name: 'OutsidePartyUnavailable' });
    expect(JSON.stringify(party.state())).not.toContain('Ada');
    await client.send('POST', '/v1/faults', { body: { rate: 0 } });
    await eventually(async () => expect(await register()).toMatchObject({ status: 'prepared' }));
    const unknown = carrier.register({ shipmentId: 's', orderId: 'o', address: { ...address, name: '' } });
    await expect(unknown).rejects.toMatchObject({ name: 'OutsidePartyRefused', code: 'invalid_request' });
  });
});
