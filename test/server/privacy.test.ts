import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import type { Database } from '../../src/platform/database.ts';
import { ADDRESS, Buyer, onlyOne } from '../support/buyer.ts';
import { inMs, receiptOf } from '../support/operator.ts';
import { OWN_SIMULATORS, startServerProcess } from '../support/servers.ts';
import { filesWith, storedTexts } from '../support/stored-text.ts';
import { describeEachStore, openMigrated, type TestStore } from '../support/stores.ts';

// Whoever has the disk, the database, a backup or the logs learns nothing of who ordered, nor what they said.

const found = z.array(z.object({ name: z.string() }));

/** Segments of the write-ahead log that hold a text; none where this database user may not read them. */
async function segmentsWith({ log }: Database, text: string): Promise<string[]> {
  const rows = await log.query(
    `SELECT name FROM pg_ls_waldir() WHERE position(convert_to($1, 'UTF8') IN pg_read_binary_file('pg_wal/' || name)) > 0`,
    text,
  );
  return found.parse(rows).map(({ name }) => name);
}

const REASONS = `query Reasons($orderId: ID!, $commandId: ID!) { order(id: $orderId) { status statusReason }
  command(commandId: $commandId) { status input events { ... on OrderItemsReturned { payload { reason } } } } }`;

interface Returned {
  readonly orderId: string;
  readonly commandId: string;
}

/** Goods are ordered and given up in every way there is; each time, somebody says why. */
async function changeMinds(buyer: Buyer, wordsOf: (what: string) => string): Promise<Returned> {
  const given = await buyer.placed({ ink: 1 });
  expect(await buyer.cancel(given.id, { reason: wordsOf('Cancelled') })).toMatchObject({ __typename: 'OrderPayload' });
  const { id: orderId, shipments } = await buyer.prepared({ ink: 2 });
  for (const to of ['IN_TRANSIT', 'DELIVERED']) {
    await buyer.run('advanceShipment', { shipmentId: onlyOne(shipments).id, to });
  }
  await buyer.untilOrder(orderId, { status: 'DELIVERED' });
  expect(await buyer.cancel(orderId, { reason: wordsOf('Refused') })).toMatchObject({ __typename: 'IllegalState' });
  const later = { orderId, lines: [{ sku: 'ink', quantity: 1 }], reason: wordsOf('Later') };
  await buyer.queue('returnItems', later, { dueAt: inMs(3_600_000) });
  const outcome = await buyer.returnItems(orderId, { ink: 1 }, { reason: wordsOf('Returned') });
  return { orderId, commandId: receiptOf(outcome).commandId };
}

/** What is shown of why goods came back. */
function shownOf(returned: Returned, buyer: Buyer): Promise<object> {
  return buyer.read<object>(REASONS, { ...returned });
}

const withReason = (reason: string | null) => ({
  order: { status: 'PARTIALLY_RETURNED', statusReason: reason },
  command: { status: 'SUCCEEDED', input: { reason }, events: [{ payload: { reason } }] },
});

/** Everybody is forgotten by the destruction of their keys. The store's own is kept. */
async function forgetAll(store: TestStore): Promise<void> {
  const database = await openMigrated(store);
  await database.log.query("UPDATE subject_keys SET wrapped_key = NULL, destroyed_at = now() WHERE subject_id <> ''");
  await database.close();
}

describeEachStore('A name, an address, a payment token and the reason why', (kind) => {
  test('are nowhere in the clear: not in a file, a table, the write-ahead log, or a line of the log', async () => {
    const store = await kind.create();
    const folder = mkdtempSync(join(tmpdir(), 'cartstream-private-'));
    const mark = randomUUID().replaceAll('-', '');
    const email = `ada.${mark}@example.com`;
    const address = { ...ADDRESS, name: `Name${mark}`, street: `Street${mark}`, city: `City${mark}` };
    const token = `tok_ok_${mark}`;
    const declined = `tok_decline_${mark}`;
    const environment = kind.engine === 'postgresql' ? { DATA_DIR: folder } : {};
    const start = () =>
      startServerProcess(store, ['--no-seed'], { ...OWN_SIMULATORS, LOG_LEVEL: 'trace', ...environment });
    let server = await start();
    const database = kind.engine === 'postgresql' ? await openMigrated(store) : undefined;
    try {
      const buyer = new Buyer(server.url);
      await buyer.addProduct('ink', { stock: 10 });
      const { order } = await buyer.checkOut(await buyer.cartWith({ ink: 2 }), { email, shippingAddress: address });
      const id = order?.id ?? '';
      expect(await buyer.pay(id, declined)).toMatchObject({ __typename: 'PaymentDeclined' });
      expect(await buyer.pay(id, token)).toMatchObject({ __typename: 'OrderPayload' });
      // It is there to be read, by whoever may.
      expect(await buyer.untilOrder(id, { email, shipments: [{ status: 'PREPARED' }] })).toMatchObject({ email });
      const mails = await buyer.told(id);
      expect(mails.map(({ to }) => to)).toContain(email);
      const reasonOf = (what: string) => `${what} by ${mark}`;
      const returned = await changeMinds(buyer, reasonOf);
      expect(await shownOf(returned, buyer)).toMatchObject(withReason(reasonOf('Returned')));

      if (database !== undefined) {
        for (const [table, text] of await storedTexts(database)) expect(text.includes(mark), table).toBe(false);
        await database.log.query('SELECT pg_switch_wal()::text');
        expect(await segmentsWith(database, mark)).toEqual([]);
        // It would be found if it were there: the order's number is not personal.
        expect(await segmentsWith(database, order?.number ?? '')).not.toEqual([]);
      }
      await server.stop();
      const folders = [folder, store.environment['DATA_DIR'] ?? folder];
      for (const each of folders) expect(filesWith(each, [mark])).toEqual([]);
      expect(server.output()).toContain('"level":');
      expect(server.output()).not.toContain(mark);

      await forgetAll(store);
      server = await start();
      // Forgotten it is null, and nothing breaks over it.
      expect(await shownOf(returned, new Buyer(server.url))).toMatchObject(withReason(null));
    } finally {
      await server.stop();
      await database?.close();
      await store.remove();
      rmSync(folder, { recursive: true, force: true });
    }
    // Orders are followed to their end, and the server is started twice.
  }, 120_000);
});
