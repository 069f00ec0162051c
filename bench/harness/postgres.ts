import { randomUUID } from 'node:crypto';
import { userInfo } from 'node:os';
import process from 'node:process';
import { Client } from 'pg';

/** A PostgreSQL server on which databases may be made. */
export interface PostgresServer {
  version: string;
  /** As configured: a commit that was answered survives a power failure. */
  durable: boolean;
  createDatabase(): Promise<TemporaryDatabase>;
}

export interface TemporaryDatabase {
  url: string;
  drop(): Promise<void>;
}

/** Databases that are not dropped yet. */
const made = new Set<TemporaryDatabase>();

export async function dropAll(): Promise<void> {
  await Promise.allSettled([...made].map((database) => database.drop()));
}

export function postgresUrl(): string {
  const { BENCH_DATABASE_URL } = process.env;
  return BENCH_DATABASE_URL ?? `postgresql://${encodeURIComponent(userInfo().username)}@127.0.0.1:5432/postgres`;
}

/** @returns nothing where no server answers */
export async function findPostgres(url: string): Promise<PostgresServer | undefined> {
  try {
    const [settings] = await query(
      url,
      `SELECT current_setting('server_version') AS version, current_setting('fsync') AS fsync,
              current_setting('synchronous_commit') AS commits, current_setting('full_page_writes') AS pages`,
    );
    const durable = settings?.['fsync'] === 'on' && settings['commits'] !== 'off' && settings['pages'] === 'on';
    return { version: String(settings?.['version']), durable, createDatabase: () => createDatabase(url) };
  } catch {
    return undefined;
  }
}

async function createDatabase(serverUrl: string): Promise<TemporaryDatabase> {
  const name = `cartstream_bench_${randomUUID().replaceAll('-', '').slice(0, 12)}`;
  await query(serverUrl, `CREATE DATABASE ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const database: TemporaryDatabase = {
    url: url.href,
    async drop() {
      if (!made.delete(database)) return;
      await query(serverUrl, `DROP DATABASE ${name} WITH (FORCE)`);
    },
  };
  made.add(database);
  return database;
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 3000 });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}
