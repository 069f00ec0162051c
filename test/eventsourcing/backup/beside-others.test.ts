import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { backUp } from '../../../src/eventsourcing/backup/backup.ts';
import { StoreInUse } from '../../../src/eventsourcing/backup/empty-store.ts';
import { BadFile } from '../../../src/eventsourcing/backup/line-file.ts';
import { restoreBackup } from '../../../src/eventsourcing/backup/restore.ts';
import { type Database, openDatabase } from '../../../src/platform/database.ts';
import { migrate } from '../../../src/platform/migrations.ts';
import { linesOfBackup, ofEarlierVersion, signed } from '../../support/backup-files.ts';
import { addProducts } from '../../support/cart-load.ts';
import { startLocalServer } from '../../support/servers.ts';
import { describeEachStore, openMigrated, type TestStore } from '../../support/stores.ts';

// Whatever others have in the same schema is theirs: no backup holds it, and no restore changes it.

const known = { readTables: [], personal: new Map(), performed: [], secretive: [] };
const INVOICES = [
  'CREATE TABLE other_app_invoices (id serial PRIMARY KEY, total int NOT NULL)',
  'INSERT INTO other_app_invoices (total) SELECT n FROM generate_series(1, 1000) AS n',
];
const LOOK = `SELECT (SELECT count(*)::int FROM other_app_invoices) AS count,
  (SELECT last_value::int FROM other_app_invoices_id_seq) AS last, (SELECT count(*)::int FROM product_view) AS products`;
const looked = z.tuple([z.object({ count: z.number(), last: z.number(), products: z.number() })]);
const headers = z.looseObject({
  migrations: z.array(z.string()),
  sequences: z.array(z.looseObject({ name: z.string() })),
});

describeEachStore('A restore beside tables of others', (kind) => {
  const folder = mkdtempSync(join(tmpdir(), 'cartstream-beside-'));
  const file = join(folder, 'shop.backup');
  const removals: (() => Promise<void>)[] = [];
  let lines: readonly string[];

  const opened = async (open: (store: TestStore) => Promise<Database>, isBare = false): Promise<Database> => {
    const store = await (isBare ? kind.createBare() : kind.create());
    const database = await open(store);
    removals.push(database.close, store.remove);
    return database;
  };
  const run = async ({ log }: Database, statements: readonly string[]) => {
    for (const sql of statements) await log.query(sql);
  };
  const look = async ({ log }: Database) => looked.parse(await log.query(LOOK))[0];

  beforeAll(async () => {
    const store = await kind.create();
    const server = await startLocalServer(store);
    removals.push(store.remove);
    await run(server.database, INVOICES);
    await addProducts(server.url, ['A', 'B']);
    await backUp(server.database, file);
    await server.stop();
    lines = linesOfBackup(file);
  });
  afterAll(async () => {
    for (const remove of removals) await remove();
    rmSync(folder, { recursive: true, force: true });
  });

  test('has nothing of theirs in the backup', () => {
    const { sequences } = headers.parse(JSON.parse(lines[0] ?? ''));
    expect(sequences.map(({ name }) => name)).toEqual(['command_queue_seq_seq']);
    expect(lines.filter((line) => line.includes('other_app'))).toEqual([]);
  });

  test('leaves them as they are, and names them', async () => {
    const database = await opened(openMigrated);
    await run(database, INVOICES);
    expect(await restoreBackup({ database, path: file, known })).toMatchObject({ foreign: ['other_app_invoices'] });
    expect(await look(database)).toEqual({ count: 1000, last: 1000, products: 2 });
  });

  test('passes over those that a backup of before has, also of the same name', async () => {
    const database = await opened(openMigrated);
    await run(database, INVOICES);
    const others = ['{"table":"notes","columns":["note"]}', '["1"]'];
    const same = ['{"table":"other_app_invoices","columns":["id","total"]}', '["7","7"]'];
    const sequences = [{ name: 'other_app_invoices_id_seq', value: '7', isCalled: true }];
    const header = { ...headers.parse(JSON.parse(lines[0] ?? '')), sequences };
    const path = join(folder, 'before.backup');
    writeFileSync(path, signed([JSON.stringify(header), ...others, ...same, ...lines.slice(1)]));
    const foreign = ['notes', 'other_app_invoices'];
    expect(await restoreBackup({ database, path, known })).toMatchObject({ foreign });
    expect(await look(database)).toEqual({ count: 1000, last: 1000, products: 2 });
  });

  test('leaves them as they are where the backup is of an earlier version', async () => {
    const { migrations, content } = ofEarlierVersion(lines);
    const database = await opened(async ({ settings }) => {
      const bare = await openDatabase(settings);
      await migrate(bare, new Set(migrations));
      return bare;
    }, true);
    await run(database, INVOICES);
    const path = join(folder, 'earlier.backup');
    writeFileSync(path, content);
    expect(await restoreBackup({ database, path, known })).toMatchObject({ foreign: ['other_app_invoices'] });
    expect(await look(database)).toEqual({ count: 1000, last: 1000, products: 2 });
    expect(await migrate(database)).toEqual([]);
  });

  test('is refused where they refer to its tables', async () => {
    const database = await opened(openMigrated);
    await run(database, [...INVOICES, 'CREATE TABLE liked (sku text REFERENCES product_view)']);
    const restoring = restoreBackup({ database, path: file, known });
    await expect(restoring).rejects.toThrow('refer to its own: liked. Drop');
    await expect(restoring).rejects.toBeInstanceOf(StoreInUse);
    expect(await look(database)).toEqual({ count: 1000, last: 1000, products: 0 });
  });

  test('does not touch what inherits from its tables', async () => {
    const database = await opened(openMigrated);
    await run(database, ['CREATE TABLE liked () INHERITS (store_state)', 'INSERT INTO liked (id) VALUES (7)']);
    expect(await restoreBackup({ database, path: file, known })).toMatchObject({ foreign: ['liked'] });
    expect(await database.log.query('SELECT id FROM liked')).toEqual([{ id: 7 }]);
  });

  test('finds no backup of tables that it does not know', async () => {
    const database = await opened(openMigrated);
    await run(database, [
      `INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at) VALUES ('1', '', '20990101000000_later', now())`,
    ]);
    const making = backUp(database, join(folder, 'later.backup'));
    await expect(making).rejects.toThrow('newer version of cartstream');
    await expect(making).rejects.toBeInstanceOf(BadFile);
  });
});
