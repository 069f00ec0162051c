import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Actor, SYSTEM } from '../../src/eventsourcing/actor.ts';
import { encodeGlobalId } from '../../src/graphql/global-id.ts';
import { ANONYMOUS, customer, STAFF } from '../support/given.ts';
import { MailRoom } from '../support/mail-room.ts';
import { eventually } from '../support/queue.ts';

let room: MailRoom;
beforeAll(async () => {
  room = await MailRoom.open();
  for (const customerId of ['mia', 'guest:mia']) {
    await room.run('RecordCustomer', { customerId, email: 'mia@example.com', name: 'Mia Miller' });
    await eventually(async () => expect(await node(STAFF, customerId)).not.toEqual({ data: { node: null } }));
  }
});
afterAll(() => room.stop());

const CUSTOMER = 'id personalData email name createdAt';
const guest = (id: string): Actor => ({ kind: 'GUEST', id });
const viewer = (actor: Actor) => room.ask(actor, `{ viewer { ${CUSTOMER} } }`);
const node = (actor: Actor, id: string) =>
  room.ask(actor, `{ node(id: "${encodeGlobalId('Customer', id)}") { ... on Customer { ${CUSTOMER} } } }`);

const mia = { personalData: 'PRESENT', email: 'mia@example.com', name: 'Mia Miller' };

describe('Who I am', () => {
  test('is what I said when I ordered', async () => {
    for (const [actor, id] of [
      [customer('mia'), 'mia'],
      [guest('mia'), 'guest:mia'],
    ] as const) {
      expect(await viewer(actor)).toMatchObject({ data: { viewer: { ...mia, id: encodeGlobalId('Customer', id) } } });
    }
  });

  test('is known of a guest by the longest name that a token has, too', async () => {
    const name = 'n'.repeat(200);
    await room.run('RecordCustomer', { customerId: `guest:${name}`, email: 'nn@example.com', name: 'Nn' });
    await eventually(async () => expect(await viewer(guest(name))).toMatchObject({ data: { viewer: { name: 'Nn' } } }));
  });

  test('is little before I order', async () => {
    const shown = { personalData: 'PRESENT', email: null, name: null };
    for (const actor of [customer('new'), guest('new')]) {
      expect(await viewer(actor)).toMatchObject({ data: { viewer: shown } });
    }
  });

  test('is nobody for a caller who is no customer', async () => {
    for (const actor of [ANONYMOUS, { ...STAFF, id: 'mia' }, SYSTEM, { kind: 'SERVICE', id: 'mia' } as const]) {
      expect(await viewer(actor)).toEqual({ data: { viewer: null } });
    }
  });
});

describe('A customer', () => {
  test('is shown to themselves and to staff', async () => {
    for (const actor of [customer('mia'), STAFF, SYSTEM]) {
      expect(await node(actor, 'mia')).toMatchObject({ data: { node: mia } });
    }
  });

  test('is not there for anybody else', async () => {
    for (const actor of [
      customer('max'),
      guest('max'),
      guest('mia'),
      ANONYMOUS,
      { kind: 'SERVICE', id: 'mia' } as const,
    ]) {
      expect(await node(actor, 'mia')).toEqual({ data: { node: null } });
    }
  });

  test('who is forgotten says so, and keeps nothing else', async () => {
    const customerId = randomUUID();
    await room.run('RecordCustomer', { customerId, email: 'moe@example.com', name: 'Moe' });
    await eventually(async () =>
      expect(await node(STAFF, customerId)).toMatchObject({ data: { node: { name: 'Moe' } } }),
    );
    await room.database.log.query(
      'UPDATE subject_keys SET wrapped_key = NULL, destroyed_at = now() WHERE subject_id = $1',
      customerId,
    );
    await room.restart();
    const forgotten = { personalData: 'FORGOTTEN', email: null, name: null };
    for (const actor of [STAFF, customer(customerId)]) {
      expect(await node(actor, customerId)).toMatchObject({ data: { node: forgotten } });
    }
    expect(await viewer(customer(customerId))).toMatchObject({ data: { viewer: forgotten } });
    expect(await node(STAFF, 'mia')).toMatchObject({ data: { node: mia } });
  });
});

describe('Looking customers up by e-mail', () => {
  const find = (actor: Actor, email: string) => room.ask(actor, `{ customersByEmail(email: "${email}") { name } }`);

  test('finds them, in capitals or not, by a hash alone', async () => {
    expect(await find(STAFF, ' MIA@Example.com ')).toEqual({
      data: { customersByEmail: [{ name: 'Mia Miller' }, { name: 'Mia Miller' }] },
    });
    expect(await find(STAFF, 'mia@example.org')).toEqual({ data: { customersByEmail: [] } });
  });

  test('is for staff', async () => {
    expect(await find(customer('mia'), 'mia@example.com')).toMatchObject({
      errors: [{ extensions: { code: 'FORBIDDEN' } }],
    });
  });
});
