import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { Buyer } from '../support/buyer.ts';
import { eventually } from '../support/operator.ts';
import { OutsideWorld, type Party } from '../support/outside-world.ts';
import { skipPauses } from '../support/planted-faults.ts';
import { type LocalServer, startLocalServer } from '../support/servers.ts';
import { Cleanup } from '../support/simulators.ts';
import { describeEachStore } from '../support/stores.ts';

const readiness = z.object({
  status: z.string(),
  outside: z.array(z.object({ name: z.string(), breaker: z.string(), lastFailure: z.object({}).nullable() })),
});

/** When everybody outside is there again, whatever waited for them goes on. */
describeEachStore('A shop whose outside parties are down', (kind) => {
  const cleanup = new Cleanup();
  let world: OutsideWorld;
  let server: LocalServer;
  let buyer: Buyer;

  beforeAll(async () => {
    const store = await kind.create();
    cleanup.add(store.remove);
    world = await OutsideWorld.open(cleanup);
    const outside = world.parties();
    cleanup.add(() => outside.close());
    server = await startLocalServer(store, { readWaitMs: 20_000 }, outside);
    cleanup.add(server.stop);
    await world.announce(server.url);
    buyer = new Buyer(server.url);
    await buyer.addProduct('MUG');
  });
  afterAll(() => cleanup.run());

  async function breakerOf(party: Party): Promise<string | undefined> {
    const response = await fetch(new URL('/health/ready', server.url));
    const { status, outside } = readiness.parse(await response.json());
    expect([response.status, status], 'the shop is open all the same').toEqual([200, 'ready']);
    return outside.find(({ name }) => name === party)?.breaker;
  }

  /** The dead letter of a command, once its attempts have followed one another to the last. */
  function letterOf(command: string) {
    return eventually(async () => {
      await skipPauses(server);
      const letter = (await buyer.deadLetters('command')).find(({ payload }) => payload['command'] === command);
      if (letter === undefined) throw new Error(`${command} has not failed for good.`);
      return letter;
    });
  }

  function retried(deadLetterId: string) {
    return buyer.operate('retryDeadLetter', { deadLetterId });
  }

  test('takes orders without a payment provider; what failed for good goes on once it is back', async () => {
    const order = await buyer.placed({ MUG: 2 });
    await world.shut('payment provider');
    const commandId = randomUUID();
    const paying = buyer.pay(order.id, 'tok_ok', { commandId });
    const letter = await letterOf('AuthorisePayment');
    // A repeat looks first for what may have been made.
    expect(letter).toMatchObject({ attempts: 8, error: expect.stringContaining('payment provider: find') });
    expect(JSON.stringify(letter)).not.toContain('tok_ok');
    expect(await breakerOf('payment provider')).toBe('open');
    expect(await breakerOf('carrier')).toBe('closed');
    expect(await buyer.order(order.id)).toMatchObject({ status: 'PLACED', payments: [{ status: 'REQUESTED' }] });

    // Retried in vain, it is there again.
    expect(await retried(letter.id)).toMatchObject({ __typename: 'DeadLetterPayload' });
    const again = await letterOf('AuthorisePayment');
    expect(again).toMatchObject({ id: letter.id, attempts: 16 });

    await world.reopen('payment provider');
    // A breaker lets one call through after a while, and that one tells.
    await eventually(async () => expect(await breakerOf('payment provider')).not.toBe('closed'));
    expect(await retried(letter.id)).toMatchObject({ __typename: 'DeadLetterPayload' });
    await eventually(async () => {
      await skipPauses(server);
      expect(await buyer.order(order.id)).toMatchObject({ status: 'DELIVERED', payments: [{ status: 'CONFIRMED' }] });
    });
    expect(await breakerOf('payment provider')).toBe('closed');
    await paying;
    expect(await buyer.pay(order.id, 'tok_ok', { commandId })).toMatchObject({
      __typename: 'OrderPayload',
      receipt: { status: 'SUCCEEDED', replayed: true },
    });
    expect(await buyer.deadLetters()).toEqual([]);
    const { payments, calls } = await world.provider.ledger();
    expect(payments).toMatchObject([{ status: 'captured', capturedMinor: 200, refundedMinor: 0 }]);
    expect(calls.filter(({ bodies }) => bodies !== 1)).toEqual([]);
  });

  test('sells without a carrier; the goods leave once it is back', async () => {
    const order = await buyer.placed({ MUG: 1 });
    await world.shut('carrier');
    await buyer.pay(order.id);
    await buyer.untilOrder(order.id, { status: 'PAID' });
    const letter = await letterOf('RegisterShipment');
    expect(letter).toMatchObject({ attempts: 8, error: expect.stringContaining('carrier') });
    expect(JSON.stringify(letter)).not.toContain('1 Row');
    expect(await breakerOf('carrier')).toBe('open');
    expect(await buyer.order(order.id)).toMatchObject({ status: 'PAID', shipments: [{ status: 'REQUESTED' }] });

    await world.reopen('carrier');
    expect(await retried(letter.id)).toMatchObject({ __typename: 'DeadLetterPayload' });
    await eventually(async () => {
      await skipPauses(server);
      expect(await buyer.order(order.id)).toMatchObject({ status: 'DELIVERED', shipments: [{ status: 'DELIVERED' }] });
    });
    expect(await breakerOf('carrier')).toBe('closed');
    expect(await buyer.deadLetters()).toEqual([]);
  });

  test('pays nothing back without a carrier, which alone knows where the goods are; nor sends them off then', async () => {
    const order = await buyer.placed({ MUG: 1 });
    await world.shut('carrier');
    await buyer.pay(order.id);
    await buyer.untilOrder(order.id, { status: 'PAID' });
    const registering = await letterOf('RegisterShipment');
    const commandId = randomUUID();
    const cancelling = buyer.cancel(order.id, { commandId });
    const letter = await letterOf('CancelShipment');
    expect(await buyer.command(commandId)).toMatchObject({ status: 'RUNNING' });
    const waiting = await buyer.untilOrder(order.id, { status: 'PAID', payments: [{ status: 'CONFIRMED' }] });
    expect(waiting.process?.steps.at(-1)).toMatchObject({ name: 'cancel', status: 'WAITING' });

    await world.reopen('carrier', null);
    expect(await retried(letter.id)).toMatchObject({ __typename: 'DeadLetterPayload' });
    await eventually(async () => {
      await skipPauses(server);
      const over = { status: 'CANCELLED', payments: [{ status: 'REFUNDED' }], shipments: [{ status: 'CANCELLED' }] };
      expect(await buyer.order(order.id)).toMatchObject(over);
    });
    await cancelling;
    expect(await buyer.command(commandId)).toMatchObject({ status: 'SUCCEEDED' });
    // What was to begin it comes too late, and changes nothing.
    await retried(registering.id);
    await eventually(async () => expect(await buyer.deadLetters()).toEqual([]));
    const { shipments } = await world.carrier.ledger();
    expect(shipments.filter(({ status }) => status !== 'delivered')).toMatchObject([{ status: 'cancelled' }]);
    await world.shut('carrier');
    await world.reopen('carrier');
  });

  test('tells its customers later without a mail server: everything, and each thing once by its Message-ID', async () => {
    await world.shut('mail server');
    const order = await buyer.placed({ MUG: 1 });
    await buyer.pay(order.id);
    await buyer.untilOrder(order.id, { status: 'DELIVERED' });
    await eventually(async () => {
      await skipPauses(server);
      expect(await breakerOf('mail server')).toBe('open');
    });
    await eventually(async () => {
      const told = await buyer.told(order.id);
      expect(told.map(({ status }) => status)).toEqual(['QUEUED', 'QUEUED', 'QUEUED']);
    });

    await world.reopen('mail server');
    // Of one of them it never hears that it arrived: so it comes again.
    world.mailServer.setTrouble('lose one answer');
    await eventually(async () => {
      await skipPauses(server);
      await buyer.operate('retryDeadLetters', { source: 'command' });
      const told = await buyer.told(order.id);
      expect(told.map(({ status }) => status)).toEqual(['SENT', 'SENT', 'SENT']);
    });
    expect(await breakerOf('mail server')).toBe('closed');
    const mails = world.mails.filter(({ subject }) => subject.includes(order.number));
    const byId = new Map(mails.map(({ messageId, subject }) => [messageId, subject]));
    expect(world.mails.length, 'one came twice').toBeGreaterThan(new Set(world.mails.map((it) => it.messageId)).size);
    expect([...byId.values()].sort()).toEqual([
      `We have your order ${order.number}`,
      `Your order ${order.number} is on its way`,
      `Your order ${order.number} was delivered`,
    ]);
    expect(await buyer.deadLetters()).toEqual([]);
  });
});
