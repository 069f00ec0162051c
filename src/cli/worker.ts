import process from 'node:process';
import { InvalidSettings, readSettings } from '../config.ts';
import { CheckpointFile } from '../platform/checkpoint-file.ts';
import { systemClock } from '../platform/clock.ts';
import { randomIds } from '../platform/ids.ts';
import { createLogger } from '../platform/logger.ts';
import { startShopEngine } from '../server/shop-engine.ts';
import { forgottenList } from './forgotten.ts';
import { openOutside } from './outside.ts';
import { shopEngineSettings } from './shop-engine-settings.ts';
import { stopOnSignal } from './stop-on-signal.ts';
import { openProtectedStore } from './store.ts';

/** Everything but the API: projections, processes, queued commands and timers, beside the servers of the same database. */
export async function work(): Promise<void> {
  const settings = readSettings();
  if (settings.DATABASE_URL === undefined) {
    throw new InvalidSettings(
      'DATABASE_URL is needed: an embedded store belongs to one process, and the server in it does all the work itself.',
    );
  }
  const logger = createLogger(settings.LOG_LEVEL);
  const { database, masterKey, otherMasterKeys } = await openProtectedStore(settings, logger);
  const outside = await openOutside(settings, logger, { mayStart: false });
  const parts = {
    database,
    masterKey,
    otherMasterKeys,
    forgottenList: forgottenList(settings, logger),
    checkpointPlace: new CheckpointFile(settings.DATA_DIR, settings.DATABASE_URL),
    outside: outside.parties,
    onReplaced: () => process.exit(1),
    logger,
    clock: systemClock,
    ids: randomIds,
  };
  const engine = await startShopEngine(shopEngineSettings(settings), parts);
  process.stdout.write('cartstream worker is ready\n');
  stopOnSignal(logger, async () => {
    await engine.stop();
    await outside.stop();
    await database.close();
  });
}
