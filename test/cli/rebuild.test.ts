import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { z } from 'zod';
import { openDatabase } from '../../src/platform/database.ts';
import { type ServerProcess, startServerProcess } from '../support/servers.ts';
import { Shop } from '../support/shop.ts';
import { describeEachStore, type TestStore } from '../support/stores.ts';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

interface Printed {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `cartstream rebuild` to its end. */
async function rebuild(...options: string[]): Promise<Printed> {
  return begin(...options).ended;
}

function begin(...options: string[]) {
  const child = spawn(process.execPath, [MAIN, 'rebuild', ...options], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = Promise.all([once(child, 'exit'), text(child.stdout), text(child.stderr)]).then(
    ([[code], stdout, stderr]): Printed => ({ code, stdout, stderr }),
  );
  return { child, ended };
}

const asked = z.object({ query: z.string() });

/** A server that knows of one rebuild alone, which is what it is told to be. */
async function serverWith(rebuildNow: () => object): Promise<string> {
  const server = createServer(async (request, response) => {
    const { query } = asked.parse(JSON.parse(await text(request)));
    const projection = { name: 'cart.carts', rebuild: rebuildNow() };
    const data = query.startsWith('mutation')
      ? { answer: { __typename: 'ProjectionPayload', projection } }
      : { projections: [projection] };
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ data }));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return `http://127.0.0.1:${port}/graphql`;
}

describeEachStore('cartstream rebuild', (kind) => {
  let store: TestStore;
  let server: ServerProcess;

  beforeAll(async () => {
    store = await kind.create();
    server = await startServerProcess(store);
    const shop = new Shop(server.url);
    await shop.addProduct('A');
    await shop.addItem(await shop.newCart(), 'A');
  });
  afterAll(async () => {
    await server.stop();
    await store.remove();
  });

  it('says what it was rebuilt from, and what differed', async () => {
    const { code, stdout, stderr } = await rebuild('cart.carts', '--url', server.url);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^cart\.carts was rebuilt from [\d,]+ events in \d+\.\d s: all rows are as they were\.\n$/);
    if (kind.engine === 'pglite') return;
    const database = await openDatabase(store.settings);
    await database.log.query(`UPDATE product_view SET name = 'not so'`);
    await database.close();
    const second = await rebuild('catalog.products', '--url', server.url);
    expect(second).toMatchObject({ code: 0, stdout: expect.stringMatching(/1 row is not as it was: A\.\n$/) });
  });

  it('says what projections there are where it is told of another', async () => {
    const { code, stderr } = await rebuild('cart.cart', '--url', server.url);
    expect(code).toBe(1);
    expect(stderr).toMatch(/There is no projection cart\.cart\. There are cart\.carts, .*processes\.\n$/);
  });

  it('cancels nothing that is not under way', async () => {
    const { code, stderr } = await rebuild('cart.coupons', '--cancel', '--url', server.url);
    expect([code, stderr]).toEqual([1, 'No rebuild of cart.coupons is under way that could be cancelled.\n']);
  });

  it('says so where nobody answers, or an option is no use', async () => {
    const nobody = await rebuild('cart.carts', '--url', 'ftp://127.0.0.1');
    expect([nobody.code, nobody.stderr]).toEqual([1, expect.stringContaining('--url must be an address')]);
  });
});

describe('cartstream rebuild, of what takes its time', () => {
  const running = {
    status: 'RUNNING',
    processed: 10,
    total: 20,
    differences: null,
    differentKeys: [],
    error: null,
    startedAt: '2030-01-31T12:00:00Z',
    finishedAt: null,
  };

  it('says that the server goes on with it when it is interrupted', async () => {
    let asked = 0;
    const url = await serverWith(() => {
      asked += 1;
      return running;
    });
    const { child, ended } = begin('cart.carts', '--url', url);
    await vi.waitFor(() => expect(asked).toBeGreaterThan(3), { timeout: 20_000 });
    child.kill('SIGINT');
    const { code, stdout, stderr } = await ended;
    expect([code, stdout]).toEqual([130, '']);
    expect(stderr).toMatch(/The server goes on with it\..* npx cartstream rebuild cart\.carts --cancel\n$/);
  });

  it.each([
    [{ status: 'CANCELLED' }, /was cancelled: its rows stay as they are\.\n$/],
    [{ status: 'FAILED', error: 'No good.' }, /failed: No good\. The rows stay as they are\. .*begin it anew\.\n$/],
  ])('fails where the rows were not replaced: %j', async (end, said) => {
    let asked = 0;
    const url = await serverWith(() => {
      asked += 1;
      return asked > 3 ? { ...running, ...end } : running;
    });
    const { code, stdout, stderr } = await rebuild('cart.carts', '--url', url);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(said);
  });
});
