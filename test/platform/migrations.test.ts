import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type Database, openDatabase } from '../../src/platform/database.ts';
import { knownMigrations, migrate, migrationDrift, NotOurs, tablesMadeBy } from '../../src/platform/migrations.ts';
import { commandLine } from '../support/command-line.ts';
import { startServerProcess } from '../support/servers.ts';
import { describeEachStore, embeddedStores, type TestStore } from '../support/stores.ts';

const applied = z.array(z.object({ name: z.string(), finished: z.boolean() }));
const names = z.array(z.object({ name: z.string() }));
const TABLES = `SELECT tablename::text AS name FROM pg_tables WHERE schemaname = 'public'`;
const APPLIED = 'SELECT migration_name AS name, finished_at IS NOT NULL AS finished FROM _prisma_migrations ORDER BY 1';

describe('The migrations', () => {
  it('make what schema.prisma describes', async () => {
    const store = await embeddedStores.create();
    const database = await openDatabase(store.settings);
    expect(await migrationDrift(database)).toBe('');
    await database.close();
    await store.remove();
  });

  it('say which tables they make', async () => {
    const store = await embeddedStores.create();
    const database = await openDatabase(store.settings);
    const made = names.parse(await database.log.query(TABLES)).map(({ name }) => name);
    expect([...tablesMadeBy(knownMigrations()), '_prisma_migrations'].sort()).toEqual(made.sort());
    await database.close();
    await store.remove();
  });
});

describeEachStore('The migrations', (kind) => {
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  async function create(): Promise<TestStore> {
    const store = await kind.createBare();
    closing.push(store.remove);
    return store;
  }

  async function open({ settings }: TestStore): Promise<Database> {
    const database = await openDatabase(settings);
    closing.push(database.close);
    return database;
  }

  it('are applied once: a second time there is nothing to do', async () => {
    const store = await create();
    const database = await open(store);
    const names = await migrate(database);
    expect(names.length).toBeGreaterThan(0);
    expect(await migrate(database)).toEqual([]);
    expect(applied.parse(await database.log.query(APPLIED))).toEqual(names.map((name) => ({ name, finished: true })));
    expect(await database.log.prisma.logHead.findMany()).toMatchObject([{ id: 1, position: 0n }]);
  });

  it('find nothing to do in a store that is opened again', async () => {
    // Every such store was migrated by a process that is gone.
    const store = await kind.create();
    closing.push(store.remove);
    expect(await migrate(await open(store))).toEqual([]);
  });

  it('are not applied beside tables of others, in a database that has none of ours', async () => {
    const store = await create();
    const database = await openDatabase(store.settings);
    await database.log.query('CREATE TABLE other_app_invoices AS SELECT 1 AS id');
    await expect(migrate(database)).rejects.toBeInstanceOf(NotOurs);
    expect(names.parse(await database.log.query(TABLES))).toEqual([{ name: 'other_app_invoices' }]);
    await database.close();
    expect(await commandLine(['migrate'], store.environment)).toEqual({
      ...{ code: 1, out: '' },
      errors: expect.stringMatching(
        /^There are tables in this database, .* an empty one, with DATABASE_URL or DATA_DIR\.\n$/,
      ),
    });
  });

  // Several processes share only a server; an embedded store has one.
  if (kind.engine === 'pglite') return;

  it('leave no lock behind that would hold up the next version', async () => {
    const database = await open(await create());
    await migrate(database);
    const locks = await database.log.query(
      `SELECT objid::text FROM pg_locks WHERE locktype = 'advisory'
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
    );
    expect(locks).toEqual([]);
  });

  it('are applied by one of several servers that start at once', async () => {
    const store = await create();
    const servers = await Promise.all([1, 2].map(() => startServerProcess(store)));
    closing.push(...servers.map((it) => () => it.kill()));
    for (const { url } of servers) expect((await fetch(new URL('/health/ready', url))).status).toBe(200);
  });

  it('are applied by one of several processes that begin at once', async () => {
    const store = await create();
    const databases = await Promise.all([1, 2, 3].map(() => open(store)));
    const names = await Promise.all(databases.map((it) => migrate(it)));
    const [first] = databases;
    const rows = applied.parse(await first?.log.query(APPLIED));
    expect(names.flat().sort()).toEqual(rows.map(({ name }) => name));
    expect(rows.every(({ finished }) => finished)).toBe(true);
    expect(await first?.log.prisma.logHead.count()).toBe(1);
  });
});
