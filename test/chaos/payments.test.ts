import { randomInt, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { openDatabase } from '../../src/platform/database.ts';
import { simulatorSecrets } from '../../src/simulators/start.ts';
import {
  endedOrders,
  expectCarriedGoodsToBePaid,
  expectGoodsToAddUp,
  expectMailsToAddUp,
  expectMoneyToAddUp,
  expectSafeRepeats,
} from '../support/checkout-audit.ts';
import { CheckoutLoad, plansOf } from '../support/checkout-load.ts';
import { startMailServer } from '../support/mail-server.ts';
import { randomOf } from '../support/merge-load.ts';
import { Operator } from '../support/operator.ts';
import { type ServerProcess, startServerProcess } from '../support/servers.ts';
import { Cleanup, SimulatorClient, startCarrier, startPayments } from '../support/simulators.ts';
import { auditStore } from '../support/store-audit.ts';
import { describeEachStore } from '../support/stores.ts';
import { within } from '../support/within.ts';

/** An embedded store shares its process with the server, and takes fewer in the same time. */
const CUSTOMERS = { pglite: 120, postgresql: 300 };
const AT_ONCE = 32;
const SKUS = Array.from({ length: 12 }, (_, at) => `SKU-${at}`);
const STOCK = 100_000;
/** A server lives for so long at least, and for a moment more. */
const LIVES_MS = { shortest: 600, longest: 1_800 };
/** And it answers so often, at least: otherwise a slow machine would never come to the end. */
const ANSWERED_BETWEEN = { pglite: 65, postgresql: 125 };
const PAYMENT_LIMIT_S = 5;
/** Customers and faults are drawn from it, and so are the moments of the kills: set it to what a failure names. */
const SEED = Number(process.env['CHAOS_SEED'] ?? randomInt(2 ** 31));
const SECRET = 'chaos';
const PATIENCE = { timeout: 120_000, interval: 100 };

const readiness = z.object({
  followers: z.array(z.object({ name: z.string(), position: z.string(), lag: z.number(), parked: z.number() })),
});
const unended = z.object({ orders: z.object({ nodes: z.array(z.object({ id: z.string(), status: z.string() })) }) });

describeEachStore('A server that is killed again and again while orders are paid, at a provider that fails', (kind) => {
  const cleanup = new Cleanup();
  afterEach(() => cleanup.run());

  it('takes no money twice, loses none, and tells every customer everything', () => explained(payAndKill), 360_000);

  async function payAndKill(): Promise<void> {
    const store = await kind.create();
    cleanup.add(store.remove);
    const secrets = simulatorSecrets(SECRET);
    const payments = await startPayments(cleanup, {
      ...secrets,
      lateAfterMs: (PAYMENT_LIMIT_S + 1) * 1_000,
      disorderMs: 500,
    });
    const carrier = await startCarrier(cleanup, { ...secrets, pace: { preparedMs: 1_000, inTransitMs: 50 } });
    const mailServer = await startMailServer();
    cleanup.add(() => mailServer.close());
    const provider = new SimulatorClient(payments.url, secrets.apiKey);
    const carriage = new SimulatorClient(carrier.url, secrets.apiKey);
    const parties = [provider, carriage];
    const environment = {
      LEASE_S: '1',
      READ_WAIT_MS: '2000',
      // Always the same: whoever calls back finds the server that took the place of the one before.
      PORT: String(await freePort()),
      PAYMENT_PROVIDER_URL: payments.url,
      CARRIER_URL: carrier.url,
      SIMULATOR_SECRET: SECRET,
      SMTP_URL: mailServer.url,
      PAYMENT_LIMIT_S: String(PAYMENT_LIMIT_S),
      PAYMENT_RECONCILE_AFTER_S: '1',
      PROVIDER_TIMEOUT_MS: '1500',
    };
    const start = () => startServerProcess(store, ['--no-seed'], environment);
    let server = await start();
    cleanup.add(() => server.kill());
    const operator = new Operator(server.url);
    for (const sku of SKUS) await operator.addProduct(sku, { price: 199, stock: STOCK });
    for (const party of parties)
      await party.send('POST', '/v1/faults', { body: { rate: 0.2, seed: SEED, slowMs: 100 } });

    const random = randomOf(SEED);
    const load = new CheckoutLoad(() => server.url, plansOf(SEED, CUSTOMERS[kind.engine], SKUS), AT_ONCE);
    let isOver = false;
    const finished = load.finish().finally(() => {
      isOver = true;
    });
    finished.catch(() => {});
    let kills = 0;
    const operated: string[] = [];
    while (!isOver) {
      const goal = load.answers + ANSWERED_BETWEEN[kind.engine];
      await delay(LIVES_MS.shortest + random() * (LIVES_MS.longest - LIVES_MS.shortest));
      await within(
        120_000,
        `answers before kill ${kills + 1}`,
        untilTrue(() => isOver || load.answers >= goal),
      );
      // One mail arrives without the server hearing of it.
      mailServer.setTrouble('lose one answer');
      await server.kill();
      server = await start();
      kills += 1;
      await retryDeadLetters(server, operated);
    }
    await finished;
    for (const party of parties) await party.send('POST', '/v1/faults', { body: { rate: 0 } });
    await untilNothingIsUnderWay(server, provider, carriage, operated);
    expect(await server.stop()).toBe(0);

    const database = await openDatabase(store.settings);
    cleanup.add(database.close);
    const events = await auditStore(database, load.acknowledged, operated);
    const orders = await endedOrders(database, load.placed);
    const [ledger, carried] = await Promise.all([provider.ledger(), carriage.ledger()]);
    expectMoneyToAddUp(orders, events, ledger);
    expectGoodsToAddUp(orders, events, SKUS, STOCK);
    expectCarriedGoodsToBePaid(orders, carried);
    expectMailsToAddUp(load.placed, events, mailServer.mails);
    expectSafeRepeats(ledger.calls);
    expectSafeRepeats(carried.calls);
    for (const rows of LEFT) expect(await database.log.query(rows), rows).toEqual([]);
    // Otherwise it was no test: it was killed, calls and mails were repeated, and orders came to every end.
    expect(kills).toBeGreaterThanOrEqual(3);
    expect(load.resent).toBeGreaterThan(0);
    expect(ledger.calls.some(({ seen }) => seen > 1)).toBe(true);
    expect(mailServer.mails.length).toBeGreaterThan(new Set(mailServer.mails.map((it) => it.messageId)).size);
    expect(new Set(orders.map(({ status }) => status)).size).toBeGreaterThanOrEqual(3);
  }
});

/**
 * What must not be left, beside timers and what they begin: work that is due, steps of checkouts that wait for another
 * try, and what failed for good.
 */
const LEFT = [
  `SELECT c.name, q.lane, q.attempts, q.dead_letter_id AS letter FROM command_queue AS q JOIN commands AS c USING (command_id)
   WHERE q.dead_letter_id IS NULL AND q.timer IS NULL AND q.due_at <= now() AND c.name <> 'ReconcilePayment'`,
  `SELECT c.name, q.lane, c.input FROM command_queue AS q JOIN commands AS c USING (command_id)
   WHERE q.lane LIKE 'checkout-%'`,
  `SELECT lane, error FROM dead_letters WHERE status = 'OPEN'`,
  'SELECT * FROM parked_events',
];

async function untilTrue(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(5);
}

/** Names the seed with which a failure may come again. */
async function explained(test: () => Promise<void>): Promise<void> {
  try {
    await test();
  } catch (error) {
    throw new Error(`With CHAOS_SEED=${SEED}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = z.object({ port: z.number() }).parse(server.address());
  server.close();
  await once(server, 'close');
  return port;
}

/** Tries again what failed too often, if anything has. Adds to the ids of what an operator did. */
async function retryDeadLetters(server: ServerProcess, operated: string[]): Promise<void> {
  const operator = new Operator(server.url);
  const letters = await operator.deadLetters();
  if (letters.length === 0) return;
  const commandId = randomUUID();
  operated.push(commandId);
  await operator.operate('retryDeadLetters', { commandId, source: 'command' });
}

/**
 * Waits until every order is at its end, whoever is outside has told everything, and nothing is to be done any more. What
 * one of these looks finds finished may be begun anew by what a later look is about: a call becomes a command, a command
 * an event, and an event, once a follower comes to it, a command. So it only counts if no event was added meanwhile.
 */
async function untilNothingIsUnderWay(
  server: ServerProcess,
  provider: SimulatorClient,
  carrier: SimulatorClient,
  operated: string[],
): Promise<void> {
  const operator = new Operator(server.url);
  await vi.waitFor(async () => {
    await retryDeadLetters(server, operated);
    const ORDERS = '{ orders(first: 5, status: [PLACED, PAID, PREPARING, SHIPPED]) { nodes { id status } } }';
    expect(unended.parse(await operator.read(ORDERS)).orders.nodes).toEqual([]);
    const atHead = await positionsAtHead(server);
    const [ledger, carried] = await Promise.all([provider.ledger(), carrier.ledger()]);
    expect([ledger.unsentWebhooks, carried.unsentWebhooks]).toEqual([0, 0]);
    expect(ledger.payments.filter(({ status }) => status === 'processing' || status === 'authorised')).toEqual([]);
    const waiting = (await operator.commands({ filter: { status: ['QUEUED', 'RUNNING'] }, first: 100 })).nodes;
    expect(waiting.filter(({ dueAt }) => dueAt === null || Date.parse(dueAt) < Date.now())).toEqual([]);
    expect(await positionsAtHead(server), 'no event was added meanwhile').toEqual(atHead);
  }, PATIENCE);
}

/** How far each follower of the log has come; all of them must be at its end. */
async function positionsAtHead({ url }: ServerProcess): Promise<readonly string[]> {
  const { followers } = readiness.parse(await (await fetch(new URL('/health/ready', url))).json());
  expect(followers.filter(({ lag, parked }) => lag > 0 || parked > 0)).toEqual([]);
  return followers.map(({ position }) => position);
}
