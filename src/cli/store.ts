import type { Settings } from '../config.ts';
import { KeyRing } from '../eventsourcing/keys/key-ring.ts';
import { rotateMasterKey } from '../eventsourcing/keys/key-rotation.ts';
import { type Database, openDatabase } from '../platform/database.ts';
import type { Logger } from '../platform/logger.ts';
import { adoptNextMasterKey, type KnownMasterKeys, loadMasterKeys } from '../platform/master-key.ts';
import { migrate } from '../platform/migrations.ts';

/** Opens the store that the settings name, and brings its tables to this version. */
export async function openStore(settings: Settings, logger: Logger): Promise<Database> {
  const { DATABASE_URL: url, DATA_DIR: folder } = settings;
  const database = await openDatabase(url === undefined ? { engine: 'pglite', folder } : { engine: 'postgresql', url });
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

/** The same, as it is. @throws {NoMasterKey} */
export async function openWithKeys(settings: Settings, logger: Logger): Promise<ProtectedStore> {
  const database = await openStore(settings, logger);
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
