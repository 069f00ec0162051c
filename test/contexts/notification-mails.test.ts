import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { SYSTEM } from '../../src/eventsourcing/actor.ts';
import { encodeGlobalId } from '../../src/graphql/global-id.ts';
import { ANONYMOUS, customer, STAFF } from '../support/given.ts';
import { MailRoom } from '../support/mail-room.ts';
import { type MailServer, startMailServer } from '../support/mail-server.ts';
import { eventually, letterRows } from '../support/queue.ts';

let room: MailRoom;
beforeAll(async () => {
  room = await MailRoom.open();
});
afterAll(() => room.stop());

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  room.sendTo(undefined);
  for (const close of closing.splice(0)) await close();
});

/** A mail server that mails go to until the end of the test. */
async function startServer(): Promise<MailServer> {
  const server = await startMailServer();
  closing.push(server.close);
  room.sendTo(server.url);
  return server;
}

describe('A notification', () => {
  test('is mailed once, and recorded with what became of it', async () => {
    const server = await startServer();
    const id = await room.tell('mia');
    expect(await room.ended(id)).toMatchObject({ status: 'SENT', recipient: 'mia@example.com', failureReason: null });
    expect(server.mails).toMatchObject([
      { messageId: `<${id}@cartstream>`, to: ['mia@example.com'], subject: 'Your order N-1 was delivered' },
    ]);
  });

  test('that was perhaps sent is sent again, with the same Message-ID', async () => {
    const server = await startServer();
    server.setTrouble('lose one answer');
    const id = await room.tell('mia');
    expect((await room.ended(id)).status).toBe('SENT');
    expect(server.mails.length).toBeGreaterThan(1);
    expect(new Set(server.mails.map(({ messageId }) => messageId))).toEqual(new Set([`<${id}@cartstream>`]));
  });

  test('that cannot be delivered failed, and is not tried again', async () => {
    const server = await startServer();
    server.setTrouble({ at: 'RCPT TO', code: 550, message: '5.1.1 mia@example.com: nobody' });
    const id = await room.tell('mia');
    expect(await room.ended(id)).toMatchObject({ status: 'FAILED', failureReason: '550 5.1.1 RCPT TO', sentAt: null });
    expect(await letterRows(room.database)).toEqual([]);
  });

  test('is a dead letter while there is no server, says nothing of the recipient, and holds up no other', async () => {
    const server = await startMailServer();
    await server.close();
    room.sendTo(server.url);
    const id = await room.tell('mia');
    const letters = await eventually(async () => {
      const rows = await letterRows(room.database);
      expect(rows).toHaveLength(1);
      return rows;
    });
    expect(letters[0]).toMatchObject({ attempts: 3 });
    expect(letters[0]?.error).toContain('ECONNREFUSED');
    expect(JSON.stringify(letters)).not.toContain('mia');
    const again = await startMailServer(Number(new URL(server.url).port));
    closing.push(again.close);
    const other = await room.tell('max');
    expect((await room.ended(other)).status).toBe('SENT');
    await room.retry(letters[0]?.id ?? '');
    expect((await room.ended(id)).status).toBe('SENT');
    expect(again.mails.map(({ to }) => to)).toEqual([['max@example.com'], ['mia@example.com']]);
  });

  test('for somebody who is forgotten is not mailed, and says so', async () => {
    const server = await startServer();
    await forget('moe');
    const id = await room.tell('moe');
    expect(await room.ended(id)).toMatchObject({ status: 'FAILED', failureReason: 'FORGOTTEN', recipient: null });
    expect(server.mails).toEqual([]);
  });

  test('is kept where there is no mail server', async () => {
    expect(await room.ended(await room.tell('mia'))).toMatchObject({ status: 'KEPT', sentAt: null });
  });
});

test('No address stands in any table', async () => {
  await room.run('RecordCustomer', { customerId: 'mia', email: 'mia@example.com', name: 'Mia Miller' });
  await room.ended(await room.tell('mia'));
  for (const table of ['events', 'commands', 'notification_view', 'customer_view', 'command_queue', 'dead_letters']) {
    const rows = JSON.stringify(await room.database.log.query(`SELECT to_jsonb(it)::text AS row FROM ${table} AS it`));
    expect(rows, table).not.toMatch(/example\.com|Miller/);
  }
});

const LIST = `query List($first: Int, $after: String, $orderId: ID) {
  notifications(first: $first, after: $after, orderId: $orderId) {
    totalCount pageInfo { hasNextPage endCursor }
    nodes { id channel subject text status to sentAt failureReason }
  }
}`;

describe('What customers were told can be asked for', () => {
  test('by staff, newest first, page by page, and for one order', async () => {
    const orderId = randomUUID();
    const ids = [];
    for (const customerId of ['mia', 'max', 'mia']) ids.push(await room.tell(customerId, orderId));
    await room.ended(await room.tell('mona'));
    const listed = ids.map((id) => ({ id: encodeGlobalId('Notification', id) })).reverse();
    const wanted = { orderId: encodeGlobalId('Order', orderId) };
    for (const actor of [STAFF, SYSTEM]) {
      const first = await room.ask(actor, LIST, { ...wanted, first: 2 });
      expect(first).toMatchObject({ data: { notifications: { totalCount: 3, nodes: listed.slice(0, 2) } } });
      const { pageInfo } = (first.data as { notifications: { pageInfo: { endCursor: string } } }).notifications;
      expect(await room.ask(actor, LIST, { ...wanted, after: pageInfo.endCursor })).toMatchObject({
        data: { notifications: { pageInfo: { hasNextPage: false }, nodes: listed.slice(2) } },
      });
      expect(await room.ask(actor, LIST, { first: 1 })).toMatchObject({
        data: { notifications: { pageInfo: { hasNextPage: true }, nodes: [{ to: 'mona@example.com' }] } },
      });
    }
    expect(await room.ask(customer('max'), LIST, wanted)).toMatchObject({
      data: { notifications: { totalCount: 1, nodes: [listed[1]] } },
    });
    expect(await room.ask(STAFF, LIST, { orderId: encodeGlobalId('Cart', orderId) })).toMatchObject({
      errors: [{ message: expect.stringContaining('not of a Order') }],
    });
  });

  test('by whom it was for, and by nobody else', async () => {
    const id = await room.tell('mara');
    await room.ended(id);
    const globalId = encodeGlobalId('Notification', id);
    const told = {
      id: globalId,
      channel: 'email',
      subject: 'Your order N-1 was delivered',
      status: 'KEPT',
      to: 'mara@example.com',
      sentAt: null,
      failureReason: null,
    };
    const node = `query { node(id: "${globalId}") { ... on Notification { subject createdAt } } }`;
    const mara = customer('mara');
    expect(await room.ask(mara, LIST)).toMatchObject({ data: { notifications: { totalCount: 1, nodes: [told] } } });
    expect(await room.ask(mara, node)).toMatchObject({ data: { node: { subject: told.subject } } });
    const namesakes = [{ kind: 'GUEST', id: 'mara' } as const, { kind: 'SERVICE', id: 'mara' } as const];
    for (const actor of [customer('nobody'), ANONYMOUS, ...namesakes]) {
      expect(await room.ask(actor, LIST)).toMatchObject({ data: { notifications: { totalCount: 0, nodes: [] } } });
      expect(await room.ask(actor, node)).toEqual({ data: { node: null } });
    }
  });
});

/** Somebody is forgotten by the destruction of their key. */
async function forget(customerId: string): Promise<void> {
  await room.database.log.query(
    `INSERT INTO subject_keys (subject_id, wrapped_key, master_key_id, created_at, destroyed_at)
     SELECT $1, NULL, master_key_id, now(), now() FROM subject_keys LIMIT 1`,
    customerId,
  );
}
