import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { rotateSubject } from '../../src/cli/keys.ts';
import { problemOf } from '../../src/cli/problems.ts';
import { openProtectedStore } from '../../src/cli/store.ts';
import { readSettings } from '../../src/config.ts';
import { createLogger } from '../../src/platform/logger.ts';
import { Buyer, EMAIL, orderOf } from '../support/buyer.ts';
import { startServerOver, startServerProcess } from '../support/servers.ts';
import { describeEachStore, type TestStore } from '../support/stores.ts';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const STACK = /\n\s+at .+:\d+:\d+/;

/** A server, in whatever process. */
interface Served {
  readonly url: string;
  stop(): Promise<unknown>;
}

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

describeEachStore('cartstream keys', (kind) => {
  const closing: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  const folder = () => {
    const made = mkdtempSync(join(tmpdir(), 'cartstream-keys-'));
    closing.push(() => rmSync(made, { recursive: true, force: true }));
    return made;
  };
  async function create(): Promise<TestStore> {
    const store = await kind.create();
    closing.push(store.remove);
    return store;
  }
  /** As `cartstream serve` does it, but in this process, which spares the start of one. */
  async function serve({ environment }: TestStore, more: Readonly<Record<string, string>>): Promise<Served> {
    const settings = readSettings({ ...environment, ...more });
    const { database, ...keys } = await openProtectedStore(settings, createLogger('silent'));
    const server = await startServerOver(database, {}, undefined, undefined, keys).catch(async (error: unknown) => {
      await database.close();
      throw error;
    });
    let isStopped = false;
    const stop = async () => {
      if (isStopped) return;
      isStopped = true;
      await server.stop();
      await database.close();
    };
    closing.push(stop);
    return { url: `http://127.0.0.1:${server.port}/graphql`, stop };
  }
  async function serveApart(store: TestStore, environment: Readonly<Record<string, string>>): Promise<Served> {
    const server = await startServerProcess(store, ['--no-seed'], environment);
    closing.push(() => server.kill());
    return server;
  }
  function run(parameters: readonly string[], environment: object): Promise<Ended> {
    const env = { ...process.env, LOG_LEVEL: 'warn', NO_COLOR: '1', ...environment };
    return new Promise((resolve) => {
      const child = execFile(process.execPath, [MAIN, 'keys', ...parameters], { cwd: folder(), env }, (_, out, err) =>
        resolve({ code: child.exitCode, output: out + err }),
      );
    });
  }
  /** An order whose address only its customer's key can read. */
  async function placed(server: Served): Promise<string> {
    const buyer = new Buyer(server.url);
    if ((await buyer.product('ink')) === null) await buyer.addProduct('ink');
    return orderOf(await buyer.checkOut(await buyer.cartWith({ ink: 1 }))).id;
  }
  const emailOf = async (server: Served, id: string) => (await new Buyer(server.url).order(id))?.email;

  test('rotate-master goes over to a new MASTER_KEY, which every server has to know first', async () => {
    const store = await create();
    const before = store.environment['MASTER_KEY'] ?? '';
    const next = randomBytes(32).toString('base64');
    const both = { MASTER_KEY: next, MASTER_KEY_PREVIOUS: before };
    const first = await serve(store, {});
    const orders = [await placed(first)];

    const early = await run(['rotate-master'], { ...store.environment, ...both });
    expect(early.code).toBe(1);
    expect(early.output).toContain(kind.engine === 'pglite' ? 'is in use by' : '1 running server does not know');
    expect(early.output).not.toMatch(STACK);
    await first.stop();

    const second = await (kind.engine === 'pglite' ? serve(store, both) : serveApart(store, both));
    orders.push(await placed(second));
    if (kind.engine === 'postgresql') {
      const { code, output } = await run(['rotate-master'], { ...store.environment, ...both });
      expect({ code, output }).toEqual({ code: 0, output: expect.stringMatching(/^3 keys were wrapped anew\./) });
      orders.push(await placed(second));
    }
    for (const id of orders) expect(await emailOf(second, id)).toBe(EMAIL);
    await second.stop();

    const third = await serve(store, { MASTER_KEY: next });
    for (const id of orders) expect(await emailOf(third, id)).toBe(EMAIL);
    await third.stop();
    const refusal = await serve(store, {}).catch(problemOf);
    expect(refusal).toContain('another master key');
  });

  if (kind.engine === 'pglite')
    test('rotate-master makes a new file where the key is in one, and rotate-subject new keys beside no server', async () => {
      const store = await create();
      const environment = { ...store.environment, MASTER_KEY: '' };
      const first = await serve(store, environment);
      const id = await placed(first);
      await first.stop();
      const file = join(store.environment['DATA_DIR'] ?? '', 'master.key');
      const before = readFileSync(file, 'utf8');
      const { code, output } = await run(['rotate-master'], environment);
      expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('2 keys were wrapped anew') });
      expect(readFileSync(file, 'utf8')).not.toBe(before);
      expect(existsSync(`${file}.new`)).toBe(false);
      expect(output).not.toContain(readFileSync(file, 'utf8').trim());
      const rotated = await run(['rotate-subject', '--all'], environment);
      expect(rotated).toEqual({ code: 0, output: '1 new key was made.\n' });
      const second = await serve(store, environment);
      for (const it of [id, await placed(second)]) expect(await emailOf(second, it)).toBe(EMAIL);
    });

  if (kind.engine === 'postgresql')
    test('rotate-subject gives everybody a new key while servers run, or one person, and says who has none', async () => {
      const store = await create();
      const server = await serve(store, {});
      const before = await placed(server);
      expect(await run(['rotate-subject', '--all'], store.environment)).toEqual({
        code: 0,
        output: '1 new key was made. Servers use what is new within a minute.\n',
      });
      const { code, output } = await run(['rotate-subject', 'nobody'], store.environment);
      expect({ code, output }).toEqual({ code: 1, output: 'Nothing personal is kept of nobody: there is no key.\n' });
      for (const id of [before, await placed(server)]) expect(await emailOf(server, id)).toBe(EMAIL);
    });

  // What is refused before a store is opened.
  if (kind.engine === 'pglite')
    test('asks for what is missing', async () => {
      const alone = await run(['rotate-master'], { MASTER_KEY: randomBytes(32).toString('base64') });
      expect(alone).toMatchObject({ code: 1, output: expect.stringContaining('MASTER_KEY_PREVIOUS') });
      expect(alone.output).not.toMatch(STACK);
      for (const [subject, all] of [
        [undefined, false],
        ['nobody', true],
      ] as const)
        await expect(rotateSubject(subject, { all })).rejects.toThrow('Name one customer or guest');
    });
});
