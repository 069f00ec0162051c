import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { simulatorSecrets } from '../../src/simulators/start.ts';
import { Cleanup, eventually, receiveWebhooks, SimulatorClient, temporaryFolder } from '../support/simulators.ts';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const SECRET = 'a secret of this test';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

/** `cartstream simulate`, as a user runs it. */
function run(folder: string, parameters: readonly string[] = []) {
  const child = spawn(process.execPath, [MAIN, 'simulate', ...parameters], {
    cwd: folder,
    env: {
      ...process.env,
      DATA_DIR: folder,
      LOG_LEVEL: 'warn',
      PAYMENT_SIMULATOR_PORT: '0',
      CARRIER_SIMULATOR_PORT: '0',
      SIMULATOR_SECRET: SECRET,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  let output = '';
  const ready = new Promise<string>((resolve, reject) => {
    const read = (chunk: Buffer) => {
      output += chunk.toString();
      const [, url] = /ready: payment (http:\S+) carrier http:\S+/.exec(output) ?? [];
      if (url !== undefined) resolve(url);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('exit', (code) => reject(new Error(`It ended with ${code}:\n${output}`)));
  });
  cleanup.add(() => end(child, 'SIGKILL', exited));
  return { child, exited, ready };
}

async function end(child: ChildProcess, signal: NodeJS.Signals, exited: Promise<unknown[]>): Promise<unknown> {
  child.kill(signal);
  const [code] = await exited;
  return code;
}

describe('Simulators in a process of their own', () => {
  test('forget nothing that they have answered, killed in the middle of it', async () => {
    const folder = temporaryFolder(cleanup);
    const shop = await receiveWebhooks(cleanup);
    const { apiKey } = simulatorSecrets(SECRET);
    const references = Array.from({ length: 40 }, (_, index) => `p${index}`);
    const answered = new Map<string, string>();

    /** Pays for all that is not captured yet, each call with the key that it had before. */
    async function payAll(url: string): Promise<void> {
      const client = new SimulatorClient(url, apiKey);
      await Promise.allSettled(
        references.map(async (reference) => {
          const { body } = await client.create(reference, 'tok_ok');
          const { id = '' } = body;
          if (answered.has(reference)) expect(id).toBe(answered.get(reference));
          answered.set(reference, id);
          await client.capture(id, `${reference}:capture`);
        }),
      );
    }

    for (const killAt of [5, 20, 35]) {
      const { child, exited, ready } = run(folder);
      const url = await ready;
      const client = new SimulatorClient(url, apiKey);
      await client.send('POST', '/v1/webhook_endpoints', { body: { url: shop.url } });
      const paying = payAll(url);
      await eventually(() => expect(answered.size).toBeGreaterThanOrEqual(killAt));
      await end(child, 'SIGKILL', exited);
      await paying;
    }

    const { child, exited, ready } = run(folder);
    const client = new SimulatorClient(await ready, apiKey);
    await payAll(await ready);
    const { payments, calls } = await client.ledger();
    expect(payments.map(({ reference }) => reference).sort()).toEqual([...references].sort());
    expect(payments.every(({ capturedMinor }) => capturedMinor === 1_000)).toBe(true);
    expect(calls.every(({ bodies }) => bodies === 1)).toBe(true);
    await eventually(async () => expect((await client.ledger()).unsentWebhooks).toBe(0));
    expect(new Set(shop.received.map(({ body }) => body.id)).size).toBe(2 * references.length);
    expect(await end(child, 'SIGTERM', exited)).toBe(0);
  });

  test('say plainly what is wrong with their options', async () => {
    const { ready } = run(temporaryFolder(cleanup), ['--late-after', 'soon']);
    await expect(ready).rejects.toThrow(/--late-after must be [^\n]*seconds[^\n]*\.\s*$/);
  });
});
