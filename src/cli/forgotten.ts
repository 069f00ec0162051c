import { join } from 'node:path';
import process from 'node:process';
import { readSettings, type Settings } from '../config.ts';
import { ForgottenList, forgottenIn } from '../eventsourcing/backup/forgotten-list.ts';
import type { Logger } from '../platform/logger.ts';
import { withStoreToRead } from './store-to-read.ts';

/** Where it is noted, outside of the database, who was forgotten. */
export function forgottenPath({ FORGOTTEN_FILE: path, DATA_DIR: folder }: Settings): string {
  return path ?? join(folder, 'forgotten.jsonl');
}

export function forgottenList(settings: Settings, logger: Logger): ForgottenList {
  return new ForgottenList(forgottenPath(settings), logger);
}

/**
 * `cartstream forgotten`: prints who was forgotten in this store, a line of JSON each: what `restore --forgotten` takes.
 * @param given the options as they were typed
 */
export async function printForgotten(given: unknown): Promise<void> {
  await withStoreToRead(readSettings(), given, async (database) => {
    for (const { subject, at } of await forgottenIn(database.log)) {
      process.stdout.write(`${JSON.stringify({ subject, at })}\n`);
    }
  });
}
