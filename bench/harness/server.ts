import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import process from 'node:process';
import { packageFile } from '../../src/platform/package-root.ts';
import type { Address } from './http.ts';
import { stop, track } from './processes.ts';
import type { Store } from './store.ts';

const HOST = '127.0.0.1';
const START_PATIENCE_MS = 60_000;

/** A cartstream server in a process of its own. */
export interface Server {
  address: Address;
  pid: number;
  stop(): Promise<void>;
}

/** @throws {Error} with what the server said, where it does not come up */
export async function startServer(store: Store): Promise<Server> {
  const entry = packageFile('dist', 'main.js');
  if (!existsSync(entry)) throw new Error('dist/main.js is missing: build first');
  const port = await freePort();
  const child = track(
    spawn(process.execPath, [entry, 'serve'], {
      env: environment({ ...store.environment, HOST, PORT: String(port), LOG_LEVEL: 'error', NODE_ENV: 'production' }),
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  );
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      said = `${said}${chunk}`.slice(-4000);
    });
  }
  const deadline = Date.now() + START_PATIENCE_MS;
  while (!(await isReady(port))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await stop(child, 1000);
      throw new Error(`The server did not come up:\n${said.trim() || `exit code ${child.exitCode}`}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { address: { host: HOST, port }, pid: child.pid ?? 0, stop: () => stop(child) };
}

/** What the bench's own environment says about the store must not reach the server. */
function environment(own: Record<string, string>): NodeJS.ProcessEnv {
  const { DATABASE_URL: _url, DATA_DIR: _folder, AUTH_MODE: _auth, NATS_URL: _nats, ...rest } = process.env;
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
