import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { knownOfProgram } from '../../src/cli/known-of-program.ts';
import { readSettings } from '../../src/config.ts';
import { backUp } from '../../src/eventsourcing/backup/backup.ts';
import { restoreBackup } from '../../src/eventsourcing/backup/restore.ts';
import type { Until } from '../../src/eventsourcing/backup/until.ts';
import type { Database } from '../../src/platform/database.ts';
import { shopArchiver } from '../../src/server/shop-engine.ts';
import { LATER } from '../support/archives.ts';
import { Buyer } from '../support/buyer.ts';
import { eventually, inMs } from '../support/operator.ts';
import type { Order } from '../support/order-views.ts';
import { unreachableParties } from '../support/outside.ts';
import { RunningClock } from '../support/running-clock.ts';
import { type LocalServer, startLocalServer, startServerOver } from '../support/servers.ts';
import { auditStore } from '../support/store-audit.ts';
import { storedTexts } from '../support/stored-text.ts';
import { describeEachStore, openMigrated, type TestStore } from '../support/stores.ts';

// A store that goes back to a point is what it was then: its log, its read tables, and all that was under way.

const PAYMENT_LIMIT_MS = 900_000;
const counted = z.tuple([z.object({ count: z.number() })]);
const ids = z.array(z.object({ id: z.string() }));
const headRow = z.tuple([z.object({ position: z.coerce.number() })]);
const recordedRow = z.tuple([z.object({ at: z.date() })]);
const known = knownOfProgram(readSettings({}));
// Where a command lies in the queue, but for what the queue counts for itself.
const QUEUE = `SELECT q.command_id::text AS id, lane || ' ' || due_at || ' ' || is_delayed || ' ' || coalesce(timer, '-') AS text
  FROM command_queue AS q ORDER BY due_at, seq`;

async function untilIdle(server: LocalServer | { engine: LocalServer['engine'] }, { log }: Database): Promise<void> {
  await eventually(async () => {
    const head = await server.engine.tail.refresh();
    for (const { position } of server.engine.followers) expect(position).toBe(head);
    const [{ count }] = counted.parse(
      await log.query(
        'SELECT count(*)::int AS count FROM command_queue WHERE NOT is_delayed AND dead_letter_id IS NULL',
      ),
    );
    expect(count).toBe(0);
    // What was run between the two looks has followers go on.
    expect(await server.engine.tail.refresh()).toBe(head);
  });
}

describeEachStore('A store that goes back', (kind) => {
  const folder = mkdtempSync(join(tmpdir(), 'cartstream-until-'));
  const file = join(folder, 'shop.backup');
  const clock = new RunningClock();
  let store: TestStore;
  let point: number;
  let begun: number;
  let at: Date;
  let before: { readonly texts: ReadonlyMap<string, string>; readonly queue: unknown; readonly order: object };
  let order: Order;

  beforeAll(async () => {
    store = await kind.create();
    const server = await startLocalServer(store, { paymentLimitMs: PAYMENT_LIMIT_MS }, undefined, clock);
    const { database } = server;
    const head = async () =>
      headRow.parse(await database.log.query('SELECT position FROM log_head WHERE id = 1'))[0].position;
    const buyer = new Buyer(server.url);
    await buyer.addProduct('A');
    const [cartId, later] = [await buyer.cartWith({ A: 1 }), await buyer.newCart()];
    begun = await head();
    order = await buyer.placed({ A: 2 });
    const queued = await buyer.queue(
      'addItemToCart',
      { cartId: later, sku: 'A', quantity: 3 },
      { dueAt: inMs(3_600_000) },
    );
    await untilIdle(server, database);
    point = await head();
    [{ at }] = recordedRow.parse(
      await database.log.query('SELECT recorded_at AS at FROM events WHERE position = $1', point),
    );
    const { position: _, ...shown } = (await buyer.order(order.id)) ?? {};
    before = {
      texts: await storedTexts(database),
      queue: await database.log.query(QUEUE),
      order: shown,
    };

    // The mishap, and what followed.
    await buyer.addItem(cartId, 'A', 5);
    expect(await buyer.cancel(order.id)).toMatchObject({ __typename: 'OrderPayload' });
    await buyer.operate('cancelCommand', { target: queued });
    await buyer.placed({ A: 1 });
    await buyer.queue(
      'addItemToCart',
      { cartId: await buyer.newCart(), sku: 'A', quantity: 1 },
      { dueAt: inMs(7_200_000) },
    );
    await untilIdle(server, database);
    await backUp(database, file);
    await server.stop();
  });
  afterAll(async () => {
    await store.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Restores it into a store of its own, for as long as the work lasts. */
  async function wentBack(until: Until, work: (database: Database) => Promise<void>): Promise<void> {
    const target = await kind.create();
    const database = await openMigrated(target);
    try {
      await restoreBackup({ database, path: file, until, known });
      await work(database);
    } finally {
      await database.close();
      await target.remove();
    }
  }
  const audit = async (database: Database) => {
    const commands = ids.parse(await database.log.query('SELECT command_id AS id FROM commands'));
    const all = commands.map(({ id }) => id);
    await auditStore(database, [], all);
  };
  const serve = (database: Database) =>
    startServerOver(database, { paymentLimitMs: PAYMENT_LIMIT_MS }, unreachableParties(), clock);

  test('has the same log, commands and queue as then, and folds the same read tables', async () => {
    await wentBack({ position: point }, async (database) => {
      const texts = await storedTexts(database);
      const sorted = (name: string, from: ReadonlyMap<string, string>) => (from.get(name) ?? '').split('\n').sort();
      for (const table of ['events', 'streams', 'commands']) {
        expect(sorted(table, texts), table).toEqual(sorted(table, before.texts));
      }
      expect(await database.log.query(QUEUE)).toEqual(before.queue);

      const server = await serve(database);
      try {
        const buyer = new Buyer(`http://127.0.0.1:${server.port}/graphql`);
        await untilIdle(server, database);
        const { position: _, ...shown } = (await buyer.order(order.id)) ?? {};
        expect(shown).toEqual(before.order);
        // Its payment is waited for as before: the timer is there, and goes off.
        await server.engine.store.resume();
        clock.advance(PAYMENT_LIMIT_MS + 1_000);
        await buyer.untilOrder(order.id, { status: 'CANCELLED' });
        expect(await buyer.deadLetters()).toEqual([]);
      } finally {
        await server.stop();
      }
      await audit(database);
    });
  });

  test('goes back to an instant, too', async () => {
    await wentBack({ at }, async (database) => {
      expect(headRow.parse(await database.log.query('SELECT position FROM log_head WHERE id = 1'))[0].position).toBe(
        point,
      );
    });
  });

  test('refuses a point that the backup does not reach, and stays empty', async () => {
    const tooFar = 'it does not reach so far';
    await expect(wentBack({ position: 1_000_000 }, async () => {})).rejects.toThrow(tooFar);
    await expect(wentBack({ at: new Date('2100-01-01T00:00:00Z') }, async () => {})).rejects.toThrow(tooFar);
  });

  test('refuses to leave out what was archived', async () => {
    const target = await kind.create();
    const database = await openMigrated(target);
    // As if the last event were in the archive: the log has a gap there.
    const settings = { database, path: file, until: { position: point }, known };
    const plant = 'CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$';
    await database.log.query(plant);
    await database.log.query(`CREATE TRIGGER swallowed BEFORE INSERT ON events FOR EACH ROW
      WHEN (NEW.position = ${point + 1}) EXECUTE FUNCTION swallow()`);
    await expect(restoreBackup(settings)).rejects.toThrow('were archived before this backup was made');
    await database.close();
    await target.remove();
  });

  test('refuses a point before commands that were archived: they could not be queued again', async () => {
    const target = await kind.create();
    const database = await openMigrated(target);
    const later = join(folder, 'archived.backup');
    await restoreBackup({ database, path: file, known });
    const archiver = shopArchiver(database, LATER);
    for (let isDone = false; !isDone; ) ({ isDone } = await archiver.next(LATER.now()));
    await backUp(database, later);
    await database.close();
    await target.remove();
    const bare = await kind.create();
    const second = await openMigrated(bare);
    const going = restoreBackup({ database: second, path: later, until: { position: point }, known });
    await expect(going).rejects.toThrow('were archived before this backup was made');
    await restoreBackup({ database: second, path: later, known });
    await second.close();
    await bare.remove();
  });

  test('refuses a position of another life of the store', async () => {
    const target = await kind.create();
    const database = await openMigrated(target);
    const going = restoreBackup({ database, path: file, until: { position: point, epoch: '0a0b0c' }, known });
    await expect(going).rejects.toThrow('of another life of the store');
    await database.close();
    await target.remove();
  });

  test('goes on from any point in the middle of a check-out', async () => {
    // At some of these the cart waits for its process, at others an answer is under way.
    const points = Array.from({ length: point - begun }, (_, index) => begun + index + 1).filter((it) => it % 3 === 0);
    expect(points.length).toBeGreaterThan(2);
    for (const position of points) {
      await wentBack({ position }, async (database) => {
        const server = await serve(database);
        const buyer = new Buyer(`http://127.0.0.1:${server.port}/graphql`);
        try {
          await server.engine.store.resume();
          await untilIdle(server, database);
          expect(await buyer.deadLetters(), `at ${position}`).toEqual([]);
          const { nodes } = await buyer.processPage({ status: ['RUNNING'] });
          const waiting = nodes.filter(({ process }) => process === 'checkout');
          const found = await buyer.order(order.id);
          // Either the check-out had not begun by then, or it came as far as it can: the payment is waited for.
          if (waiting.length > 0) expect(found, `at ${position}`).toMatchObject({ status: 'PLACED' });
        } finally {
          await server.stop();
        }
        await audit(database);
      });
    }
  });
});
