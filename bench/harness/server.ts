import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { packageFile } from '../../src/platform/package-root.ts';
import type { Address } from './http.ts';
import { stop, track } from './processes.ts';
import type { Store } from './store.ts';

const HOST = '127.0.0.1';
const START_PATIENCE_MS = 60_000;
const FREE_PORTS = { PAYMENT_SIMULATOR_PORT: '0', CARRIER_SIMULATOR_PORT: '0' };

/** A cartstream server in a process of its own. */
export interface Server {
  address: Address;
  pid: number;
  stop(): Promise<void>;
}

/**
 * @param more of its environment
 * @throws {Error} with what the server said, where it does not come up
 */
export async function startServer(store: Store, more: Record<string, string> = {}): Promise<Server> {
  const port = await freePort();
  const server = run(['serve'], { ...store.environment, ...more, PORT: String(port) });
  await server.until(() => isReady(port));
  return { address: { host: HOST, port }, pid: server.child.pid ?? 0, stop: () => stop(server.child) };
}

/** The payment provider and the carrier that stand in for those of a shop, in a process of their own. */
export interface Simulators {
  /** What a server needs in its environment to deal with them. */
  environment: Record<string, string>;
  stop(): Promise<void>;
}

/** Simulators that leave shipments where they are. @throws {Error} with what they said, where they do not come up */
export async function startSimulators(): Promise<Simulators> {
  const folder = mkdtempSync(join(tmpdir(), 'cartstream-bench-'));
  const simulators = run(['simulate', '--no-move'], { DATA_DIR: folder });
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    await simulators.until(async () => ADDRESSES.test(simulators.said()));
  } catch (error) {
    remove();
    throw error;
  }
  const [, payment = '', carrier = ''] = ADDRESSES.exec(simulators.said()) ?? [];
  return {
    environment: { PAYMENT_PROVIDER_URL: payment, CARRIER_URL: carrier },
    async stop() {
      await stop(simulators.child);
      remove();
    },
  };
}

const ADDRESSES = /payment (http:\S+) carrier (http:\S+)/;

/** A command of the product, in a process of its own. */
function run(command: readonly string[], own: Record<string, string>) {
  const entry = packageFile('dist', 'main.js');
  if (!existsSync(entry)) throw new Error('dist/main.js is missing: build first');
  const child = track(
    spawn(process.execPath, [entry, ...command], {
      env: environment({ ...FREE_PORTS, ...own, HOST, LOG_LEVEL: 'error', NODE_ENV: 'production' }),
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  );
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      said = `${said}${chunk}`.slice(-4000);
    });
  }
  return {
    child,
    said: () => said,
    async until(isUp: () => Promise<boolean>): Promise<void> {
      const deadline = Date.now() + START_PATIENCE_MS;
      while (!(await isUp())) {
        if (child.exitCode !== null || Date.now() > deadline) {
          await stop(child, 1000);
          const what = said.trim() || `exit code ${child.exitCode}`;
          throw new Error(`cartstream ${command.join(' ')} did not come up:\n${what}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
  };
}

/** What the bench's own environment says about the store must not reach the server. */
function environment(own: Record<string, string>): NodeJS.ProcessEnv {
  const {
    DATABASE_URL: _url,
    DATA_DIR: _folder,
    AUTH_MODE: _auth,
    NATS_URL: _nats,
    SMTP_URL: _mail,
    ...rest
  } = process.env;
  return { ...rest, ...own };
}

async function isReady(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://${HOST}:${port}/health/ready`)).ok;
  } catch {
    return false;
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on('error', reject);
    probe.listen(0, HOST, () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
