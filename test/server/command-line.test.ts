import { execFile } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { Engine } from '../../src/eventsourcing/engine.ts';
import { testCodec } from '../support/master-key.ts';
import { type ServerProcess, startServerOver, startServerProcess } from '../support/servers.ts';
import { Shop } from '../support/shop.ts';
import { embeddedStores, openMigrated, type TestStore } from '../support/stores.ts';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const STACK = /\n\s+at .+:\d+:\d+/;

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** Runs the command line to its end, in an empty folder: no .env is found there. */
function run(parameters: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const cwd = mkdtempSync(join(tmpdir(), 'cartstream-cli-'));
  return new Promise((resolve) => {
    const env = { ...process.env, PORT: '0', DATABASE_URL: '', LOG_LEVEL: 'warn', NO_COLOR: '1', ...environment };
    const child = execFile(process.execPath, [MAIN, ...parameters], { cwd, env, timeout: 60_000 }, (_, out, err) => {
      rmSync(cwd, { recursive: true, force: true });
      resolve({ code: child.exitCode, output: out + err });
    });
  });
}

/** One at which something else listens until the test has finished. */
async function takenPort(): Promise<string> {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void taken.close());
  const address = taken.address();
  return typeof address === 'object' && address !== null ? String(address.port) : '';
}

describe('The command line', () => {
  test('lists its commands', async () => {
    const { code, output } = await run(['--help']);
    expect(code).toBe(0);
    for (const command of ['serve', 'migrate', 'seed', 'token', 'replay', 'trace']) {
      expect(output).toMatch(new RegExp(`^ {2}${command}\\b`, 'm'));
    }
  });

  test.each(['serve', 'migrate', 'seed', 'token', 'replay', 'trace'])(
    'has a help of its own for %s',
    async (command) => {
      const { code, output } = await run([command, '--help']);
      expect(code).toBe(0);
      expect(output).toContain(`Usage: cartstream ${command}`);
    },
  );

  test.each([
    ['nope'],
    ['help', 'nope'],
    ['help', 'keys', 'nope'],
    ['serve', '--nope'],
    ['serve', 'extra'],
    ['rebuild', 'cart.carts', 'extra'],
    ['token'],
    ['token', '--role', 'king'],
  ])('refuses %s %s with a hint', async (...parameters) => {
    const { code, output } = await run(parameters.filter((it) => typeof it === 'string'));
    expect(code).toBe(1);
    expect(output).toMatch(/^error: .+\n\(add --help/);
    expect(output).not.toMatch(STACK);
  });

  const wrong: readonly [string, string[], Record<string, string>, string][] = [
    ['a wrong setting', ['serve'], { PORT: 'abc' }, 'PORT must be a whole number'],
    ['an open server for everybody', ['serve'], { HOST: '0.0.0.0' }, 'AUTH_MODE is open'],
    ['a token without a secret', ['token', '--role', 'staff'], {}, 'Set JWT_SECRET'],
    [
      'a token that holds for no time',
      ['token', '--role', 'staff', '--expires-in', 'soon'],
      { JWT_SECRET: 'x'.repeat(32) },
      '--expires-in must be a whole number of seconds, 1 or more.\n',
    ],
    [
      'a token of a customer who looks like a guest',
      ['token', '--role', 'customer', '--subject', 'guest:x'],
      { JWT_SECRET: 'x'.repeat(32) },
      "--subject must have 1 to 200 characters, none of them a control character; a customer's must not begin with guest:.\n",
    ],
    [
      'a token of somebody with a line break in their name',
      ['token', '--role', 'customer', '--subject', 'ada\n'],
      { JWT_SECRET: 'x'.repeat(32) },
      '--subject must have 1 to 200 characters, none of them a control character;',
    ],
    ['simulators of no speed', ['simulate', '--late-after', 'x'], {}, '--late-after must be a number of seconds'],
    ['an API at any port', ['trace', randomUUID()], { PORT: '0' }, 'PORT is 0'],
    ['an API at a port that is none', ['rebuild', 'cart.carts'], { PORT: 'x' }, 'PORT must be a whole number'],
    [
      'a database that is not there',
      ['migrate'],
      { DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/none' },
      '127.0.0.1:1',
    ],
  ];

  test.each(wrong)('says plainly what is wrong with %s', async (_, parameters, environment, message) => {
    const { code, output } = await run(parameters, environment);
    expect(code).toBe(1);
    expect(output).toContain(message);
    expect(output).not.toMatch(STACK);
  });

  test('prints the help of a command within another', async () => {
    const { code, output } = await run(['help', 'keys', 'rotate-subject']);
    expect(code).toBe(0);
    expect(output).toContain('Usage: cartstream keys rotate-subject');
  });

  test('prints a token that a server with the same secret takes', async () => {
    const JWT_SECRET = 'a secret of at least thirty-two bytes';
    const { code, output } = await run(['token', '--role', 'staff', '--subject', 'anna'], { JWT_SECRET });
    expect(code).toBe(0);
    expect(output.trim()).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
  });

  test('says plainly that the port is taken', async () => {
    const port = await takenPort();
    const store = await embeddedStores.createBare();
    onTestFinished(store.remove);
    const { code, output } = await run(['serve', '--no-seed'], { ...store.environment, PORT: port });
    expect(code).toBe(1);
    expect(output).toMatch(/^The server cannot listen: .*Set PORT and HOST/);
    expect(output).toContain(port);
    // Nothing was begun.
    expect(readdirSync(store.environment['DATA_DIR'] ?? '')).toEqual([]);
  });

  test('leaves the data folder free when it cannot begin', async () => {
    const store = await embeddedStores.create();
    onTestFinished(store.remove);
    const database = await openMigrated(store);
    await testCodec(database); // Its key is made, and wrapped with the master key.
    await database.close();
    const { code, output } = await run(['serve', '--no-seed'], {
      ...store.environment,
      MASTER_KEY: randomBytes(32).toString('base64'),
      PAYMENT_SIMULATOR_PORT: '0',
      CARRIER_SIMULATOR_PORT: '0',
    });
    expect(code).toBe(1);
    expect(output).toContain('another master key');
    expect(output).not.toMatch(STACK);
    expect(existsSync(join(store.environment['DATA_DIR'] ?? '', 'cartstream.lock'))).toBe(false);
  });

  test('stops what it began when the port is taken meanwhile', async () => {
    const port = Number(await takenPort());
    const store = await embeddedStores.create();
    onTestFinished(store.remove);
    const database = await openMigrated(store);
    onTestFinished(() => database.close());
    const engineStop = vi.spyOn(Engine.prototype, 'stop');
    onTestFinished(() => engineStop.mockRestore());
    await expect(startServerOver(database, { port })).rejects.toThrow('EADDRINUSE');
    expect(engineStop).toHaveBeenCalledOnce();
  });
});

describe('A data folder', () => {
  let store: TestStore;
  let first: ServerProcess;
  beforeAll(async () => {
    store = await embeddedStores.create();
    first = await startServerProcess(store);
  });
  afterAll(async () => {
    await first.stop();
    await store.remove();
  });

  test.each(['serve', 'migrate', 'seed'])(
    'that a server has open is refused to another `%s`, and the first loses nothing',
    async (command) => {
      const shop = new Shop(first.url);
      const sku = `BEFORE-${command}`;
      await shop.addProduct(sku);
      const { code, output } = await run([command], { ...store.environment });
      expect(code).toBe(1);
      expect(output).toContain(`is in use by process ${first.process.pid}`);
      expect(output).not.toMatch(STACK);
      expect((await shop.product(sku))?.sku).toBe(sku);
      expect((await shop.addProduct(`AFTER-${command}`)).__typename).toBe('ProductPayload');
    },
  );

  test('is free again when its server was killed, with everything in it', async () => {
    await first.kill();
    first = await startServerProcess(store);
    const shop = new Shop(first.url);
    for (const command of ['serve', 'migrate', 'seed']) {
      expect((await shop.product(`BEFORE-${command}`))?.sku).toBe(`BEFORE-${command}`);
      expect((await shop.product(`AFTER-${command}`))?.sku).toBe(`AFTER-${command}`);
    }
  });

  test('that is empty is filled with the demo catalog by a server, once', async () => {
    const empty = await embeddedStores.createBare();
    let server = await startServerProcess(empty, []);
    const count = async () => {
      const query = '{ products { totalCount } }';
      return (await new Shop(server.url).read<{ products: { totalCount: number } }>(query)).products.totalCount;
    };
    const products = await count();
    expect(products).toBeGreaterThan(100);
    expect(await server.stop()).toBe(0);
    server = await startServerProcess(empty, []);
    expect(await count()).toBe(products);
    await server.stop();
    const { code, output } = await run(['seed'], { ...empty.environment });
    expect([code, output]).toEqual([0, '0 products were added.\n']);
    await empty.remove();
  }, 180_000);
});
