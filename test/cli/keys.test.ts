import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { Buyer, EMAIL, orderOf } from '../support/buyer.ts';
import { type ServerProcess, startServerProcess } from '../support/servers.ts';
import { describeEachStore, type TestStore } from '../support/stores.ts';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const STACK = /\n\s+at .+:\d+:\d+/;

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
  async function serve(store: TestStore, environment: Readonly<Record<string, string>>): Promise<ServerProcess> {
    const server = await startServerProcess(store, ['--no-seed'], environment);
    closing.push(() => server.kill());
    return server;
  }
  function run({ environment }: TestStore, parameters: readonly string[], more: object): Promise<Ended> {
    const env = { ...process.env, LOG_LEVEL: 'warn', NO_COLOR: '1', ...environment, ...more };
    return new Promise((resolve) => {
      const child = execFile(process.execPath, [MAIN, 'keys', ...parameters], { cwd: folder(), env }, (_, out, err) =>
        resolve({ code: child.exitCode, output: out + err }),
      );
    });
  }
  /** An order whose address only its customer's key can read. */
  async function placed(server: ServerProcess): Promise<string> {
    const buyer = new Buyer(server.url);
    if ((await buyer.product('ink')) === null) await buyer.addProduct('ink');
    return orderOf(await buyer.checkOut(await buyer.cartWith({ ink: 1 }))).id;
  }
  const emailOf = async (server: ServerProcess, id: string) => (await new Buyer(server.url).order(id))?.email;

  test('rotate-master goes over to a new MASTER_KEY, which every server has to know first', async () => {
    const store = await create();
    const before = store.environment['MASTER_KEY'] ?? '';
    const next = randomBytes(32).toString('base64');
    const both = { MASTER_KEY: next, MASTER_KEY_PREVIOUS: before };
    const first = await serve(store, {});
    const orders = [await placed(first)];

    const alone = await run(store, ['rotate-master'], {});
    expect(alone).toMatchObject({ code: 1, output: expect.stringContaining('MASTER_KEY_PREVIOUS') });
    const early = await run(store, ['rotate-master'], both);
    expect(early.code).toBe(1);
    expect(early.output).toContain(kind.engine === 'pglite' ? 'is in use by' : '1 running server does not know');
    for (const { output } of [alone, early]) expect(output).not.toMatch(STACK);

    await first.stop();
    const second = await serve(store, both);
    orders.push(await placed(second));
    if (kind.engine === 'postgresql') {
      const { code, output } = await run(store, ['rotate-master'], both);
      expect({ code, output }).toEqual({ code: 0, output: expect.stringMatching(/^3 keys were wrapped anew\./) });
      orders.push(await placed(second));
    }
    for (const id of orders) expect(await emailOf(second, id)).toBe(EMAIL);
    await second.stop();

    const third = await serve(store, { MASTER_KEY: next });
    for (const id of orders) expect(await emailOf(third, id)).toBe(EMAIL);
    await third.stop();
    await expect(startServerProcess(store, ['--no-seed'])).rejects.toThrow('another master key');
  });

  if (kind.engine === 'pglite')
    test('rotate-master makes a new file where the key is in one', async () => {
      const store = await create();
      const dataDir = store.environment['DATA_DIR'] ?? '';
      const fromFile = { MASTER_KEY: '' };
      const first = await serve(store, fromFile);
      const id = await placed(first);
      await first.stop();
      const file = join(dataDir, 'master.key');
      const before = readFileSync(file, 'utf8');
      const { code, output } = await run(store, ['rotate-master'], fromFile);
      expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('2 keys were wrapped anew') });
      expect(readFileSync(file, 'utf8')).not.toBe(before);
      expect(existsSync(`${file}.new`)).toBe(false);
      expect(output).not.toContain(readFileSync(file, 'utf8').trim());
      const second = await serve(store, fromFile);
      expect(await emailOf(second, id)).toBe(EMAIL);
    });

  if (kind.engine === 'postgresql')
    test('rotate-subject gives everybody a new key while servers run, or one person, and says who has none', async () => {
      const store = await create();
      const server = await serve(store, {});
      const before = await placed(server);
      expect(await run(store, ['rotate-subject', '--all'], {})).toEqual({
        code: 0,
        output: '1 new keys were made. Servers use them within a minute.\n',
      });
      for (const parameters of [[], ['nobody'], ['nobody', '--all']]) {
        const { code, output } = await run(store, ['rotate-subject', ...parameters], {});
        expect(code).toBe(1);
        expect(output).not.toMatch(STACK);
      }
      for (const id of [before, await placed(server)]) expect(await emailOf(server, id)).toBe(EMAIL);
    });
});
