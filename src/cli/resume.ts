import process from 'node:process';
import { readSettings } from '../config.ts';
import { StoreState } from '../eventsourcing/backup/store-state.ts';
import { openDatabase } from '../platform/database.ts';
import { FolderInUse } from '../platform/folder-lock.ts';
import { expectStore, resumeThrough } from './store-to-read.ts';

/**
 * `cartstream resume`: what is queued runs again, on every server at once.
 * @param given the options as they were typed: where the server is, if it has the store for itself
 */
export async function resume(given: unknown): Promise<void> {
  const { DATABASE_URL: url, DATA_DIR: folder } = readSettings();
  if (url === undefined) expectStore(folder);
  try {
    const database = await openDatabase(
      url === undefined ? { engine: 'pglite', folder } : { engine: 'postgresql', url },
    );
    try {
      const resumed = await new StoreState(database).resume();
      if (!resumed) process.stdout.write('The store was not paused.\n');
    } finally {
      await database.close();
    }
  } catch (error) {
    if (!(error instanceof FolderInUse)) throw error;
    await resumeThrough(given);
  }
  process.stdout.write('What is queued runs.\n');
  process.exit();
}
