import { describe, expect, test } from 'vitest';
import { type CustomerCommand, forgetCustomer, recordCustomer } from '../../src/contexts/customers/commands.ts';
import { customerDecider } from '../../src/contexts/customers/decider.ts';
import { type CustomerEvent, customerEvents, customerForgotten } from '../../src/contexts/customers/events.ts';
import type { CustomerFacts } from '../../src/contexts/customers/facts.ts';
import { customerProjection, customerRow } from '../../src/contexts/customers/projection.ts';
import { personalDataState } from '../../src/contexts/shared-types.ts';
import { protectedFields } from '../../src/eventsourcing/log/codec.ts';
import { given } from '../support/given.ts';
import { recorded } from '../support/recorded.ts';

const mia = { customerId: 'mia', email: 'mia@example.com', name: 'Mia Miller' };
const moved = { ...mia, email: 'mia@example.org' };
/** What a row is found by: only its hash is ever stored in the clear. */
const found = (foldedEmail: string) => ({ foldedEmail, emailHash: null });
const forgotten = { ...mia, email: null, name: null };
type Contact = Extract<CustomerEvent, { type: 'CustomerRecorded' }>['data'];
const record = (data: Contact): CustomerCommand => ({ type: 'RecordCustomer', data });
const first: CustomerEvent = { type: 'CustomerRecorded', data: mia };
const gone: CustomerEvent = { type: 'CustomerForgotten', data: { customerId: 'mia', reason: 'asked for it' } };
const forget: CustomerCommand = { type: 'ForgetCustomer', data: { customerId: 'mia', reason: 'asked for it' } };
const kept = (open: CustomerFacts['open'] = []) => ({ facts: new Map([['mia', { isKept: true, open }]]) });
const changed = (data: Contact): CustomerEvent => ({ type: 'CustomerContactChanged', data });

describe('A customer', () => {
  test('is recorded with their first order', () => given(customerDecider, []).when(record(mia)).thenEvents([first]));

  test('is not changed by saying the same again', () => {
    given(customerDecider, [first]).when(record(mia)).thenEvents([]);
    given(customerDecider, [first, changed(moved)])
      .when(record(moved))
      .thenEvents([]);
  });

  test('is known by what they said last', () => {
    given(customerDecider, [first])
      .when(record(moved))
      .thenEvents([changed(moved)]);
    given(customerDecider, [first, changed(moved)])
      .when(record(mia))
      .thenEvents([changed(mia)]);
  });

  test('who was forgotten is known again when they order again', () =>
    given(customerDecider, [{ type: 'CustomerRecorded', data: forgotten }])
      .when(record(mia))
      .thenEvents([changed(mia)]));

  test('can be forgotten, once and for good', () => {
    given(customerDecider, [first]).when(forget, kept()).thenEvents([gone]);
    given(customerDecider, [first, gone]).when(forget, kept()).thenEvents([]);
    given(customerDecider, [first, gone]).when(record(mia)).thenEvents([]);
  });

  test('of whom something is kept can be forgotten, also if they never got an order', () =>
    given(customerDecider, []).when(forget, kept()).thenEvents([gone]));

  test('whom nobody knows cannot be forgotten', () => {
    given(customerDecider, []).when(forget).thenRejected({ code: 'NOT_FOUND', id: 'mia' });
  });

  test('is not forgotten while something is under way for them', () => {
    const open = [{ orderId: 'an order', number: 1 }];
    given(customerDecider, [first])
      .when(forget, kept(open))
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'ORDER_OPEN', message: expect.stringContaining('an order') });
  });

  test('who was forgotten before they were recorded is not', () => {
    given(customerDecider, []).when(record(forgotten)).thenEvents([]);
    given(customerDecider, [first]).when(record(forgotten)).thenEvents([]);
  });
});

test('What is known of a customer is told by an address and a name, and by nothing else', () => {
  expect(recordCustomer.input.safeParse(mia).success).toBe(true);
  expect(recordCustomer.input.safeParse({ ...mia, email: 'nowhere' }).success).toBe(false);
  expect(recordCustomer.input.safeParse({ ...mia, customerId: '' }).success).toBe(false);
});

test('Where a customer is stored, address and name are protected', () => {
  const contact = [
    ['.email', { kind: 'personal', subject: 'customerId' }],
    ['.name', { kind: 'personal', subject: 'customerId' }],
  ];
  for (const schema of [recordCustomer.input, ...customerEvents.slice(0, 2).map(({ data }) => data)]) {
    expect([...protectedFields(schema)]).toEqual(contact);
  }
  for (const schema of [forgetCustomer.input, customerForgotten.data]) expect([...protectedFields(schema)]).toEqual([]);
  expect([...protectedFields(customerRow)]).toEqual([
    ...contact,
    ['.foldedEmail', { kind: 'personal', subject: 'customerId' }],
    ['.emailHash', { kind: 'hash', of: 'foldedEmail' }],
  ]);
});

test('The view of a customer has what they said last, and when they were first known', () => {
  const [one, two] = recorded('customer', 'mia', [first, changed(moved)]);
  const before = one && customerProjection.evolveRow(undefined, one);
  const after = two && customerProjection.evolveRow(before, two);
  expect([before, after]).toEqual([
    { ...mia, ...found(mia.email), version: 1, position: 1, knownSince: one?.recordedAt },
    { ...moved, ...found(moved.email), version: 2, position: 2, knownSince: one?.recordedAt },
  ]);
  expect(two && customerProjection.evolveRow(undefined, two)).toBeUndefined();
  expect(after && customerProjection.streamsOf(after)).toEqual(['customer-mia']);
});

test('The view of a customer who is forgotten keeps when they were first known, and nothing of them', () => {
  const [one, two] = recorded('customer', 'mia', [first, gone]);
  const before = one && customerProjection.evolveRow(undefined, one);
  const nothing = { customerId: 'mia', email: null, name: null, foldedEmail: null, emailHash: null };
  const after = { ...nothing, version: 2, position: 2, knownSince: one?.recordedAt };
  expect(two && customerProjection.evolveRow(before, two)).toEqual(after);
  expect(two && customerProjection.evolveRow(undefined, two)).toEqual({ ...after, knownSince: two?.recordedAt });
});

test('Personal data can be read, or not by this caller, or by nobody any more', () => {
  expect(personalDataState(true, false)).toBe('PRESENT');
  expect(personalDataState(true, true)).toBe('FORGOTTEN');
  expect(personalDataState(false, false)).toBe('MASKED');
  // Whether somebody was forgotten is for nobody to know who could not read it anyway.
  expect(personalDataState(false, true)).toBe('MASKED');
});
