import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import pg from 'pg';
import { describe, it } from 'vitest';
import { type Database, type DatabaseSettings, openDatabase } from '../../src/platform/database.ts';
import { migrate } from '../../src/platform/migrations.ts';
import { testMasterKey } from './master-key.ts';

/** A PostgreSQL server for the suites that need one. `.ci/run` makes its absence a failure. */
const SERVER_URL = process.env['TEST_DATABASE_URL'] ?? 'postgresql://root@127.0.0.1:5432/postgres';
const REQUIRED = process.env['CARTSTREAM_TEST_REQUIRE_SERVERS'] === '1';

const MASTER_KEY = testMasterKey.toString('base64');

/** An empty store of one engine, for one test file. */
export interface TestStore {
  readonly settings: DatabaseSettings;
  /** What a server process is told of it. */
  readonly environment: Readonly<Record<string, string>>;
  remove(): Promise<void>;
}

export interface StoreKind {
  readonly engine: DatabaseSettings['engine'];
  create(): Promise<TestStore>;
}

const pglite: StoreKind = {
  engine: 'pglite',
  async create() {
    const folder = mkdtempSync(join(tmpdir(), 'cartstream-'));
    return {
      settings: { engine: 'pglite', folder },
      environment: { DATA_DIR: folder, DATABASE_URL: '', MASTER_KEY },
      remove: async () => rmSync(folder, { recursive: true, force: true }),
    };
  },
};

const postgresql: StoreKind = {
  engine: 'postgresql',
  async create() {
    const name = `cartstream_test_${randomUUID().replaceAll('-', '')}`;
    await onServer(`CREATE DATABASE ${name}`);
    const url = new URL(SERVER_URL);
    url.pathname = `/${name}`;
    return {
      settings: { engine: 'postgresql', url: url.href },
      environment: { DATABASE_URL: url.href, MASTER_KEY },
      remove: async () => onServer(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
    };
  },
};

async function onServer(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: SERVER_URL, connectionTimeoutMillis: 2_000 });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

async function isServerThere(): Promise<boolean> {
  try {
    await onServer('SELECT 1');
    return true;
  } catch (error) {
    if (REQUIRED) throw new Error(`No PostgreSQL server answers at ${SERVER_URL}.`, { cause: error });
    return false;
  }
}

/** The engines that this machine can test. */
export const storeKinds: readonly StoreKind[] = (await isServerThere()) ? [pglite, postgresql] : [pglite];

/** The same suite for every engine; says plainly which it had to leave out. */
export function describeEachStore(name: string, suite: (kind: StoreKind) => void): void {
  describe(`${name} on ${pglite.engine}`, () => suite(pglite));
  describeServerStore(name, suite);
}

/** A suite of what only a server can do: be used by several processes. */
export function describeServerStore(name: string, suite: (kind: StoreKind) => void): void {
  describe(`${name} on ${postgresql.engine}`, () => {
    if (storeKinds.includes(postgresql)) suite(postgresql);
    else it.skipIf(true)(`is left out: no server answers at ${SERVER_URL}; set TEST_DATABASE_URL`, () => {});
  });
}

/** Opens a store with its tables made. */
export async function openMigrated({ settings }: TestStore): Promise<Database> {
  const database = await openDatabase(settings);
  await migrate(database);
  return database;
}
