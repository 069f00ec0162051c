import { readFileSync } from 'node:fs';
import { parse } from 'csv-parse/sync';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { simulatorSecrets } from '../../src/simulators/start.ts';
import { csvFile, faultBody, replay, replayJson, standBetween } from '../support/replaying.ts';
import { type ServerProcess, startServerProcess } from '../support/servers.ts';
import { Cleanup, SimulatorClient, startCarrier, startPayments } from '../support/simulators.ts';
import { describeEachStore, embeddedStores, type StoreKind } from '../support/stores.ts';

const SAMPLE = new URL('../../seed/online-retail-1000.csv', import.meta.url);
const CATALOG = new URL('../../seed/demo-catalog.csv', import.meta.url);
const HEADER = 'InvoiceNo,StockCode,Description,Quantity,CustomerID';
const SECRETS = simulatorSecrets('simulated');

/** The first invoices of the sample, and its one of a guest; and what they must come to, from the files alone. */
const part = (() => {
  const rows = (file: URL) =>
    z.array(z.record(z.string(), z.string())).parse(parse(readFileSync(file), { columns: true }));
  const prices = new Map(rows(CATALOG).map(({ sku = '', price_minor }) => [sku, Number(price_minor)]));
  const sample = rows(SAMPLE);
  const lines = sample.filter((it, index) => index < 30 || it['CustomerID'] === '');
  const sold = lines.filter(({ StockCode = '' }) => prices.has(StockCode));
  return {
    csv: lines.map((it) => ['InvoiceNo', 'StockCode', '', 'Quantity', 'CustomerID'].map((name) => it[name]).join(',')),
    orders: new Set(sold.map((it) => it['InvoiceNo'])).size,
    guests: new Set(sold.filter((it) => it['CustomerID'] === '').map((it) => `guest-${it['InvoiceNo']}@example.com`)),
    customers: new Set(
      sold.filter((it) => it['CustomerID'] !== '').map((it) => `customer-${it['CustomerID']}@example.com`),
    ),
    totalMinor: sold.reduce((sum, it) => sum + Number(it['Quantity']) * (prices.get(it['StockCode'] ?? '') ?? 0), 0),
  };
})();

/** A server with the demo catalog, a payment provider and a carrier. */
async function openShop(
  cleanup: Cleanup,
  kind: StoreKind,
): Promise<{ server: ServerProcess; provider: SimulatorClient }> {
  const store = await kind.create();
  cleanup.add(store.remove);
  const payments = await startPayments(cleanup, SECRETS);
  const carrier = await startCarrier(cleanup, SECRETS);
  const server = await startServerProcess(store, [], { PAYMENT_PROVIDER_URL: payments.url, CARRIER_URL: carrier.url });
  cleanup.add(server.stop);
  return { server, provider: new SimulatorClient(payments.url, SECRETS.apiKey) };
}

describeEachStore('cartstream replay --checkout', (kind) => {
  const cleanup = new Cleanup();
  let server: ServerProcess;
  let provider: SimulatorClient;

  beforeAll(async () => {
    ({ server, provider } = await openShop(cleanup, kind));
  });
  afterAll(() => cleanup.run());

  it('makes paid orders of the invoices, which add up with the provider to the penny', async () => {
    const before = await captured(provider);
    const file = csvFile(part.csv, HEADER);
    const { code, report } = await replayJson(file, '--url', server.url, '--checkout');
    expect(code).toBe(0);
    const { orders, totalMinor: sum } = part;
    expect(report.checkout).toMatchObject({
      carts: { paid: orders, empty: 0, inDoubt: 0, refused: 0, unpaid: 0, failed: 0, notSent: 0 },
      orders: { placed: orders },
      totals: [{ currency: 'GBP', orders: sum, lines: sum, payments: sum }],
      check: { orders, addsUp: true, mismatches: [] },
    });
    expect(report).toMatchObject({ ok: true, carts: orders, faults: {}, unexpectedRejections: [] });
    for (const { p50, p90, p99, max } of [report.checkout?.checkOutMs, report.checkout?.paymentMs].map(present)) {
      expect([p50, p90, p99, max]).toEqual([p50, p90, p99, max].toSorted((a, b) => a - b));
      expect(p50).toBeGreaterThan(0);
    }
    expect((await captured(provider)) - before).toBe(sum);
    expect(await emailsOfOrders(server.url)).toEqual(new Set([...part.customers, ...part.guests]));
  });

  it('orders and pays once, though requests and answers get lost, or are late', async () => {
    const before = { money: await captured(provider), orders: await countOrders(server.url) };
    const seen = new Map<string, number>();
    const url = await standBetween(server.url, async ({ query }, forward) => {
      const [, mutation = ''] = /(checkOutCart|payOrder)/.exec(query) ?? [];
      const turn = (seen.get(mutation) ?? 0) + 1;
      seen.set(mutation, turn);
      if (mutation === '') return forward();
      if (turn % 5 === 1) return 'lost';
      const answer = await forward();
      if (turn % 5 === 2) return 'lost';
      if (turn % 5 === 3) return { status: 200, body: `{"data":{"${mutation}":{"__typename":"CommandAccepted"}}}` };
      if (turn % 5 === 4) return { status: 200, body: faultBody('UNAVAILABLE') };
      return answer;
    });
    const file = csvFile(['1,71053,a,2,17850', '2,85123A,b,1,'], HEADER);
    const { code, report } = await replayJson(file, '--url', url, '--parallel', '1', '--checkout');
    expect(code).toBe(0);
    expect(report.checkout).toMatchObject({ carts: { paid: 2 }, orders: { placed: 2 } });
    expect(report.resent).toBe(16);
    expect((await captured(provider)) - before.money).toBe(2 * 339 + 255);
    expect((await countOrders(server.url)) - before.orders).toBe(2);
  });
});

/** What it makes of answers is the same on every engine: it speaks to the API alone. */
describe('cartstream replay --checkout', () => {
  const cleanup = new Cleanup();
  let server: ServerProcess;

  beforeAll(async () => {
    ({ server } = await openShop(cleanup, embeddedStores));
  });
  afterAll(() => cleanup.run());

  it('prints a summary for people', async () => {
    const file = csvFile(['1,71053,a,2,17850', '2,85123A,b,1,'], HEADER);
    const { code, stdout, stderr } = await replay(file, '--url', server.url, '--checkout');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const latencies = String.raw`p50 [\d.]+ ms, p90 [\d.]+ ms, p99 [\d.]+ ms, max [\d.]+ ms`;
    expect(stdout).toMatch(/^Checked out +2 paid$/m);
    expect(stdout).toMatch(/^Orders +2 placed in [\d.]+ s: [\d.]+ paid per second$/m);
    expect(stdout).toMatch(new RegExp(`^Check-outs +${latencies}$`, 'm'));
    expect(stdout).toMatch(new RegExp(`^Payments +${latencies}$`, 'm'));
    expect(stdout).toMatch(/^Sums +GBP 9\.33 ordered, GBP 9\.33 in their lines, GBP 9\.33 paid$/m);
    expect(stdout).toMatch(/^Audited +2 orders: each is the sum of its lines, and that was paid$/m);
  });

  describe('that does not go as it must', () => {
    it('tells of stock that is short, and leaves that cart as it is', async () => {
      await addProduct(server.url, { sku: 'SCARCE', amountMinor: 100, stock: 10 });
      const file = csvFile(['1,SCARCE,a,6,17850', '2,SCARCE,b,6,13047'], HEADER);
      const { code, report } = await replayJson(file, '--url', server.url, '--checkout');
      expect(code).toBe(1);
      expect(report).toMatchObject({
        ok: false,
        carts: 2,
        rejections: { INSUFFICIENT_STOCK: 1 },
        checkout: {
          carts: { paid: 1, refused: 1 },
          orders: { placed: 1 },
          totals: [{ orders: 600, lines: 600, payments: 600 }],
        },
      });
      const [unexpected] = report.unexpectedRejections;
      expect(unexpected).toMatchObject({ code: 'INSUFFICIENT_STOCK', count: 1 });
      const [, cartId] = /^the cart (\S+) of invoice \d: /.exec(unexpected?.example ?? '') ?? [];
      expect(await ask(server.url, 'query ($id: ID!) { cart(id: $id) { status itemCount } }', { id: cartId })).toEqual({
        cart: { status: 'OPEN', itemCount: 6 },
      });
    });

    it('tells of payments that are declined', async () => {
      const url = await standBetween(server.url, (_request, forward, sent) =>
        forward(sent.replace('"tok_ok"', '"tok_decline"')),
      );
      const { code, report } = await replayJson(csvFile(['1,71053,a,2,17850'], HEADER), '--url', url, '--checkout');
      expect(code).toBe(1);
      expect(report).toMatchObject({
        rejections: { PAYMENT_DECLINED: 1 },
        checkout: { carts: { paid: 0, unpaid: 1 }, orders: { placed: 1 }, totals: [], check: { orders: 0 } },
      });
    });

    it('tells of orders that do not add up, or were not paid in full', async () => {
      const url = await standBetween(server.url, async ({ query }, forward) => {
        const { status, body } = await forward();
        if (!query.includes('query Order')) return { status, body };
        return { status, body: body.replace('"amountMinor":933', '"amountMinor":934').replace('"71053"', '"71054"') };
      });
      const file = csvFile(['1,71053,a,2,17850', '1,85123A,b,1,17850'], HEADER);
      const { code, report } = await replayJson(file, '--url', url, '--checkout');
      expect(code).toBe(1);
      expect(report.check.mismatches).toEqual([]);
      expect(report.checkout?.check.addsUp).toBe(false);
      expect(report.checkout?.check.mismatches.map(({ problem }) => problem)).toEqual([
        'its total is 934, but its lines add up to 933',
        'its total is 934, but 933 was paid for it',
        'it is for "2 x 71054, 1 x 85123A", but its cart held "2 x 71053, 1 x 85123A"',
      ]);
    });

    it('leaves carts that hold nothing, or nobody knows what, and goes on after a fault', async () => {
      const url = await standBetween(server.url, async ({ query, variables }, forward, sent) => {
        const isBroken = variables.input?.quantity === 7 || (query.includes('checkOutCart') && sent.includes('13047'));
        const answer = await forward();
        return isBroken ? { status: 200, body: faultBody('INTERNAL_SERVER_ERROR') } : answer;
      });
      const file = csvFile(['1,NOPE,a,1,17850', '2,71053,b,7,17850', '3,71053,c,1,13047', '4,71053,d,1,17850'], HEADER);
      const { code, report } = await replayJson(file, '--url', url, '--checkout');
      expect(code).toBe(1);
      expect(report).toMatchObject({
        carts: 4,
        faults: { INTERNAL_SERVER_ERROR: 2 },
        givenUp: false,
        checkout: { carts: { paid: 1, empty: 1, inDoubt: 1, failed: 1, notSent: 0 }, orders: { placed: 1 } },
      });
    });

    it('gives up where nothing is answered any more', async () => {
      const url = await standBetween(server.url, async ({ query }, forward) =>
        query.includes('checkOutCart') ? { status: 400, body: faultBody('GRAPHQL_VALIDATION_FAILED') } : forward(),
      );
      const file = csvFile(
        Array.from({ length: 6 }, (_, invoice) => `${invoice},71053,a,1,17850`),
        HEADER,
      );
      const { code, report } = await replayJson(file, '--url', url, '--checkout', '--parallel', '1');
      expect(code).toBe(1);
      expect(report).toMatchObject({ givenUp: true, checkout: { carts: { failed: 3, notSent: 3 } } });
    });
  });

  it('takes what costs nothing for paid', async () => {
    await addProduct(server.url, { sku: 'GIFT', amountMinor: 0, stock: 10 });
    const { code, report } = await replayJson(csvFile(['1,GIFT,a,1,'], HEADER), '--url', server.url, '--checkout');
    expect(code).toBe(0);
    expect(report.checkout).toMatchObject({
      carts: { paid: 1 },
      totals: [{ orders: 0, lines: 0, payments: 0 }],
      paymentMs: { max: 0 },
    });
  });
});

function present<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error('It is not there.');
  return value;
}

/** What the payment provider has taken, in all. */
async function captured(provider: SimulatorClient): Promise<number> {
  const { payments } = await provider.ledger();
  return payments.reduce((sum, it) => sum + it.capturedMinor - it.refundedMinor, 0);
}

async function addProduct(
  url: string,
  { sku, amountMinor, stock }: { sku: string; amountMinor: number; stock: number },
): Promise<void> {
  const input = { sku, name: sku, price: { amountMinor, currency: 'GBP' }, stock };
  const added = await ask(url, 'mutation ($input: AddProductInput!) { addProduct(input: $input) { __typename } }', {
    input,
  });
  expect(added).toEqual({ addProduct: { __typename: 'ProductPayload' } });
}

async function countOrders(url: string): Promise<number> {
  const counted = z.object({ orders: z.object({ totalCount: z.number() }) });
  return counted.parse(await ask(url, '{ orders(first: 1) { totalCount } }')).orders.totalCount;
}

async function emailsOfOrders(url: string): Promise<Set<string>> {
  const shown = z.object({ orders: z.object({ nodes: z.array(z.object({ email: z.string() })) }) });
  const { orders } = shown.parse(await ask(url, '{ orders(first: 100) { nodes { email } } }'));
  return new Set(orders.nodes.map(({ email }) => email));
}

async function ask(url: string, query: string, variables: object = {}): Promise<unknown> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
  const { data } = z.object({ data: z.unknown() }).parse(await response.json());
  return data;
}
