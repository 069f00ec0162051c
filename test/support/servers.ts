import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { type Clock, systemClock } from '../../src/platform/clock.ts';
import type { Database } from '../../src/platform/database.ts';
import { randomIds } from '../../src/platform/ids.ts';
import { createLogger } from '../../src/platform/logger.ts';
import type { OutsideParties } from '../../src/server/outside-parties.ts';
import { type RunningServer, type ServerParts, type ServerSettings, startServer } from '../../src/server/server.ts';
import { testMasterKey } from './master-key.ts';
import { unreachableParties } from './outside.ts';
import { openMigrated, type TestStore } from './stores.ts';

/** A server in this process, with its own database connections. */
export interface LocalServer extends RunningServer {
  readonly database: Database;
  readonly url: string;
  readonly webSocketUrl: string;
}

/** @param outside without them, nobody outside answers */
export async function startLocalServer(
  store: TestStore,
  settings: Partial<ServerSettings> = {},
  outside?: OutsideParties,
  clock: Clock = systemClock,
): Promise<LocalServer> {
  const database = await openMigrated(store);
  const server = await startServerOver(database, settings, outside, clock);
  return {
    ...server,
    database,
    url: `http://127.0.0.1:${server.port}/graphql`,
    webSocketUrl: `ws://127.0.0.1:${server.port}/graphql`,
    async stop() {
      await server.stop();
      await database.close();
    },
  };
}

/** The same over a database that is open. @param outside without them, nobody outside answers */
export function startServerOver(
  database: Database,
  settings: Partial<ServerSettings> = {},
  outside: OutsideParties = unreachableParties(),
  clock: Clock = systemClock,
  masterKeys: Pick<ServerParts, 'masterKey' | 'otherMasterKeys'> = { masterKey: testMasterKey },
): Promise<RunningServer> {
  return startServer(
    {
      host: '127.0.0.1',
      port: 0,
      authMode: 'open',
      corsOrigins: [],
      readWaitMs: 5_000,
      defaultCurrency: 'GBP',
      auditReads: false,
      auditReadsDays: 90,
      cartAbandonedAfterMs: 86_400_000,
      paymentLimitMs: 900_000,
      reconcileAfterMs: 15_000,
      ...settings,
    },
    { database, ...masterKeys, outside, logger: createLogger('silent'), clock, ids: randomIds },
  );
}

/** A server in a process of its own, as a user starts it. */
export interface ServerProcess {
  readonly process: ChildProcess;
  readonly url: string;
  readonly webSocketUrl: string;
  /** Everything that it printed so far. */
  output(): string;
  /** SIGKILL: as if the power of the process went out. */
  kill(): Promise<void>;
  /** SIGTERM. @returns the exit code */
  stop(): Promise<number | null>;
}

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** On a free port; and nobody outside answers. */
const APART = { PORT: '0', PAYMENT_PROVIDER_URL: 'http://127.0.0.1:9', CARRIER_URL: 'http://127.0.0.1:9' };

/** What makes a server start its own simulators, on free ports. */
export const OWN_SIMULATORS = {
  PAYMENT_PROVIDER_URL: '',
  CARRIER_URL: '',
  PAYMENT_SIMULATOR_PORT: '0',
  CARRIER_SIMULATOR_PORT: '0',
};

/** Starts `cartstream serve` on a free port. @param options like `--no-seed` */
export async function startServerProcess(
  store: TestStore,
  options: readonly string[] = ['--no-seed'],
  environment: Readonly<Record<string, string>> = {},
): Promise<ServerProcess> {
  const child = spawn(process.execPath, [MAIN, 'serve', ...options], {
    env: { ...process.env, ...APART, LOG_LEVEL: 'warn', ...store.environment, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const exited = once(child, 'exit');
  const url = await new Promise<string>((resolve, reject) => {
    const read = (chunk: Buffer) => {
      output += chunk.toString();
      const [, found] = /ready: (http:\S+)/.exec(output) ?? [];
      if (found !== undefined) resolve(found);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('exit', (code) => reject(new Error(`The server ended with ${code}:\n${output}`)));
  });
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    const [code] = await exited;
    return typeof code === 'number' ? code : null;
  };
  return {
    process: child,
    url,
    webSocketUrl: url.replace('http:', 'ws:'),
    output: () => output,
    kill: async () => {
      await end('SIGKILL');
    },
    stop: () => end('SIGTERM'),
  };
}
