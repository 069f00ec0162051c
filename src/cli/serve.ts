import process from 'node:process';
import { readSettings } from '../config.ts';
import { systemClock } from '../platform/clock.ts';
import { randomIds } from '../platform/ids.ts';
import { createLogger } from '../platform/logger.ts';
import { startServer } from '../server/server.ts';
import { addDemoCatalog, wantsDemoCatalog } from './demo-catalog.ts';
import { openStore } from './store.ts';

export async function serve({ seed }: { seed: boolean }): Promise<void> {
  const settings = readSettings();
  const logger = createLogger(settings.LOG_LEVEL);
  const database = await openStore(settings, logger);
  const server = await startServer(
    {
      host: settings.HOST,
      port: settings.PORT,
      authMode: settings.AUTH_MODE,
      jwtSecret: settings.JWT_SECRET,
      corsOrigins: settings.CORS_ORIGINS,
      readWaitMs: settings.READ_WAIT_MS,
      defaultCurrency: settings.DEFAULT_CURRENCY,
    },
    {
      database,
      logger,
      clock: systemClock,
      ids: randomIds,
      prepare: async (engine) => {
        if (!seed || !(await wantsDemoCatalog(engine))) return;
        logger.info({ products: await addDemoCatalog(engine) }, 'the empty store was filled with the demo catalog');
      },
    },
  );
  const host = settings.HOST.includes(':') ? `[${settings.HOST}]` : settings.HOST;
  const durability =
    database.engine === 'pglite' ? 'survives a crash of this process, not of the machine' : 'as durable as the server';
  logger.info({ engine: database.engine, durability, auth: settings.AUTH_MODE }, 'store open');
  process.stdout.write(`cartstream is ready: http://${host}:${server.port}/graphql\n`);

  const stop = async (signal: string) => {
    logger.info({ signal }, 'stopping');
    await server.stop();
    await database.close();
    process.exit(0);
  };
  process.once('SIGTERM', (signal) => void stop(signal));
  process.once('SIGINT', (signal) => void stop(signal));
}
