import { describe, expect, test } from 'vitest';
import { type CartMessage, cartMessageSources } from '../../src/contexts/cart/messages.ts';
import { abandonedCarts, type WatchEvent } from '../../src/processes/abandoned-carts.ts';
import { ADDRESS, CART, MERGE, ORDER, OTHER_CART } from '../support/carts.ts';
import { due, givenProcess, refused } from '../support/given-process.ts';
import { recorded } from '../support/recorded.ts';

const HOUR = 3_600_000;
const process = abandonedCarts({ afterMs: HOUR });
const START = Date.parse('2030-01-31T12:00:00Z');
const at = (hours: number) => new Date(START + hours * HOUR);
const iso = (hours: number) => at(hours).toISOString();

const of = (version: number) => ({ cartId: CART, version });
const ofMerge = (version: number) => ({ ...of(version), mergeId: MERGE, fromCartId: CART, intoCartId: OTHER_CART });
const told = (message: CartMessage, hours: number) => ({ kind: 'message', message, at: at(hours) }) as const;
const changed = (version: number, hours: number) => told({ type: 'CartChanged', ...of(version) }, hours);

const began = (cartVersion: number, until: number): WatchEvent => ({
  type: 'CartWatchBegan',
  data: { cartVersion, until: iso(until) },
});
const prolonged = (cartVersion: number, until: number): WatchEvent => ({
  type: 'CartWatchProlonged',
  data: { cartVersion, until: iso(until) },
});
const idle = (cartVersion: number): WatchEvent => ({ type: 'CartFoundIdle', data: { cartVersion } });
const ended = (cartVersion: number, reason: 'ABANDONED' | 'MERGED' | 'CHECKING_OUT'): WatchEvent => ({
  type: 'CartWatchEnded',
  data: { cartVersion, reason },
});
const timerAt = (hours: number) => ({ kind: 'setTimer', timer: 'abandon', dueAt: at(hours) }) as const;
const noTimer = { kind: 'cancelTimer', timer: 'abandon' } as const;
const abandon = (expectedVersion: number) =>
  ({ kind: 'send', command: { type: 'AbandonCart', data: { cartId: CART } }, expectedVersion }) as const;
const context = (hours: number) => ({ instanceId: CART, now: at(hours) });

const checkOut = (version: number): CartMessage => ({
  ...{ type: 'CartCheckOutRequested', ...of(version), orderId: ORDER, commandId: MERGE },
  ...{ customerId: CART, ownerId: null, currency: 'GBP', lines: [], discounts: [], couponCode: null },
  ...{ email: 'carla@example.org', shippingAddress: ADDRESS },
});

const OPENINGS = ['CartOpened', 'CartReopened', 'CartLinesTakenBack', 'CartChanged', 'CartCheckOutCancelled'] as const;
function opening(type: (typeof OPENINGS)[number], version: number): CartMessage {
  if (type === 'CartLinesTakenBack') return { type, ...ofMerge(version) };
  if (type === 'CartCheckOutCancelled') return { type, ...of(version), orderId: ORDER, reason: 'INSUFFICIENT_STOCK' };
  return { type, ...of(version) };
}

describe('A cart', () => {
  test('is watched from when it was opened, not from when that is heard of', () =>
    givenProcess(process, [])
      .when(told({ type: 'CartOpened', ...of(1) }, 0), context(0.5))
      .thenEvents([began(1, 1)])
      .thenEffects([timerAt(1)]));

  test.each(OPENINGS)('is watched again after the end: %s', (type) => {
    for (const reason of ['ABANDONED', 'MERGED', 'CHECKING_OUT'] as const) {
      givenProcess(process, [began(1, 1), ended(3, reason)])
        .when(told(opening(type, 4), 5))
        .thenEvents([began(4, 6)])
        .thenEffects([timerAt(6)]);
    }
  });

  test('is watched longer when it was changed', () =>
    givenProcess(process, [began(1, 1)])
      .when(changed(2, 0.5), context(1))
      .thenEvents([prolonged(2, 1.5)])
      .thenEffects([timerAt(1.5)]));

  test('is watched longer when something is merged into it', () => {
    givenProcess(process, [began(1, 1)])
      .when(told({ type: 'CartMergeRequested', ...ofMerge(2), requestedBy: { kind: 'GUEST', id: null } }, 0.5))
      .thenEvents([prolonged(2, 1.5)]);
    givenProcess(process, [began(1, 1)])
      .when(told({ type: 'CartLinesTakenIn', ...ofMerge(2) }, 0.5))
      .thenEvents([prolonged(2, 1.5)]);
  });

  test('is asked to be abandoned as it was known, when the time is up', () =>
    givenProcess(process, [began(1, 1), prolonged(4, 2)])
      .when(due('abandon', at(2)), context(2))
      .thenEvents([idle(4)])
      .thenEffects([abandon(4)]));

  test('is not watched any more when it is abandoned', () =>
    givenProcess(process, [began(1, 1), idle(1)])
      .when(told({ type: 'CartAbandoned', ...of(2) }, 1))
      .thenEvents([ended(2, 'ABANDONED')])
      .thenEffects([noTimer]));

  test('is not watched any more when its lines leave', () => {
    for (const events of [[began(1, 1)], [began(1, 1), idle(1)]]) {
      givenProcess(process, events)
        .when(told({ type: 'CartLinesHandedOver', ...ofMerge(2), currency: 'GBP', lines: [] }, 1))
        .thenEvents([ended(2, 'MERGED')])
        .thenEffects([noTimer]);
      givenProcess(process, events)
        .when(told({ type: 'CartMerged', ...ofMerge(2) }, 1))
        .thenEvents([ended(2, 'MERGED')])
        .thenEffects([noTimer]);
    }
  });

  test('is not watched any more when it becomes an order', () => {
    for (const events of [[began(1, 1)], [began(1, 1), idle(1)]]) {
      givenProcess(process, events)
        .when(told(checkOut(2), 1))
        .thenEvents([ended(2, 'CHECKING_OUT')])
        .thenEffects([noTimer]);
    }
    // Heard of late: it was to be abandoned meanwhile, and that was refused.
    givenProcess(process, [began(1, 1), idle(1), prolonged(1, 2)])
      .when(told({ type: 'CartCheckedOut', ...of(3), orderId: ORDER }, 1))
      .thenEvents([ended(3, 'CHECKING_OUT')])
      .thenEffects([noTimer]);
  });

  test('whose watch has ended can end again', () => {
    const over = [began(1, 1), ended(2, 'MERGED')];
    givenProcess(process, [began(1, 1), ended(2, 'CHECKING_OUT')])
      .when(told({ type: 'CartCheckedOut', ...of(3), orderId: ORDER }, 1))
      .thenNothing();
    givenProcess(process, over)
      .when(told(checkOut(3), 1))
      .thenNothing();
    givenProcess(process, over)
      .when(told({ type: 'CartMerged', ...ofMerge(3) }, 1))
      .thenNothing();
    givenProcess(process, over)
      .when(told({ type: 'CartAbandoned', ...of(3) }, 1))
      .thenNothing();
  });
});

describe('A timer', () => {
  test('that was replaced says nothing', () =>
    givenProcess(process, [began(1, 1), prolonged(2, 1.5)])
      .when(due('abandon', at(1)), context(1))
      .thenNothing());

  test('says nothing twice', () =>
    givenProcess(process, [began(1, 1), idle(1)])
      .when(due('abandon', at(1)), context(1))
      .thenNothing());

  test('says nothing of what is not watched', () => {
    givenProcess(process, [])
      .when(due('abandon', at(1)), context(1))
      .thenNothing();
    givenProcess(process, [began(1, 1), ended(2, 'MERGED')])
      .when(due('abandon', at(1)), context(1))
      .thenNothing();
  });
});

describe('What is known already', () => {
  test.each(OPENINGS)('changes nothing: %s', (type) => {
    givenProcess(process, [began(4, 1)])
      .when(told(opening(type, 4), 0))
      .thenNothing();
    givenProcess(process, [began(4, 1)])
      .when(told(opening(type, 3), 0))
      .thenNothing();
    givenProcess(process, [began(4, 1), ended(5, 'MERGED')])
      .when(told(opening(type, 5), 0))
      .thenNothing();
  });

  test('does not end what goes on: the end came before', () => {
    const goesOn = [began(1, 1), idle(1), prolonged(5, 3)];
    givenProcess(process, goesOn)
      .when(told({ type: 'CartAbandoned', ...of(2) }, 1))
      .thenNothing();
    givenProcess(process, goesOn)
      .when(told({ type: 'CartMerged', ...ofMerge(2) }, 1))
      .thenNothing();
  });
});

describe('A cart that could not be abandoned', () => {
  const conflict = { code: 'VERSION_CONFLICT', message: '', expectedVersion: 1, actualVersion: 2 };

  test('since it was changed just then, is known to be watched again', () => {
    const asked = [began(1, 1), idle(1)];
    givenProcess(process, asked)
      .when(changed(2, 1), context(1))
      .thenEvents([prolonged(2, 2)])
      .thenEffects([timerAt(2)]);
    givenProcess(process, [...asked, prolonged(2, 2)])
      .when(refused('AbandonCart', { rejection: conflict }), context(1))
      .thenNothing();
  });

  test.each(['REJECTED', 'TIMED_OUT', 'CANCELLED', 'DROPPED'] as const)('is watched from now on: %s', (status) =>
    givenProcess(process, [began(1, 1), idle(1)])
      .when(refused('AbandonCart', { status }), context(7))
      .thenEvents([prolonged(1, 8)])
      .thenEffects([timerAt(8)]),
  );

  test('is not watched for a shorter time when a change is heard of late; but its version is known', () =>
    givenProcess(process, [began(1, 1), idle(1), prolonged(1, 8)])
      .when(changed(2, 1), context(8))
      .thenEvents([prolonged(2, 8)]));

  test('is not watched when it is not open any more', () =>
    givenProcess(process, [began(1, 1), idle(1), ended(2, 'MERGED')])
      .when(refused('AbandonCart'), context(1))
      .thenNothing());
});

test('Every event of a cart is heard of: at once or before the time is up', () => {
  const { eventTypes, latest } = process;
  expect([...eventTypes, ...(latest?.eventTypes ?? [])].sort()).toEqual([...cartMessageSources].sort());
  const [event] = recorded('cart', CART, [{ type: 'CartAbandoned', data: { lineCount: 0 } }]);
  expect(event && process.instanceOf(event)).toBe(CART);
  expect(latest?.streamOf(CART)).toBe(event?.streamId);
});

test('A watch shows what it waits for', () => {
  const views = [
    began(1, 1),
    prolonged(2, 2),
    idle(2),
    ended(3, 'ABANDONED'),
    ended(3, 'MERGED'),
    ended(3, 'CHECKING_OUT'),
  ].map(process.view);
  expect(views.map(({ step, stepStatus, status }) => [step, stepStatus, status])).toEqual([
    ['watch', 'WAITING', 'RUNNING'],
    ['watch', 'WAITING', 'RUNNING'],
    ['abandon', 'WAITING', 'RUNNING'],
    ['abandon', 'DONE', 'COMPLETED'],
    ['watch', 'DONE', 'COMPLETED'],
    ['watch', 'DONE', 'COMPLETED'],
  ]);
});

test('Every event of a watch fits its schema', () => {
  for (const event of [began(1, 1), prolonged(2, 2), idle(2), ended(3, 'CHECKING_OUT')]) {
    const definition = process.events.find(({ type }) => type === event.type);
    expect(definition?.data.parse(event.data)).toEqual(event.data);
  }
});
