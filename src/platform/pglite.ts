import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import type { SqlMigrationAwareDriverAdapterFactory } from '@prisma/driver-adapter-utils';
import { PrismaPGlite } from 'pglite-prisma-adapter';
import { lockFolder } from './folder-lock.ts';
import type { StoreEngine } from './store-engine.ts';

/**
 * PostgreSQL inside this process. Survives a crash of the process, not of the machine: it never calls fsync.
 * @param folder kept there; in memory without one
 */
export async function openPGlite(folder: string | undefined): Promise<StoreEngine> {
  const unlock = folder === undefined ? () => {} : lockFolder(folder);
  try {
    const pglite = await PGlite.create(folder === undefined ? 'memory://' : join(folder, 'pglite'));
    // The adapter reads every timestamp as UTC, whatever its offset.
    await pglite.exec("SET TimeZone = 'UTC'");
    const adapters = new PGliteAdapters(pglite);
    return {
      log: adapters,
      derived: adapters,
      async close() {
        await pglite.close();
        unlock();
      },
    };
  } catch (error) {
    unlock();
    throw error;
  }
}

/** The adapter's factory, with the second, empty database that the drift check of migrations asks for. */
class PGliteAdapters extends PrismaPGlite implements SqlMigrationAwareDriverAdapterFactory {
  override async connectToShadowDb() {
    return new PrismaPGlite(await PGlite.create('memory://')).connect();
  }
}
