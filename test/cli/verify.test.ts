import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { openDatabase } from '../../src/platform/database.ts';
import { issueToken } from '../../src/server/authentication.ts';
import { commandLine } from '../support/command-line.ts';
import { sealsOf } from '../support/sealed-log.ts';
import { type ServerProcess, startServerProcess } from '../support/servers.ts';
import { Shop } from '../support/shop.ts';
import { describeEachStore, type TestStore } from '../support/stores.ts';

const STACK = /\n\s+at .+:\d+:\d+/;
const PATIENCE = { timeout: 60_000, interval: 200 };
const SECRET = 'a secret for the tests of verify, long enough';

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

describeEachStore('cartstream verify', (kind) => {
  const closing: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  async function create(): Promise<TestStore> {
    const store = await kind.create();
    closing.push(store.remove);
    return store;
  }
  async function serve(store: TestStore, environment = {}): Promise<ServerProcess> {
    const server = await startServerProcess(store, ['--no-seed'], environment);
    closing.push(() => server.kill());
    return server;
  }
  async function verify({ environment }: TestStore, parameters: readonly string[] = [], more = {}): Promise<Ended> {
    const { code, out, errors } = await commandLine(['verify', ...parameters], { ...environment, ...more });
    const output = out + errors;
    expect(output).not.toMatch(STACK);
    return { code, output };
  }
  /** A shop that ran, and stopped. @returns how many events it has */
  async function used(store: TestStore): Promise<number> {
    const server = await serve(store);
    const shop = new Shop(server.url);
    await shop.addProduct('A');
    const cart = await shop.newCart();
    for (let at = 0; at < 5; at += 1) await shop.addItem(cart, 'A');
    await server.stop();
    return inStore(store, async (database) => (await sealsOf(database)).at(-1)?.position ?? 0);
  }
  async function inStore<Result>(
    { settings }: TestStore,
    work: (database: Awaited<ReturnType<typeof openDatabase>>) => Promise<Result>,
  ): Promise<Result> {
    const database = await openDatabase(settings);
    try {
      return await work(database);
    } finally {
      await database.close();
    }
  }
  const change = (store: TestStore, ...statements: string[]) =>
    inStore(store, async ({ log }) => {
      for (const sql of statements) await log.query(sql);
    });
  const checkpointIn = (output: string) => /^cp1\.\S+$/m.exec(output)?.[0] ?? '';

  test('says that all is whole, and which event was changed first where it is not', async () => {
    const store = await create();
    const events = await used(store);
    expect(events).toBeGreaterThan(6);
    const whole = await verify(store);
    expect(whole.code).toBe(0);
    expect(whole.output).toContain(
      `${events} events are whole and in order, as they were sealed up to event ${events}.`,
    );
    expect(whole.output).toContain('checkpoint.json keeps it');
    expect(await verify(store, ['--checkpoint', checkpointIn(whole.output)])).toMatchObject({
      code: 0,
      output: expect.stringContaining('the checkpoint that was given'),
    });

    await change(store, `UPDATE events SET data = replace(data::text, 'A', 'B')::jsonb WHERE position = 1`);
    const { code, output } = await verify(store);
    expect(code).toBe(1);
    expect(output).toMatch(
      /NOT as it was sealed .*\nEvent 1 \(product-A version 1, ProductAdded, id [\w-]{36}\) is not/,
    );
  });

  // The same on either engine.
  test.runIf(kind.engine === 'pglite')(
    'finds a tail that was cut off with its seals, by what is kept outside the database, and has it accepted',
    async () => {
      const store = await create();
      const events = await used(store);
      const cut = events - 1;
      await change(
        store,
        'DELETE FROM log_seals',
        `DELETE FROM events WHERE position > ${cut}`,
        `UPDATE log_head SET position = ${cut} WHERE id = 1`,
      );
      const { code, output } = await verify(store);
      expect(code).toBe(1);
      expect(output).toContain(`The log ends at event ${cut}, and had event ${events} when it was sealed at`);
      expect(output).toContain('npx cartstream verify --accept');
      // A server of this machine does not seal what is left, as if nothing had been.
      const server = await serve(store);
      await new Shop(server.url).addProduct('B');
      await vi.waitFor(async () => {
        const ready = await (await fetch(new URL('/health/ready', server.url))).json();
        expect(ready).toMatchObject({ seals: { problem: expect.stringContaining(`now up to event 0 only`) } });
      }, PATIENCE);
      await server.stop();
      expect(await inStore(store, sealsOf)).toEqual([]);
      const accepted = await verify(store, ['--accept']);
      expect(accepted).toMatchObject({ code: 0, output: expect.stringMatching(/^Nothing of \d+ events is sealed/) });
      const file = join(store.environment['DATA_DIR'] ?? '', 'checkpoint.json');
      expect(readFileSync(file, 'utf8')).not.toContain('cp1.');
      const again = await serve(store);
      await vi.waitFor(async () => {
        const ready = await (await fetch(new URL('/health/ready', again.url))).json();
        expect(ready).toMatchObject({ seals: { problem: null, lag: 0 } });
      }, PATIENCE);
      await again.stop();
      expect((await verify(store)).code).toBe(0);
      expect(readFileSync(file, 'utf8')).toContain('cp1.');
    },
  );

  // The same on either engine.
  test.runIf(kind.engine === 'pglite')(
    'tells a store that was exchanged from one that was changed, and goes on from it once that is accepted',
    async () => {
      const store = await create();
      await used(store);
      const other = await create();
      await used(other);
      const token = checkpointIn((await verify(other)).output);
      await change(store, `UPDATE log_head SET epoch = 'ffffffffffff'`);
      const { code, output } = await verify(store, ['--checkpoint', token]);
      expect(code).toBe(1);
      expect(output).toContain('it was restored, or exchanged for another');
      const file = join(store.environment['DATA_DIR'] ?? '', 'checkpoint.json');
      writeFileSync(file, '{');
      expect(await verify(store)).toMatchObject({ code: 1, output: expect.stringContaining('cannot be understood') });
      expect(await verify(store, ['--accept'])).toMatchObject({
        code: 0,
        output: expect.stringContaining('says so from now on'),
      });
      expect((await verify(store)).code).toBe(0);
    },
  );

  // The same on either engine.
  test.runIf(kind.engine === 'pglite')('says what is wrong with what it was given', async () => {
    const store = await create();
    await used(store);
    expect(await verify(store, ['--checkpoint', 'nope'])).toMatchObject({
      code: 1,
      output: expect.stringContaining('cp1'),
    });
    const wrong = await verify(store, [], { MASTER_KEY: randomBytes(32).toString('base64') });
    expect(wrong).toMatchObject({ code: 1, output: expect.stringContaining('MASTER_KEY is not that of this store') });
  });

  // The same on either engine.
  test.runIf(kind.engine === 'pglite')('makes no store where there is none', async () => {
    const nowhere = mkdtempSync(join(tmpdir(), 'cartstream-nowhere-'));
    closing.push(() => rmSync(nowhere, { recursive: true }));
    for (const command of ['verify', 'archive']) {
      const ended = await commandLine([command], { DATA_DIR: nowhere });
      expect(ended).toMatchObject({ code: 1, errors: expect.stringContaining(`There is no store in ${nowhere}`) });
    }
    expect(readdirSync(nowhere)).toEqual([]);
  });

  test('walks the log while a server has the store open', async () => {
    const store = await create();
    const server = await serve(store, { AUTH_MODE: 'jwt', JWT_SECRET: SECRET, SIMULATOR_SECRET: 'of this test' });
    const [admin, staff] = await Promise.all([
      issueToken(SECRET, 'admin', 'a', 60),
      issueToken(SECRET, 'staff', 's', 60),
    ]);
    await new Shop(server.url, admin).addProduct('A');
    const ask = (token: string) => verify(store, ['--url', server.url, '--token', token]);
    await vi.waitFor(
      async () => expect((await ask(admin)).output).toMatch(/events are whole .* sealed up to event [^0]/),
      PATIENCE,
    );
    if (kind.engine === 'postgresql') return;
    expect(await ask(staff)).toMatchObject({ code: 1, output: expect.stringContaining('only admins') });
    const nobody = await verify(store, ['--url', 'http://127.0.0.1:9/graphql', '--token', admin]);
    expect(nobody).toMatchObject({ code: 1, output: expect.stringContaining('nobody answers at') });
  });
});
