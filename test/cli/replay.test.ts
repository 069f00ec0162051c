import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parse } from 'csv-parse/sync';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { ReplayReport } from '../../src/cli/replay/report.ts';
import { csvFile, faultBody, replay, replayJson, standBetween } from '../support/replaying.ts';
import { type ServerProcess, startServerProcess } from '../support/servers.ts';
import { describeEachStore, embeddedStores, type TestStore } from '../support/stores.ts';

const SAMPLE = fileURLToPath(new URL('../../seed/online-retail-1000.csv', import.meta.url));
const CATALOG = fileURLToPath(new URL('../../seed/demo-catalog.csv', import.meta.url));

type CsvLine = Readonly<Record<string, string>>;
const rows = (file: string): CsvLine[] =>
  z.array(z.record(z.string(), z.string())).parse(parse(readFileSync(file), { columns: true }));
const prices = new Map(rows(CATALOG).map(({ sku = '', price_minor }) => [sku, Number(price_minor)]));
const sample = rows(SAMPLE);
/** A part of it, with everything that is in the whole. */
const part = sample.filter(
  (it, at) => at < 200 || it['InvoiceNo']?.startsWith('C') || !prices.has(it['StockCode'] ?? ''),
);

/** What lines of the sample must come to, from the files alone. */
const expectedOf = (lines: readonly CsvLine[]) => {
  const quantityOf = ({ Quantity }: CsvLine) => Number(Quantity);
  const sent = lines.filter((it) => !it['InvoiceNo']?.startsWith('C') && quantityOf(it) > 0);
  const sold = sent.filter(({ StockCode = '' }) => prices.has(StockCode));
  return {
    lines: lines.length,
    invoices: new Set(lines.map((it) => it['InvoiceNo'])).size,
    carts: new Set(sent.map((it) => it['InvoiceNo'])).size,
    cancellations: lines.filter((it) => it['InvoiceNo']?.startsWith('C')).length,
    sold: sold.length,
    noProduct: sent.length - sold.length,
    totalMinor: sold.reduce((sum, it) => sum + quantityOf(it) * (prices.get(it['StockCode'] ?? '') ?? 0), 0),
  };
};
type Expected = ReturnType<typeof expectedOf>;
const expected = expectedOf(sample);

describeEachStore('cartstream replay', (kind) => {
  let store: TestStore;
  let server: ServerProcess;

  beforeAll(async () => {
    store = await kind.create();
    server = await startServerProcess(store, []);
  });
  afterAll(async () => {
    await server.stop();
    await store.remove();
  });

  it('accounts for every invoice and line, to the penny', async () => {
    const { code, report } = await replayJson(SAMPLE, '--url', server.url);
    expect(code).toBe(0);
    expectReport(report, expected);
    expect(report).toMatchObject({ ok: true, resent: 0 });
    expect(report.commands.count).toBe(expected.carts + expected.sold + expected.noProduct);
    const { p50, p90, p99, max } = report.latencyMs;
    expect([p50, p90, p99, max]).toEqual([p50, p90, p99, max].toSorted((a, b) => a - b));
    expect(p50).toBeGreaterThan(0);
  });

  it('adds every line once, though requests and answers get lost', async () => {
    let requests = 0;
    const url = await standBetween(server.url, async (_request, forward) => {
      requests += 1;
      if (requests % 29 === 0) return 'lost';
      if (requests % 31 === 0) return { status: 503, body: 'Come back later.' };
      const answer = await forward();
      if (requests % 7 === 0) return 'lost';
      if (requests % 11 === 0) return { status: 200, body: faultBody('UNAVAILABLE') };
      return answer;
    });
    const { code, report } = await replayJson(csvFile(textOf(part)), '--url', url, '--parallel', '32');
    expect(code).toBe(0);
    expectReport(report, expectedOf(part));
    expect(report.resent).toBeGreaterThan(50);
  });
});

/** What it makes of files and of answers is the same on every engine: it speaks to the API alone. */
describe('cartstream replay', () => {
  let store: TestStore;
  let server: ServerProcess;

  beforeAll(async () => {
    store = await embeddedStores.create();
    server = await startServerProcess(store, []);
  });
  afterAll(async () => {
    await server.stop();
    await store.remove();
  });

  it('prints a summary for people, and no progress bar where there is no terminal', async () => {
    const { code, stdout, stderr } = await replay(SAMPLE, '--url', server.url, '--parallel', '256');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^Invoices +66: 62 carts, 4 without a line for a cart$/m);
    expect(stdout).toMatch(/^Lines +999: 987 added, 10 cancellation, 2 no product$/m);
    expect(stdout).toMatch(/^Totals +GBP 25,442\.47$/m);
    expect(stdout).toMatch(/^Latency +p50 [\d.]+ ms, p90 [\d.]+ ms, p99 [\d.]+ ms, max [\d.]+ ms$/m);
    expect(stdout).toMatch(/^Checked +62 carts: all as they were sent/m);
  });

  describe('of lines that cannot be in a cart', () => {
    it('counts them by reason, and goes on', async () => {
      const file = csvFile([
        '1,85123A,"HOLDER, WHITE",2',
        '1,85123A,the same again,3',
        '1,NOPE,unknown,1',
        '1,BANK CHARGES,cannot be a sku,1',
        '1,,without a code,1',
        '1,71053,no number,abc',
        '1,71053,nothing,0',
        '1,71053,negative,-3',
        '1,71053,half a piece,1.5',
        '1,71053,more than there is,99999999999',
        '1,71053',
        ',71053,whose?,1',
        'C2,71053,cancelled,1',
        '3,71053,of another invoice,1',
        '1,71053,12" apart from the others,1',
        '4,71053,"open,1',
        '4,71053,taken with it,1',
      ]);
      const { code, report } = await replayJson(file, '--url', server.url);
      expect(code).toBe(0);
      expect(report).toMatchObject({
        ok: true,
        invoices: { read: 4, empty: 1, failed: 0 },
        carts: 3,
        lines: { read: 17, added: 4, leftOut: { cancellation: 1, quantity: 4, noProduct: 3, malformed: 5 } },
        totals: [{ amountMinor: 5 * 255 + 2 * 339, currency: 'GBP' }],
        rejections: { NOT_FOUND: 1, VALIDATION_FAILED: 1 },
      });
    });

    it('makes no cart of a file without invoices', async () => {
      const { code, report } = await replayJson(csvFile([]), '--url', server.url);
      expect({ code, read: report.invoices.read, carts: report.carts }).toEqual({ code: 0, read: 0, carts: 0 });
    });
  });

  describe('that does not go as it must', () => {
    const FILE = ['1,85123A,first,2', '1,71053,second,1', '1,84406B,third,1', '2,71053,of another,1'];

    it('tells unexpected rejections by code', async () => {
      const { code, report } = await replayJson(csvFile(FILE), '--url', server.url, '--currency', 'EUR');
      expect(code).toBe(1);
      expect(report).toMatchObject({ ok: false, rejections: { CURRENCY_MISMATCH: 4 }, lines: { rejected: 4 } });
      expect(report.unexpectedRejections).toMatchObject([
        { code: 'CURRENCY_MISMATCH', count: 4, example: expect.stringContaining('is sold in GBP') },
      ]);
    });

    it('tells a total that is not the sum of its lines, and lines that are not those that were sent', async () => {
      const url = await standBetween(server.url, async ({ query }, forward) => {
        const { status, body } = await forward();
        if (!query.includes('query')) return { status, body };
        return { status, body: body.replace('"amountMinor":849', '"amountMinor":850').replace('"71053"', '"71054"') };
      });
      const { code, report } = await replayJson(csvFile(['1,85123A,a,2', '1,71053,b,1']), '--url', url);
      expect(code).toBe(1);
      expect(report.check.mismatches.map(({ problem }) => problem)).toEqual([
        'its total is 850, but its lines add up to 849',
        'it holds "2 x 85123A, 1 x 71054", but "2 x 85123A, 1 x 71053" was sent',
      ]);
    });

    it('ends an invoice at a line whose outcome stays unknown, and goes on with the next', async () => {
      const url = await standBetween(server.url, async ({ variables }, forward) => {
        const answer = await forward();
        return variables.input?.quantity === 7 ? { status: 200, body: faultBody('INTERNAL_SERVER_ERROR') } : answer;
      });
      const file = csvFile(['1,85123A,a,2', '1,71053,b,7', '1,84406B,c,1', '2,71053,d,1']);
      const { code, report } = await replayJson(file, '--url', url);
      expect(code).toBe(1);
      expect(report).toMatchObject({
        carts: 2,
        lines: { read: 4, added: 2, inDoubt: 1, unsent: 1 },
        faults: { INTERNAL_SERVER_ERROR: 1 },
        givenUp: false,
        check: { carts: 2, mismatches: [] },
      });
    });

    it('gives up where nothing is answered any more', async () => {
      const url = await standBetween(server.url, async ({ query }, forward) =>
        query.includes('mutation') ? { status: 400, body: faultBody('GRAPHQL_VALIDATION_FAILED') } : forward(),
      );
      const { code, stdout } = await replay(SAMPLE, '--url', url, '--parallel', '4');
      expect(code).toBe(1);
      expect(stdout).toMatch(/^Invoices +\d: \d failed$/m);
      expect(stdout).toContain('Nobody answered any more: the rest of the file was not sent.');
    });
  });

  describe('with something wrong from the start', () => {
    const mistakes: Record<string, { file?: () => string; options?: () => string[]; told: string }> = {
      'a file that is not there': { file: () => 'nowhere.csv', told: 'There is no file nowhere.csv' },
      'a folder': { file: tmpdir, told: 'is a folder' },
      'an empty file': { file: () => csvFile([], ''), told: 'is empty' },
      'another kind of file': {
        file: () => csvFile(['1,2'], 'InvoiceNo,Sku'),
        told: 'but StockCode and Quantity are missing',
      },
      'a port where nobody answers': { options: () => ['--url', 'http://127.0.0.1:9/graphql'], told: 'Nobody answers' },
      'an address that is no API': { options: () => ['--url', new URL('/', server.url).href], told: '/graphql' },
      'an address that is none': { options: () => ['--url', 'here'], told: '--url must be' },
      'a token that the server does not know': { options: () => ['--token', 'abc'], told: 'refuses the token' },
      'no carts at a time': { options: () => ['--parallel', '0'], told: '--parallel must be' },
      'too many carts at a time': { options: () => ['--parallel', '257'], told: '--parallel must be' },
      'a currency that is none': { options: () => ['--currency', 'QQQ'], told: '--currency is not' },
    };

    it.each(Object.entries(mistakes))('says in one line what to do about %s', async (_name, mistake) => {
      const { file = () => SAMPLE, options = () => [], told } = mistake;
      const { code, stdout, stderr } = await replay(file(), '--url', server.url, '--json', ...options());
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toContain(told);
      expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    });
  });
});

/** Lines as a file has them. */
function textOf(lines: readonly CsvLine[]): string[] {
  return lines.map((it) => ['InvoiceNo', 'StockCode', '', 'Quantity'].map((name) => it[name]).join(','));
}

function expectReport(report: ReplayReport, expected: Expected): void {
  expect(report).toMatchObject({
    invoices: { read: expected.invoices, empty: expected.invoices - expected.carts, failed: 0 },
    carts: expected.carts,
    lines: {
      read: expected.lines,
      added: expected.sold,
      rejected: 0,
      inDoubt: 0,
      unsent: 0,
      leftOut: { cancellation: expected.cancellations, quantity: 0, noProduct: expected.noProduct, malformed: 0 },
    },
    totals: [{ amountMinor: expected.totalMinor, currency: 'GBP' }],
    rejections: { NOT_FOUND: expected.noProduct },
    unexpectedRejections: [],
    faults: {},
    givenUp: false,
    check: { carts: expected.carts, unread: 0, mismatches: [] },
  });
}
