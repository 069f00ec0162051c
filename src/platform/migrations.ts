import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { bindMigrationAwareSqlAdapterFactory, type SqlDriverAdapter } from '@prisma/driver-adapter-utils';
import type { MigrationList, SchemaEngine } from '@prisma/schema-engine-wasm';
import { z } from 'zod';
import type { Database, SqlClient } from './database.ts';
import { packageFile } from './package-root.ts';

/** Names a lock of the PostgreSQL server under which one process at a time migrates. */
const MIGRATION_LOCK = 7_267_309;

const MADE_TABLE = /^(?:CREATE TABLE|ALTER TABLE "\w+" RENAME TO) "(\w+)"/gm;

/** There are tables in the database, and none is cartstream's. The message says what to do. */
export class NotOurs extends Error {
  override readonly name = 'NotOurs';
}

/** Of the schema engine: there are tables, and nothing says which migrations made them. */
const unknownTables = z.object({ code: z.literal('P3005') });

/**
 * Brings the store to this version's tables with Prisma's own schema engine, its WebAssembly build: nothing is
 * downloaded, and `prisma migrate status` agrees.
 * @param only no other migrations than these: for a store that is to be as it was at an earlier version
 * @returns names of the migrations that were applied now
 * @throws {NotOurs} nothing was changed
 */
export async function migrate(database: Database, only?: ReadonlySet<string>): Promise<string[]> {
  const list = migrationList(only);
  const names = list.migrationDirectories.map((directory) => directory.path);
  if (await isUpToDate(database, names)) return [];
  return withMigrationLock(database, async () => {
    // Another process may have migrated while this one waited.
    if (await isUpToDate(database, names)) return [];
    const opened: SqlDriverAdapter[] = [];
    const engine = await schemaEngine(database, (it) => opened.push(it));
    try {
      const { appliedMigrationNames } = await engine.applyMigrations({ migrationsList: list, filters: noFilters() });
      return appliedMigrationNames;
    } catch (error) {
      if (!unknownTables.safeParse(error).success) throw error;
      throw new NotOurs(
        "There are tables in this database, and none of them is cartstream's. Nothing was changed: name another database, or " +
          'an empty one, with DATABASE_URL or DATA_DIR.',
        { cause: error },
      );
    } finally {
      // The schema engine locks the database for as long as its connection lives. PGlite has but one, which stays.
      if (database.engine === 'postgresql') await Promise.all(opened.map((it) => it.dispose()));
    }
  });
}

/**
 * The SQL that would bring the migrations' result to `schema.prisma`; empty where they agree.
 * @param database any PGlite: the migrations are applied to an empty second one beside it
 */
export async function migrationDrift(database: Database): Promise<string> {
  const engine = await schemaEngine(database);
  const result = await engine.diff({
    from: { tag: 'migrations', ...migrationList() },
    to: { tag: 'schemaDatamodel', files: [schemaFile()] },
    script: true,
    exitCode: null,
    filters: noFilters(),
  });
  const sql = result.stdout ?? '';
  return sql.includes('This is an empty migration') ? '' : sql;
}

/** Spares the start of an up-to-date server the loading of the schema engine. */
async function isUpToDate(database: Database, names: string[]): Promise<boolean> {
  const applied = await appliedMigrations(database.log);
  return names.every((name) => applied.includes(name));
}

/** Names of the migrations that a store has, in order; none of one that has no tables yet. */
export async function appliedMigrations(client: Pick<SqlClient, 'query'>): Promise<string[]> {
  const [table] = z
    .array(z.object({ present: z.boolean() }))
    .parse(await client.query(`SELECT to_regclass('_prisma_migrations') IS NOT NULL AS present`));
  if (table?.present !== true) return [];
  return z
    .array(z.object({ migration_name: z.string() }))
    .parse(
      await client.query(
        'SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL ORDER BY 1',
      ),
    )
    .map((row) => row.migration_name);
}

/** Names of the migrations that this version of the program has, in order. */
export function knownMigrations(): string[] {
  return migrationList().migrationDirectories.map(({ path }) => path);
}

/** The tables that these migrations make, as they say it: one that is gone since is among them. */
export function tablesMadeBy(names: readonly string[]): string[] {
  const sql = migrationList(new Set(names)).migrationDirectories.map(({ migrationFile: { content } }) => content.value);
  return sql.flatMap((text) => [...text.matchAll(MADE_TABLE)].flatMap(([, name]) => name ?? []));
}

async function withMigrationLock<T>(database: Database, run: () => Promise<T>): Promise<T> {
  if (database.engine === 'pglite') return run();
  return database.log.prisma.$transaction(
    async (transaction) => {
      await transaction.$queryRawUnsafe(`SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})::text`);
      return run();
    },
    { timeout: 120_000, maxWait: 120_000 },
  );
}

function migrationList(only?: ReadonlySet<string>): MigrationList {
  const baseDir = packageFile('prisma', 'migrations');
  const names = readdirSync(baseDir, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(baseDir, entry.name, 'migration.sql')))
    .map((entry) => entry.name)
    .filter((name) => only?.has(name) ?? true)
    .sort();
  return {
    baseDir,
    lockfile: { path: 'migration_lock.toml', content: readFileSync(join(baseDir, 'migration_lock.toml'), 'utf8') },
    shadowDbInitScript: '',
    migrationDirectories: names.map((name) => ({
      path: name,
      migrationFile: {
        path: 'migration.sql',
        content: { tag: 'ok', value: readFileSync(join(baseDir, name, 'migration.sql'), 'utf8') },
      },
    })),
  };
}

function schemaFile() {
  const path = packageFile('prisma', 'schema.prisma');
  return { path, content: readFileSync(path, 'utf8') };
}

function noFilters() {
  return { externalTables: [], externalEnums: [] };
}

async function schemaEngine(
  { adapters }: Database,
  onConnect: (connection: SqlDriverAdapter) => void = () => {},
): Promise<SchemaEngine> {
  const bindings = await schemaEngineBindings();
  const { path, content } = schemaFile();
  return bindings.SchemaEngine.new(
    { datamodels: [[path, content]] },
    () => {},
    bindMigrationAwareSqlAdapterFactory({
      provider: adapters.provider,
      adapterName: adapters.adapterName,
      connectToShadowDb: () => adapters.connectToShadowDb(),
      async connect() {
        const connection = await adapters.connect();
        onConnect(connection);
        return connection;
      },
    }),
  );
}

let loaded: ReturnType<typeof loadSchemaEngine> | undefined;

/** The bindings keep one WebAssembly instance in their module, so it is loaded once. */
function schemaEngineBindings() {
  loaded ??= loadSchemaEngine();
  return loaded;
}

async function loadSchemaEngine() {
  const bindings = await import('@prisma/schema-engine-wasm/schema_engine_bg');
  const entry = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm');
  const wasm = readFileSync(join(dirname(entry), 'schema_engine_bg.wasm'));
  const { instance } = await WebAssembly.instantiate(wasm, { './schema_engine_bg.js': bindings });
  bindings.__wbg_set_wasm(instance.exports);
  z.function().parse(instance.exports['__wbindgen_start'])();
  return bindings;
}
