import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { z } from 'zod';
import { openDatabase } from '../../src/platform/database.ts';
import { Buyer } from '../support/buyer.ts';
import { eventually, inMs, rawId } from '../support/operator.ts';
import { OutsideWorld } from '../support/outside-world.ts';
import { startServerProcess } from '../support/servers.ts';
import { Cleanup } from '../support/simulators.ts';
import { auditStore } from '../support/store-audit.ts';
import { describeEachStore } from '../support/stores.ts';

const PAYMENT_LIMIT_S = 4;
const STOCK = 10;

const commandIds = z.array(z.object({ id: z.string() }));

describeEachStore('A payment limit that passes while the server is down', (kind) => {
  const cleanup = new Cleanup();
  afterEach(() => cleanup.run());

  it('fires when it is there again, once: nothing is reserved any more, and the customer is told', async () => {
    const store = await kind.create();
    cleanup.add(store.remove);
    const world = await OutsideWorld.open(cleanup);
    const environment = {
      ...world.environment,
      LEASE_S: '1',
      READ_WAIT_MS: '20000',
      PAYMENT_LIMIT_S: String(PAYMENT_LIMIT_S),
      PAYMENT_RECONCILE_AFTER_S: '1',
    };
    let server = await startServerProcess(store, ['--no-seed'], environment);
    cleanup.add(() => server.kill());
    const before = new Buyer(server.url);
    await before.addProduct('MUG', { stock: STOCK });
    const [unpaid, silent] = [await before.placed({ MUG: 2 }), await before.placed({ MUG: 1 })];
    const commandId = randomUUID();
    const paying = before.pay(silent.id, 'tok_silent', { commandId });
    paying.catch(() => {});
    await eventually(async () => {
      expect((await world.provider.ledger()).payments).toMatchObject([{ status: 'processing' }]);
    });
    await server.kill();
    const deadlines = [unpaid, silent].map(({ paymentDeadline }) => Date.parse(paymentDeadline ?? ''));
    await delay(Math.max(...deadlines) - Date.now() + 50);

    // Once more, so that whatever had fired could fire again.
    for (const ending of ['kill', 'stop'] as const) {
      server = await startServerProcess(store, ['--no-seed'], environment);
      const buyer = new Buyer(server.url);
      for (const { id } of [unpaid, silent]) {
        await buyer.untilOrder(id, { status: 'CANCELLED', statusReason: 'PAYMENT_TIMED_OUT', paymentDeadline: null });
      }
      await buyer.untilOrder(silent.id, { payments: [{ status: 'TIMED_OUT' }] });
      await eventually(async () => expect(await buyer.available('MUG')).toBe(STOCK));
      expect(await buyer.pay(silent.id, 'tok_silent', { commandId })).toMatchObject({
        __typename: 'PaymentDeclined',
        reason: 'TIMED_OUT',
        receipt: { status: 'REJECTED', replayed: true },
      });
      expect(await buyer.pay(unpaid.id)).toMatchObject({ __typename: 'IllegalState', state: 'CANCELLED' });
      await eventually(async () => {
        for (const { id } of [unpaid, silent]) {
          expect((await buyer.told(id)).map(({ status }) => status)).toEqual(['SENT', 'SENT']);
        }
        const { payments } = await world.provider.ledger();
        expect(payments.map(({ status, capturedMinor }) => [status, capturedMinor])).toEqual([['cancelled', 0]]);
        const filter = { status: ['QUEUED', 'RUNNING'], to: inMs(0) };
        const waiting = (await buyer.commands({ filter })).nodes.filter(({ dueAt }) => dueAt === null);
        expect(waiting).toEqual([]);
      });
      if (ending === 'kill') await server.kill();
      else expect(await server.stop()).toBe(0);
    }

    const told = new Map(world.mails.map(({ messageId, subject }) => [messageId, subject]));
    const subjects = [unpaid, silent].flatMap(({ number }) => [
      `We have your order ${number}`,
      `Your order ${number} was cancelled: it was not paid in time`,
    ]);
    expect([...told.values()].sort()).toEqual(subjects.sort());
    const database = await openDatabase(store.settings);
    cleanup.add(database.close);
    const sent = commandIds.parse(await database.log.query('SELECT command_id AS id FROM commands'));
    const events = await auditStore(
      database,
      [],
      sent.map(({ id }) => id),
    );
    const happened = (type: string) =>
      events
        .filter((event) => event.type === type)
        .map(({ aggregateId }) => aggregateId)
        .sort();
    const orders = [unpaid, silent].map(({ id }) => rawId(id)).sort();
    expect(happened('CheckoutTimedOut')).toEqual(orders);
    expect(happened('OrderCancelled')).toEqual(orders);
    expect(happened('PaymentTimedOut')).toHaveLength(1);
    expect(happened('StockReleased')).toEqual(['MUG', 'MUG']);
  }, 300_000);
});
