import process from 'node:process';
import { readSettings } from '../config.ts';
import { systemClock } from '../platform/clock.ts';
import { randomIds } from '../platform/ids.ts';
import { createLogger } from '../platform/logger.ts';
import { startShopEngine } from '../server/shop-engine.ts';
import { counted } from './counted.ts';
import { addDemoCatalog } from './demo-catalog.ts';
import { openOutside } from './outside.ts';
import { shopEngineSettings } from './shop-engine-settings.ts';
import { openProtectedStore } from './store.ts';

export async function seedStore(): Promise<void> {
  const settings = readSettings();
  const logger = createLogger(settings.LOG_LEVEL);
  const { database, masterKey, otherMasterKeys } = await openProtectedStore(settings, logger);
  const outside = await openOutside(settings, logger, { mayStart: false });
  const parts = {
    database,
    masterKey,
    otherMasterKeys,
    outside: outside.parties,
    logger,
    clock: systemClock,
    ids: randomIds,
  };
  const engine = await startShopEngine(shopEngineSettings(settings), parts);
  const added = await addDemoCatalog(engine);
  await engine.stop();
  await outside.stop();
  await database.close();
  process.stdout.write(`${counted(added, 'product was', 'products were')} added.\n`);
  // The schema engine keeps a timer that would hold the process for seconds.
  process.exit(0);
}
