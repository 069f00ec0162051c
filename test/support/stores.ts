import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, inject, it } from 'vitest';
import { type Database, type DatabaseSettings, openDatabase } from '../../src/platform/database.ts';
import { migrate } from '../../src/platform/migrations.ts';
import { testMasterKey } from './master-key.ts';
import { newDatabaseName, onServer, SERVER_URL, urlOf } from './store-templates.ts';

const MASTER_KEY = testMasterKey.toString('base64');
const templates = inject('storeTemplates');

/** A store of one engine, for one test file. */
export interface TestStore {
  readonly settings: DatabaseSettings;
  /** What a server process is told of it. */
  readonly environment: Readonly<Record<string, string>>;
  remove(): Promise<void>;
}

export interface StoreKind {
  readonly engine: DatabaseSettings['engine'];
  /** A store that is migrated, and has nothing in it. */
  create(): Promise<TestStore>;
  /** One as a user has it before the first start: it has no tables yet. */
  createBare(): Promise<TestStore>;
}

/** Of the engine that every machine has: for what does not depend on it. */
export const embeddedStores: StoreKind = {
  engine: 'pglite',
  async create() {
    const folder = newFolder();
    cpSync(templates.folder, folder, { recursive: true });
    return inFolder(folder);
  },
  createBare: async () => inFolder(newFolder()),
};

function newFolder(): string {
  return mkdtempSync(join(tmpdir(), 'cartstream-'));
}

function inFolder(folder: string): TestStore {
  return {
    settings: { engine: 'pglite', folder },
    environment: { DATA_DIR: folder, DATABASE_URL: '', MASTER_KEY },
    remove: async () => rmSync(folder, { recursive: true, force: true }),
  };
}

const postgresql: StoreKind = {
  engine: 'postgresql',
  create: () => inNewDatabase(`TEMPLATE ${templates.database}`),
  createBare: () => inNewDatabase(''),
};

async function inNewDatabase(like: string): Promise<TestStore> {
  const name = newDatabaseName();
  await onServer(`CREATE DATABASE ${name} ${like}`);
  const url = urlOf(name);
  const folder = newFolder();
  return {
    settings: { engine: 'postgresql', url },
    // What servers keep beside the database is this store's alone, too.
    environment: { DATABASE_URL: url, DATA_DIR: folder, MASTER_KEY },
    async remove() {
      rmSync(folder, { recursive: true, force: true });
      await onServer(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    },
  };
}

/** The engines that this machine can test. */
export const storeKinds: readonly StoreKind[] =
  templates.database === null ? [embeddedStores] : [embeddedStores, postgresql];

/** The same suite for every engine; says plainly which it had to leave out. */
export function describeEachStore(name: string, suite: (kind: StoreKind) => void): void {
  describe(`${name} on ${embeddedStores.engine}`, () => suite(embeddedStores));
  describeServerStore(name, suite);
}

/** A suite of what only a server can do: be used by several processes. */
export function describeServerStore(name: string, suite: (kind: StoreKind) => void): void {
  describe(`${name} on ${postgresql.engine}`, () => {
    if (storeKinds.includes(postgresql)) suite(postgresql);
    else it.skipIf(true)(`is left out: no server answers at ${SERVER_URL}; set TEST_DATABASE_URL`, () => {});
  });
}

/** Opens a store with its tables made, as a server does. */
export async function openMigrated({ settings }: TestStore): Promise<Database> {
  const database = await openDatabase(settings);
  await migrate(database);
  return database;
}
