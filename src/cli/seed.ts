import process from 'node:process';
import { readSettings } from '../config.ts';
import { contexts } from '../contexts/index.ts';
import { Engine } from '../eventsourcing/engine.ts';
import { systemClock } from '../platform/clock.ts';
import { randomIds } from '../platform/ids.ts';
import { createLogger } from '../platform/logger.ts';
import { addDemoCatalog } from './demo-catalog.ts';
import { openStore } from './store.ts';

export async function seedStore(): Promise<void> {
  const settings = readSettings();
  const logger = createLogger(settings.LOG_LEVEL);
  const database = await openStore(settings, logger);
  const engine = await Engine.start({
    database,
    logger,
    clock: systemClock,
    ids: randomIds,
    aggregates: contexts.flatMap((context) => context.aggregates),
    projections: contexts.flatMap((context) => context.projections),
  });
  const added = await addDemoCatalog(engine);
  await engine.stop();
  await database.close();
  process.stdout.write(`${added} products were added.\n`);
  // The schema engine keeps a timer that would hold the process for seconds.
  process.exit(0);
}
