import type { Settings } from '../config.ts';
import { KeyRing } from '../eventsourcing/keys/key-ring.ts';
import { rotateMasterKey } from '../eventsourcing/keys/key-rotation.ts';
import { type Database, openDatabase } from '../platform/database.ts';
import type { Logger } from '../platform/logger.ts';
import { adoptNextMasterKey, type KnownMasterKeys, loadMasterKeys } from '../platform/master-key.ts';
import { appliedMigrations, knownMigrations, migrate } from '../platform/migrations.ts';
import { CannotAsk } from './endpoint.ts';

function openDatabaseOf({ DATABASE_URL: url, DATA_DIR: folder }: Settings): Promise<Database> {
  return openDatabase(url === undefined ? { engine: 'pglite', folder } : { engine: 'postgresql', url });
}

/** Opens the store that the settings name, and brings its tables to this version. */
export async function openStore(settings: Settings, logger: Logger): Promise<Database> {
  const database = await openDatabaseOf(settings);
  try {
    const applied = await migrate(database);
    if (applied.length > 0) logger.info({ applied }, 'store migrated');
    return database;
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** A store with the master keys of its personal data. */
export interface ProtectedStore extends KnownMasterKeys {
  readonly database: Database;
}

/**
 * Opens the store with the master keys of its personal data. An embedded store that is to go over to a new master key does
 * so now, while nobody else can use it.
 * @throws {NoMasterKey}
 */
export async function openProtectedStore(settings: Settings, logger: Logger): Promise<ProtectedStore> {
  const store = await openWithKeys(settings, logger);
  if (store.database.engine !== 'pglite' || store.next === undefined) return store;
  try {
    return await goneOver(store, store.next, settings, logger);
  } catch (error) {
    await store.database.close();
    throw error;
  }
}

/** The same, whatever master key it is to go over to. @throws {NoMasterKey} */
export async function openWithKeys(settings: Settings, logger: Logger): Promise<ProtectedStore> {
  return withKeys(await openStore(settings, logger), settings, logger);
}

/** Opens the store and changes nothing in it. @throws {CannotAsk} it is not of this version @throws {NoMasterKey} */
export async function openAsItIs(settings: Settings, logger: Logger): Promise<ProtectedStore> {
  const database = await openDatabaseOf(settings);
  const applied = await appliedMigrations(database.log).catch(async (error: unknown) => {
    await database.close();
    throw error;
  });
  const missing = knownMigrations().filter((name) => !applied.includes(name));
  if (missing.length === 0) return withKeys(database, settings, logger);
  await database.close();
  throw new CannotAsk(
    applied.length === 0
      ? 'There is no store at that address: set DATABASE_URL or DATA_DIR to the one that you mean.'
      : 'The store has not the tables of this version yet: npx cartstream migrate brings them to it.',
  );
}

async function withKeys(database: Database, settings: Settings, logger: Logger): Promise<ProtectedStore> {
  try {
    const keys = loadMasterKeys(
      {
        fromEnvironment: settings.MASTER_KEY,
        previous: settings.MASTER_KEY_PREVIOUS,
        dataDir: settings.DATA_DIR,
        isStoreKeyed: await KeyRing.isKeyed(database.log),
        isShared: settings.DATABASE_URL !== undefined,
      },
      logger,
    );
    return { database, ...keys };
  } catch (error) {
    await database.close();
    throw error;
  }
}

async function goneOver(
  { database, masterKey, otherMasterKeys }: ProtectedStore,
  next: Buffer,
  settings: Settings,
  logger: Logger,
): Promise<ProtectedStore> {
  const others = [masterKey, ...otherMasterKeys].filter((key) => key !== next);
  const rotated = await rotateMasterKey({
    client: database.log,
    masterKey: next,
    otherMasterKeys: others,
    isAlone: true,
  });
  if (settings.MASTER_KEY === undefined && rotated.broken === 0) adoptNextMasterKey(settings.DATA_DIR);
  if (rotated.changed > 0) logger.info(rotated, 'the keys of this store are protected by the new master key now');
  return { database, masterKey: next, otherMasterKeys: rotated.broken === 0 ? [] : others, next: undefined };
}
