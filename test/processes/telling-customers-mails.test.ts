import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { orderingContext } from '../../src/contexts/ordering/index.ts';
import { PAYMENT_TIMED_OUT } from '../../src/contexts/ordering/messages.ts';
import { tellingCustomers } from '../../src/processes/telling-customers.ts';
import { MailRoom } from '../support/mail-room.ts';
import { type MailServer, startMailServer } from '../support/mail-server.ts';
import { eventually, letterRows } from '../support/queue.ts';

let server: MailServer;
let room: MailRoom;
beforeAll(async () => {
  server = await startMailServer();
  room = await MailRoom.open({ aggregates: orderingContext.aggregates, processes: [tellingCustomers] });
  room.sendTo(server.url);
});
afterAll(async () => {
  await room.stop();
  await server.close();
});

/** @returns the id of the order */
async function place(customerId: string): Promise<string> {
  const orderId = randomUUID();
  await room.run('PlaceOrder', {
    orderId,
    cartId: randomUUID(),
    customerId,
    ownerId: null,
    currency: 'GBP',
    lines: [{ sku: 'A', name: 'Lantern <3', quantity: 2, unitPrice: { amountMinor: 339, currency: 'GBP' } }],
    discounts: [],
    paymentDeadline: '2099-01-31T12:15:00.000Z',
    email: `${customerId}@example.com`,
    shippingAddress: { name: 'Mia Miller', street: '1 Mill Road', city: 'Mill', postalCode: '1', country: 'GB' },
  });
  return orderId;
}

const mailsTo = (customerId: string) => server.mails.filter(({ to }) => to.includes(`${customerId}@example.com`));

test('Whoever orders gets a mail with what they ordered, and one of what becomes of it', async () => {
  const orderId = await place('mia');
  await eventually(() => expect(mailsTo('mia')).toHaveLength(1));
  await room.run('CompleteOrderCancellation', { orderId, reason: PAYMENT_TIMED_OUT });
  await eventually(() => expect(mailsTo('mia')).toHaveLength(2));
  const [placed, cancelled] = mailsTo('mia');
  expect(placed?.text).toContain('2 × Lantern <3: £6.78');
  expect(placed?.html).toContain('2 × Lantern &lt;3');
  expect(cancelled?.subject).toMatch(/^Your order .+ was cancelled: it was not paid in time$/);
  expect(new Set(mailsTo('mia').map(({ messageId }) => messageId)).size).toBe(2);
});

test('What was told is not told again when another process goes on', async () => {
  await place('max');
  await eventually(() => expect(mailsTo('max')).toHaveLength(1));
  await room.restart();
  await place('moe');
  await eventually(() => expect(mailsTo('moe')).toHaveLength(1));
  expect(mailsTo('max')).toHaveLength(1);
  expect(await letterRows(room.database)).toEqual([]);
});

test('No address stands in the clear where the process remembers it', async () => {
  await place('mona');
  await eventually(() => expect(mailsTo('mona')).toHaveLength(1));
  for (const table of ['events', 'commands', 'process_view', 'notification_view']) {
    const rows = JSON.stringify(await room.database.log.query(`SELECT to_jsonb(it)::text AS row FROM ${table} AS it`));
    expect(rows, table).not.toMatch(/example\.com|Mill Road|Miller/);
  }
});
