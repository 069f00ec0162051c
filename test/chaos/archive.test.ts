import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { openDatabase } from '../../src/platform/database.ts';
import { simulatorSecrets } from '../../src/simulators/start.ts';
import { commandLine, commandLineBegun } from '../support/command-line.ts';
import { replayJson } from '../support/replaying.ts';
import { startServerProcess } from '../support/servers.ts';
import { Cleanup, startCarrier, startPayments } from '../support/simulators.ts';
import { describeEachStore, type TestStore } from '../support/stores.ts';

// Orders of a shop are archived by a process that is killed again and again: whatever it had done, the log reads as before.

/** The first invoices of the sample. */
const INVOICES = readFileSync(new URL('../../seed/online-retail-1000.csv', import.meta.url), 'utf8')
  .split('\n')
  .slice(0, 80);
const SECRETS = simulatorSecrets('simulated');
const ALL = ['--older-than', '0m'];
/** So long a process works before it is killed: from when it has hardly begun to when it is nearly done. */
const PATIENCE_MS = [700, 1_600];

const kept = z.tuple([
  z.object({ events: z.coerce.number(), archived: z.coerce.number(), commands: z.coerce.number() }),
]);
const KEPT = `SELECT (SELECT count(*) FROM events)::text AS events, (SELECT sum(count) FROM archive_segments)::text AS archived,
  (SELECT count(*) FROM archived_commands)::text AS commands`;

describeEachStore('An archiver that is killed', (kind) => {
  const cleanup = new Cleanup();
  let store: TestStore;

  beforeAll(async () => {
    store = await kind.create();
    cleanup.add(store.remove);
    const [payments, carrier] = [await startPayments(cleanup, SECRETS), await startCarrier(cleanup, SECRETS)];
    const outside = { PAYMENT_PROVIDER_URL: payments.url, CARRIER_URL: carrier.url };
    const server = await startServerProcess(store, [], outside);
    const folder = mkdtempSync(join(tmpdir(), 'cartstream-invoices-'));
    cleanup.add(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'invoices.csv');
    writeFileSync(file, INVOICES.join('\n'));
    const { code } = await replayJson(file, '--url', server.url, '--checkout');
    expect(code).toBe(0);
    await server.stop();
    return () => cleanup.run();
  });

  const archive = (...parameters: string[]) => commandLine(['archive', ...ALL, ...parameters], store.environment);
  const look = async () => {
    const database = await openDatabase(store.settings);
    try {
      return kept.parse(await database.log.query(KEPT))[0];
    } finally {
      await database.close();
    }
  };
  /** Every event as it is stored, wherever it lies. */
  const wholeLog = async ({ environment }: TestStore): Promise<string[]> => {
    const folder = mkdtempSync(join(tmpdir(), 'cartstream-archived-'));
    try {
      const file = join(folder, 'log');
      expect(await commandLine(['export', file], environment)).toMatchObject({ code: 0 });
      return readFileSync(file, 'utf8').split('\n').slice(1, -2);
    } finally {
      rmSync(folder, { recursive: true });
    }
  };

  test('loses nothing, doubles nothing, and goes on where it was', async () => {
    const before = await wholeLog(store);
    const { events: all } = await look();
    expect(before).toHaveLength(all);
    const seen: number[] = [];
    for (const patience of PATIENCE_MS) {
      const child = commandLineBegun(['archive', ...ALL, '--pause', '20'], store.environment);
      const exited = once(child, 'exit');
      await Promise.race([exited, delay(patience)]);
      child.kill('SIGKILL');
      await exited;
      const { events, archived } = await look();
      expect(events + archived).toBe(all);
      seen.push(archived);
    }
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(await wholeLog(store)).toEqual(before);

    expect(await archive()).toMatchObject({ code: 0, out: expect.stringMatching(/Nothing is left that is so old/) });
    const { events, archived, commands } = await look();
    expect(archived).toBeGreaterThan(100);
    expect(commands).toBeGreaterThan(0);
    expect(events + archived).toBe(all);
    expect(await wholeLog(store)).toEqual(before);
    expect(await commandLine(['verify'], store.environment)).toMatchObject({ code: 0 });
  });

  test('leaves what a backup holds, and what a server reads and rebuilds, as it was', async () => {
    const before = await wholeLog(store);
    const folder = mkdtempSync(join(tmpdir(), 'cartstream-archived-'));
    cleanup.add(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'shop.backup');
    expect(await commandLine(['backup', file], store.environment)).toMatchObject({ code: 0 });
    const restored = await kind.create();
    cleanup.add(restored.remove);
    expect(await commandLine(['restore', file], restored.environment)).toMatchObject({ code: 0 });
    expect(await wholeLog(restored)).toEqual(before);
    expect(await commandLine(['verify'], restored.environment)).toMatchObject({ code: 0 });

    const server = await startServerProcess(restored, [], restored.environment);
    cleanup.add(() => server.kill());
    const rebuilt = await commandLine(['rebuild', 'ordering.orders', '--url', server.url]);
    expect(rebuilt).toMatchObject({ code: 0, out: expect.stringContaining('all rows are as they were') });
    expect(await archive('--url', server.url)).toMatchObject({ code: 0 });
    expect(await archive('--url', server.url, '--pause', 'long')).toMatchObject({
      code: 1,
      errors: expect.stringContaining('must be a number of milliseconds'),
    });
    await server.stop();
  });
});
