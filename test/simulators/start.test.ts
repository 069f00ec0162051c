import { once } from 'node:events';
import { createServer } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { createLogger } from '../../src/platform/logger.ts';
import { type SimulatorsOptions, simulatorSecrets, startSimulators } from '../../src/simulators/start.ts';
import { Cleanup, eventually, receiveWebhooks, SimulatorClient, temporaryFolder } from '../support/simulators.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const secrets = simulatorSecrets('a secret');

async function start(options: Pick<SimulatorsOptions, 'dataDir'> & Partial<SimulatorsOptions>) {
  const running = await startSimulators({
    host: '127.0.0.1',
    paymentPort: 0,
    carrierPort: 0,
    secrets,
    logger: createLogger('silent'),
    ...options,
  });
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= running.stop();
    return stopped;
  };
  cleanup.add(stop);
  return { ...running, stop, payments: new SimulatorClient(running.paymentUrl, secrets.apiKey) };
}

function portsOf({ paymentUrl, carrierUrl }: { paymentUrl: string; carrierUrl: string }) {
  const port = (url: string) => Number(new URL(url).port);
  return { paymentPort: port(paymentUrl), carrierPort: port(carrierUrl) };
}

describe('The simulators of several servers', () => {
  test('are those of the first one; another goes on with their ledgers when it ends', async () => {
    const dataDir = temporaryFolder(cleanup);
    const first = await start({ dataDir });
    const second = await start({ dataDir, ...portsOf(first) });
    expect(portsOf(second)).toEqual(portsOf(first));
    await second.payments.create('p1', 'tok_ok');
    await first.stop();
    await eventually(async () => expect(await second.payments.find('p1')).toMatchObject({ status: 'authorised' }));
  });

  test('tell each of them, once they know where', async () => {
    const dataDir = temporaryFolder(cleanup);
    const shops = [await receiveWebhooks(cleanup), await receiveWebhooks(cleanup)];
    const first = await start({ dataDir });
    for (const { url } of shops) {
      await start({
        dataDir,
        ...portsOf(first),
        webhookUrls: { payment: `${url}/payment`, carrier: `${url}/carrier` },
      });
    }
    // Announced when they are: so pay until both have heard of it.
    let payment = 0;
    await eventually(async () => {
      payment += 1;
      await first.payments.create(`p${payment}`, 'tok_ok');
      for (const { received } of shops) expect(received).not.toEqual([]);
    });
  });

  test('are not to be had where something else has their port', async () => {
    const other = createServer((_, response) => response.end('something else'));
    await once(other.listen(0, '127.0.0.1'), 'listening');
    cleanup.add(() => other.close().closeAllConnections());
    const { port } = z.object({ port: z.number() }).parse(other.address());
    await expect(start({ dataDir: temporaryFolder(cleanup), carrierPort: port })).rejects.toMatchObject({
      name: 'SimulatorPortTaken',
      message: `Port ${port} is in use: set CARRIER_SIMULATOR_PORT to one that is free.`,
    });
  });
});
