import type { Settings } from '../config.ts';
import { KeyRing } from '../eventsourcing/key-ring.ts';
import { type Database, openDatabase } from '../platform/database.ts';
import type { Logger } from '../platform/logger.ts';
import { loadMasterKey } from '../platform/master-key.ts';
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

/** Opens the store with the master key of its personal data. @throws {NoMasterKey} */
export async function openProtectedStore(
  settings: Settings,
  logger: Logger,
): Promise<{ database: Database; masterKey: Buffer }> {
  const database = await openStore(settings, logger);
  try {
    const masterKey = loadMasterKey(
      {
        fromEnvironment: settings.MASTER_KEY,
        dataDir: settings.DATA_DIR,
        isStoreKeyed: await KeyRing.isKeyed(database.log),
        isShared: settings.DATABASE_URL !== undefined,
      },
      logger,
    );
    return { database, masterKey };
  } catch (error) {
    await database.close();
    throw error;
  }
}
