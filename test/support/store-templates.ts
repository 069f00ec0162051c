import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';

/** A PostgreSQL server for the suites that need one. */
export const SERVER_URL = process.env['TEST_DATABASE_URL'] ?? 'postgresql://root@127.0.0.1:5432/postgres';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** Stores that are migrated once, before all tests: to copy one takes a tenth of what it takes to make one. */
export interface StoreTemplates {
  /** Of PGlite; no process has it open. */
  readonly folder: string;
  /** A database of the server; nobody is connected to it. null: no server answers. */
  readonly database: string | null;
}

declare module 'vitest' {
  interface ProvidedContext {
    readonly storeTemplates: StoreTemplates;
  }
}

/** Needs dist/main.js to be that of the sources. */
export async function makeStoreTemplates(): Promise<{ templates: StoreTemplates; remove: () => Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'cartstream-template-'));
  const made = await Promise.allSettled([migrate({ DATA_DIR: folder, DATABASE_URL: '' }), makeTemplateDatabase()]);
  const database = made[1].status === 'fulfilled' ? made[1].value : null;
  const remove = async () => {
    rmSync(folder, { recursive: true, force: true });
    if (database !== null) await onServer(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`);
  };
  for (const it of made) {
    if (it.status === 'fulfilled') continue;
    await remove();
    throw it.reason;
  }
  return { templates: { folder, database }, remove };
}

async function makeTemplateDatabase(): Promise<string | null> {
  if (!(await isServerThere())) return null;
  const name = newDatabaseName();
  await onServer(`CREATE DATABASE ${name}`);
  try {
    await migrate({ DATABASE_URL: urlOf(name) });
  } catch (error) {
    await onServer(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    throw error;
  }
  return name;
}

async function migrate(environment: Readonly<Record<string, string>>): Promise<void> {
  await promisify(execFile)(process.execPath, [MAIN, 'migrate'], { env: { ...process.env, ...environment } });
}

export function newDatabaseName(): string {
  return `cartstream_test_${randomUUID().replaceAll('-', '')}`;
}

export function urlOf(database: string): string {
  const url = new URL(SERVER_URL);
  url.pathname = `/${database}`;
  return url.href;
}

export async function onServer(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: SERVER_URL, connectionTimeoutMillis: 10_000 });
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
    if (process.env['CARTSTREAM_TEST_REQUIRE_SERVERS'] !== '1') return false;
    throw new Error(`No PostgreSQL server answers at ${SERVER_URL}.`, { cause: error });
  }
}
