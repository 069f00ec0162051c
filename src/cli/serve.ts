import process from 'node:process';
import { readSettings, type Settings } from '../config.ts';
import { CheckpointFile } from '../platform/checkpoint-file.ts';
import { systemClock } from '../platform/clock.ts';
import { sayAddress } from '../platform/folder-address.ts';
import { randomIds } from '../platform/ids.ts';
import { createLogger, type Logger } from '../platform/logger.ts';
import { startServer } from '../server/server.ts';
import { addDemoCatalog, wantsDemoCatalog } from './demo-catalog.ts';
import { urlOf } from './endpoint.ts';
import { forgottenList } from './forgotten.ts';
import { expectFree } from './free-address.ts';
import { openOutside } from './outside.ts';
import { shopEngineSettings } from './shop-engine-settings.ts';
import { stopOnSignal } from './stop-on-signal.ts';
import { openProtectedStore } from './store.ts';

/** `cartstream serve`. What could be started is stopped again where the rest cannot be. */
export async function serve({ seed }: { seed: boolean }): Promise<void> {
  const settings = readSettings();
  const logger = createLogger(settings.LOG_LEVEL);
  const started: (() => Promise<void>)[] = [];
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= endInTurn(started.reverse());
    return stopped;
  };
  await expectFree(settings.HOST, settings.PORT);
  try {
    await start(settings, logger, seed, (end) => started.push(end));
  } catch (error) {
    await stop().catch((err: unknown) => logger.warn({ err }, 'not everything could be stopped'));
    throw error;
  }
  stopOnSignal(logger, stop);
}

async function endInTurn(ends: readonly (() => Promise<void>)[]): Promise<void> {
  for (const end of ends) await end();
}

/** @param onStarted takes what ends each part, in the order in which they were started */
async function start(
  settings: Settings,
  logger: Logger,
  seed: boolean,
  onStarted: (end: () => Promise<void>) => void,
): Promise<void> {
  const { database, masterKey, otherMasterKeys } = await openProtectedStore(settings, logger);
  onStarted(() => database.close());
  const outside = await openOutside(settings, logger, { mayStart: true });
  onStarted(() => outside.stop());
  const server = await startServer(
    {
      host: settings.HOST,
      port: settings.PORT,
      authMode: settings.AUTH_MODE,
      jwtSecret: settings.JWT_SECRET,
      corsOrigins: settings.CORS_ORIGINS,
      readWaitMs: settings.READ_WAIT_MS,
      defaultCurrency: settings.DEFAULT_CURRENCY,
      auditReads: settings.AUDIT_READS === 'on',
      auditReadsDays: settings.AUDIT_READS_DAYS,
      ...shopEngineSettings(settings),
    },
    {
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
      prepare: async (engine) => {
        if (!seed || !(await wantsDemoCatalog(engine))) return;
        const products = await addDemoCatalog(engine);
        if (products > 0) logger.info({ products }, 'the empty store was filled with the demo catalog');
      },
    },
  );
  onStarted(() => server.stop());
  if (database.engine === 'pglite') {
    const takeBack = sayAddress(settings.DATA_DIR, urlOf({ HOST: settings.HOST, PORT: server.port }));
    onStarted(async () => takeBack());
  }
  const host = settings.HOST.includes(':') ? `[${settings.HOST}]` : settings.HOST;
  outside.announce(`http://${host}:${server.port}`);
  const durability =
    database.engine === 'pglite' ? 'survives a crash of this process, not of the machine' : 'as durable as the server';
  const { pausedAt, pauseReason } = await server.engine.store.read();
  if (pausedAt !== null)
    logger.warn({ pausedAt, why: pauseReason }, 'the store is paused, and what is queued waits: npx cartstream resume');
  logger.info({ engine: database.engine, durability, auth: settings.AUTH_MODE }, 'store open');
  process.stdout.write(`cartstream is ready: http://${host}:${server.port}/graphql\n`);
}
