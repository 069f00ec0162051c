import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import type { Database } from '../../src/platform/database.ts';
import { ADDRESS, Buyer } from '../support/buyer.ts';
import { OWN_SIMULATORS, startServerProcess } from '../support/servers.ts';
import { filesWith, storedTexts } from '../support/stored-text.ts';
import { describeEachStore, openMigrated } from '../support/stores.ts';

// Whoever has the disk, the database, a backup or the logs learns nothing of who ordered.

const found = z.array(z.object({ name: z.string() }));

/** Segments of the write-ahead log that hold a text; none where this database user may not read them. */
async function segmentsWith({ log }: Database, text: string): Promise<string[]> {
  const rows = await log.query(
    `SELECT name FROM pg_ls_waldir() WHERE position(convert_to($1, 'UTF8') IN pg_read_binary_file('pg_wal/' || name)) > 0`,
    text,
  );
  return found.parse(rows).map(({ name }) => name);
}

describeEachStore('A name, an address and a payment token', (kind) => {
  test('are nowhere in the clear: not in a file, a table, the write-ahead log, or a line of the log', async () => {
    const store = await kind.create();
    const folder = mkdtempSync(join(tmpdir(), 'cartstream-private-'));
    const mark = randomUUID().replaceAll('-', '');
    const email = `ada.${mark}@example.com`;
    const address = { ...ADDRESS, name: `Name${mark}`, street: `Street${mark}`, city: `City${mark}` };
    const token = `tok_ok_${mark}`;
    const declined = `tok_decline_${mark}`;
    const server = await startServerProcess(store, ['--no-seed'], {
      ...OWN_SIMULATORS,
      LOG_LEVEL: 'trace',
      ...(kind.engine === 'postgresql' ? { DATA_DIR: folder } : {}),
    });
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
    } finally {
      await server.stop();
      await database?.close();
      await store.remove();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
