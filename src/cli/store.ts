import type { Settings } from '../config.ts';
import { type Database, openDatabase } from '../platform/database.ts';
import type { Logger } from '../platform/logger.ts';
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
