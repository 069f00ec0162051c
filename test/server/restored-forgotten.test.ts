import { randomUUID } from 'node:crypto';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { knownOfProgram } from '../../src/cli/known-of-program.ts';
import { readSettings } from '../../src/config.ts';
import { restoreBackup } from '../../src/eventsourcing/backup/restore.ts';
import { openDatabase } from '../../src/platform/database.ts';
import { linesOfBackup, ofEarlierVersion } from '../support/backup-files.ts';
import { ADDRESS, Buyer } from '../support/buyer.ts';
import { commandLine } from '../support/command-line.ts';
import { allThatCanBeRead } from '../support/key-hunter.ts';
import { testMasterKey } from '../support/master-key.ts';
import { rawId } from '../support/operator.ts';
import type { Order } from '../support/order-views.ts';
import { type ServerProcess, startServerProcess } from '../support/servers.ts';
import { describeEachStore, type TestStore } from '../support/stores.ts';

// Whoever was forgotten stays so, when a backup of before is restored: nothing in it can be read as theirs.

const FORGET = `mutation Forget($input: ForgetCustomerInput!) { forgetCustomer(input: $input) {
  __typename ... on Rejection { code message } } }`;
const FOUND = 'query Of($email: String!) { customersByEmail(email: $email) { id } }';
const hashes = z.tuple([z.object({ count: z.number() })]);

describeEachStore('A backup of before somebody was forgotten', (kind) => {
  const folder = mkdtempSync(join(tmpdir(), 'cartstream-forgotten-'));
  const file = join(folder, 'shop.backup');
  const list = join(folder, 'forgotten.jsonl');
  const mark = randomUUID().replaceAll('-', '');
  const email = `ada.${mark}@example.com`;
  const shippingAddress = { ...ADDRESS, name: `Name${mark}`, street: `Street${mark}` };
  let store: TestStore;
  let target: TestStore;
  let server: ServerProcess;
  let order: Order;
  let subject: string;

  beforeAll(async () => {
    [store, target] = await Promise.all([kind.create(), kind.createBare()]);
    server = await startServerProcess(store, ['--no-seed'], { FORGOTTEN_FILE: list });
    const buyer = new Buyer(server.url);
    await buyer.addProduct('A');
    const placed = await buyer.checkOut(await buyer.cartWith({ A: 1 }), { email, shippingAddress });
    await buyer.cancel(placed.order?.id ?? '');
    order = await buyer.untilOrder(placed.order?.id ?? '', { status: 'CANCELLED' });
    subject = rawId(order.customer?.id ?? '');
    expect(await commandLine(['backup', file, '--url', server.url], store.environment)).toMatchObject({ code: 0 });
    const input = { customerId: order.customer?.id, reason: 'They asked for it.' };
    expect(await buyer.read(FORGET, { input })).toEqual({ forgetCustomer: { __typename: 'CustomerPayload' } });
  });
  afterAll(async () => {
    await server.kill();
    await Promise.all([store.remove(), target.remove()]);
    rmSync(folder, { recursive: true, force: true });
  });

  const readable = async ({ settings }: TestStore) => {
    const database = await openDatabase(settings);
    try {
      return await allThatCanBeRead(database, [testMasterKey]);
    } finally {
      await database.close();
    }
  };

  test('is restored with a list of them that is kept outside of the database', async () => {
    expect(existsSync(list)).toBe(true);
    const [first] = readFileSync(list, 'utf8').trim().split('\n');
    expect(JSON.parse(first ?? '')).toMatchObject({ subject });
    const printed = await commandLine(['forgotten', '--url', server.url], store.environment);
    expect(
      printed.out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([{ subject, at: expect.stringMatching(/^20/) }]);
    // A process died while it wrote.
    appendFileSync(list, '{"subject":"ha');
  });

  test('tells nothing of them, and its history still reads', async () => {
    const restored = await commandLine(['restore', file, '--forgotten', list], target.environment);
    expect(restored.out).toContain('1 person is on the list');
    expect(restored.out).toContain('1 of them were known to the file');
    expect(restored.out).toContain('1 line of it cannot be read');
    const { text, sealed } = await readable(target);
    expect(sealed).toBeGreaterThan(0);
    expect(text).not.toContain(mark);
    const database = await openDatabase(target.settings);
    const count = 'SELECT count(*)::int AS count FROM customer_view WHERE email_hash IS NOT NULL';
    expect(hashes.parse(await database.log.query(count))[0].count).toBe(0);
    await database.close();

    await server.stop();
    server = await startServerProcess(target, ['--no-seed'], { FORGOTTEN_FILE: list });
    const buyer = new Buyer(server.url);
    expect(await buyer.order(order.id)).toMatchObject({
      ...{ number: order.number, personalData: 'FORGOTTEN', email: null, shippingAddress: null },
    });
    expect(await buyer.read(FOUND, { email })).toEqual({ customersByEmail: [] });
    const past = 'query Then($id: ID!) { orderAsOf(id: $id, asOf: { version: 1 }) { number email } }';
    expect(await buyer.read(past, { id: order.id })).toEqual({ orderAsOf: { number: order.number, email: null } });
  });

  test('tells nothing of them from the moment on that it is there, also where it is of an earlier version', async () => {
    const bare = await kind.createBare();
    const database = await openDatabase(bare.settings);
    const path = join(folder, 'earlier.backup');
    writeFileSync(path, ofEarlierVersion(linesOfBackup(file)).content);
    const rows = 'SELECT email_hash AS hash, email, name FROM customer_view WHERE customer_id = $1';
    let found: unknown;
    try {
      await restoreBackup({
        ...{ database, path, forgotten: [{ subject, at: new Date() }], known: knownOfProgram(readSettings({})) },
        // What is committed then: whoever kills it afterwards finds that.
        prepare: async (client) => {
          found = await client.query(rows, subject);
        },
      });
      expect(found).toEqual([{ hash: null, email: null, name: null }]);
      expect(await database.log.query(rows, subject)).toEqual(found);
    } finally {
      await database.close();
      await bare.remove();
    }
  });

  test('says plainly where there is no list, and then could be read', async () => {
    const other = await kind.createBare();
    try {
      const none = { FORGOTTEN_FILE: join(folder, 'none') };
      const restored = await commandLine(['restore', file], { ...other.environment, ...none });
      expect(restored.out).toContain('There is no list of who was forgotten');
      expect((await readable(other)).text).toContain(mark);
    } finally {
      await other.remove();
    }
  });

  test.each([
    ['that is not there', 'nowhere.jsonl', 'There is no file'],
    ['that is none', 'shop.backup', 'is no list of who was forgotten'],
  ])('is not restored with a list %s', async (_, name, message) => {
    const { code, errors } = await commandLine(
      ['restore', file, '--forgotten', join(folder, name)],
      target.environment,
    );
    expect([code, errors]).toEqual([1, expect.stringContaining(message)]);
  });
});
