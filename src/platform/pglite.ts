import { constants } from 'node:fs';
import { cp, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import type { SqlMigrationAwareDriverAdapterFactory } from '@prisma/driver-adapter-utils';
import { PrismaPGlite } from 'pglite-prisma-adapter';
import { lockFolder } from './folder-lock.ts';
import { removeStaleCopies } from './store-copies.ts';
import type { StoreEngine } from './store-engine.ts';

/** The folder in the data folder that PGlite has for itself. */
const STORE = 'pglite';

/**
 * PostgreSQL inside this process. Survives a crash of the process, not of the machine: it never calls fsync.
 * @param folder kept there; in memory without one
 */
export async function openPGlite(folder: string | undefined): Promise<StoreEngine> {
  const unlock = folder === undefined ? () => {} : lockFolder(folder);
  try {
    if (folder !== undefined) removeStaleCopies(folder);
    const pglite = await PGlite.create(folder === undefined ? 'memory://' : join(folder, STORE));
    // The adapter reads every timestamp as UTC, whatever its offset.
    await pglite.exec("SET TimeZone = 'UTC'");
    const adapters = new PGliteAdapters(pglite);
    return {
      log: adapters,
      derived: adapters,
      ...(folder !== undefined && {
        copyAs: (name: string) => copyTo(join(folder, name, STORE), pglite, join(folder, STORE)),
      }),
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

/**
 * What lies in the files while no statement runs is what a process that is killed there leaves behind: whoever opens the copy
 * finds all that was committed, and nothing by halves.
 */
async function copyTo(copy: string, pglite: PGlite, from: string): Promise<number> {
  await mkdir(copy);
  // So that little is left to be written, and to be read again by whoever opens the copy.
  await pglite.exec('CHECKPOINT');
  return pglite.runExclusive(async () => {
    const begun = performance.now();
    try {
      await cp(from, copy, { recursive: true, mode: constants.COPYFILE_FICLONE });
    } catch (error) {
      await rm(copy, { recursive: true, force: true });
      throw error;
    }
    return performance.now() - begun;
  });
}

/** The adapter's factory, with the second, empty database that the drift check of migrations asks for. */
class PGliteAdapters extends PrismaPGlite implements SqlMigrationAwareDriverAdapterFactory {
  override async connectToShadowDb() {
    return new PrismaPGlite(await PGlite.create('memory://')).connect();
  }
}
