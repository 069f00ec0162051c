import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { z } from 'zod';
import { knownOfProgram } from '../../src/cli/known-of-program.ts';
import { readSettings } from '../../src/config.ts';
import { backUp } from '../../src/eventsourcing/backup/backup.ts';
import { restoreBackup } from '../../src/eventsourcing/backup/restore.ts';
import { openDatabase, type SqlClient } from '../../src/platform/database.ts';
import { linesOfBackup, ofEarlierVersion } from '../support/backup-files.ts';
import { mendFaults } from '../support/planted-faults.ts';
import { BROKEN, ServedShop } from '../support/served-shop.ts';
import { describeEachStore } from '../support/stores.ts';

const headRow = z.tuple([z.object({ position: z.number() })]);

describeEachStore('A store that goes back to when a command had failed, and others waited behind it', (kind) => {
  const closing: (() => unknown)[] = [];
  afterEach(async () => {
    await mendFaults();
    for (const close of closing.splice(0).reverse()) await close();
  });

  it('has them as they were, whatever became of them later', async () => {
    const shop = await ServedShop.open(kind);
    closing.push(() => shop.close());
    const { operator } = shop;
    const { log } = shop.server.database;
    const fault = await shop.breakSku();
    const { cartId } = await shop.addition();
    const [failed, behind] = [randomUUID(), randomUUID()];
    await operator.queue('addItemToCart', { cartId, sku: BROKEN, quantity: 1, commandId: failed });
    await shop.hurry(failed, 'FAILED');
    await operator.queue('clearCart', { cartId, commandId: behind });
    const letter = await shop.letterOf(failed, 'command');
    await operator.newCart();
    const look = (client: Pick<SqlClient, 'query'>) =>
      client.query(
        `SELECT c.status, c.error, letter.status AS letter, q.lane, q.dead_letter_id = letter.id AS "isDead"
         FROM commands AS c LEFT JOIN command_queue AS q ON q.command_id = c.command_id
         LEFT JOIN dead_letters AS letter ON letter.subject = c.command_id::text
         WHERE c.command_id IN ($1::uuid, $2::uuid) ORDER BY c.status`,
        failed,
        behind,
      );
    const then = await look(log);
    expect(then).toMatchObject([
      { status: 'FAILED', letter: 'OPEN', isDead: true },
      { status: 'QUEUED', letter: null },
    ]);
    const [{ position }] = headRow.parse(await log.query('SELECT position::int AS position FROM log_head'));
    await operator.newCart();
    await fault.mend();
    await operator.operate('retryDeadLetter', { deadLetterId: letter.id });
    for (const id of [failed, behind]) await operator.untilStatus(id, 'SUCCEEDED');

    const folder = mkdtempSync(join(tmpdir(), 'cartstream-queue-'));
    closing.push(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'shop.backup');
    await backUp(shop.server.database, path);
    const known = knownOfProgram(readSettings({}));
    const goneBack = async (file: string) => {
      const target = await kind.createBare();
      closing.push(target.remove);
      const database = await openDatabase(target.settings);
      closing.push(database.close);
      const { wentBack } = await restoreBackup({ database, path: file, until: { position }, known });
      return { database, wentBack };
    };
    const { database, wentBack } = await goneBack(path);
    expect(wentBack).toMatchObject({ failed: 1, dead: 0, unanswered: { count: 0 } });
    expect(await look(database.log)).toEqual(then);

    // A version that did not note what was queued made a backup that does not tell: they are left out, and named.
    const earlier = join(folder, 'earlier.backup');
    writeFileSync(earlier, ofEarlierVersion(linesOfBackup(path)).content);
    const before = await goneBack(earlier);
    expect(before.wentBack).toMatchObject({ failed: 0, unanswered: { count: 2, first: [failed, behind].sort() } });
  });
});
