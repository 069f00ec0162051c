import process from 'node:process';
import { readSettings } from '../config.ts';
import { createLogger } from '../platform/logger.ts';
import { openStore } from './store.ts';

export async function migrateStore(): Promise<void> {
  const settings = readSettings();
  const database = await openStore(settings, createLogger(settings.LOG_LEVEL));
  await database.close();
  process.stdout.write('The store is up to date.\n');
  // The schema engine keeps a timer that would hold the process for seconds.
  process.exit(0);
}
