import { describe, expect, test } from 'vitest';
import type { CartMessage } from '../../src/contexts/cart/messages.ts';
import type { Actor } from '../../src/eventsourcing/actor.ts';
import { notFound, type Rejection } from '../../src/eventsourcing/commands/rejection.ts';
import type { CommandRefusal, ProcessEffect } from '../../src/eventsourcing/processes/process-manager.ts';
import type { MergeEvent } from '../../src/processes/merge-events.ts';
import { mergingCarts } from '../../src/processes/merging-carts.ts';
import {
  CART,
  handedOver,
  MERGE,
  merged,
  mergeRequested,
  moved,
  OTHER_CART,
  takenBack,
  takenIn,
} from '../support/carts.ts';
import { customer } from '../support/given.ts';
import { due, givenProcess, NOW, refused } from '../support/given-process.ts';
import { recorded } from '../support/recorded.ts';

const CARLA: Actor = customer('carla');
const lines = [moved('A', 2), moved('B', 3)];
const carts = { fromCartId: OTHER_CART, intoCartId: CART };
const limit: Rejection = { code: 'LIMIT_EXCEEDED', message: 'A cart has at most 500 lines.', limit: 500 };
const context = { instanceId: MERGE };
const LATER = new Date(NOW.getTime() + 60_000);

const told = (message: CartMessage) => ({ kind: 'message', message, at: NOW }) as const;
const of = (cartId: string) => ({ cartId, version: 7, mergeId: MERGE, ...carts });
const messages = {
  requested: told({ type: 'CartMergeRequested', ...of(CART), requestedBy: CARLA }),
  handedOver: told({ type: 'CartLinesHandedOver', ...of(OTHER_CART), currency: 'GBP', lines }),
  takenIn: told({ type: 'CartLinesTakenIn', ...of(CART) }),
  merged: told({ type: 'CartMerged', ...of(OTHER_CART) }),
  takenBack: told({ type: 'CartLinesTakenBack', ...of(OTHER_CART) }),
};

const started: MergeEvent = {
  type: 'CartMergeStarted',
  data: { ...carts, requestedByKind: 'CUSTOMER', requestedById: 'carla' },
};
const linesHandedOver: MergeEvent = { type: 'MergeLinesHandedOver', data: { currency: 'GBP', lines } };
const linesTakenIn: MergeEvent = { type: 'MergeLinesTakenIn', data: { intoCartId: CART } };
const completed: MergeEvent = { type: 'CartMergeCompleted', data: carts };
const failed = (rejection: Rejection): MergeEvent => ({ type: 'CartMergeFailed', data: { rejection } });
const linesRefused = (rejection: Rejection): MergeEvent => ({ type: 'MergeLinesRefused', data: { rejection } });
const undone = (rejection: Rejection): MergeEvent => ({ type: 'CartMergeUndone', data: { rejection } });
const stepFailed = (command: 'CompleteCartMerge' | 'TakeBackCartLines', detail: string): MergeEvent => ({
  type: 'MergeStepFailed',
  data: { command, detail, retryAt: LATER.toISOString() },
});

const moving = [started, linesHandedOver];
const completing = [...moving, linesTakenIn];
const takingBack = [...moving, linesRefused(limit)];
/** Each step that a merge can be in, by what has happened. */
const states: Record<string, MergeEvent[]> = {
  'not begun': [],
  'hand over': [started],
  'take in': moving,
  complete: completing,
  'take back': takingBack,
  completed: [...completing, completed],
  failed: [started, failed(limit)],
  undone: [...takingBack, undone(limit)],
};

const send = {
  handOver: {
    kind: 'send',
    command: {
      type: 'HandOverCartLines',
      data: { cartId: OTHER_CART, intoCartId: CART, mergeId: MERGE, requestedBy: CARLA },
    },
  },
  takeIn: {
    kind: 'send',
    command: {
      type: 'TakeInCartLines',
      data: { cartId: CART, fromCartId: OTHER_CART, mergeId: MERGE, currency: 'GBP', lines, requestedBy: CARLA },
    },
  },
  complete: { kind: 'send', command: { type: 'CompleteCartMerge', data: { cartId: OTHER_CART, mergeId: MERGE } } },
  takeBack: { kind: 'send', command: { type: 'TakeBackCartLines', data: { cartId: OTHER_CART, mergeId: MERGE } } },
} satisfies Record<string, ProcessEffect>;
const conclude = (rejection?: Rejection): ProcessEffect =>
  rejection === undefined ? { kind: 'conclude', commandId: MERGE } : { kind: 'conclude', commandId: MERGE, rejection };

describe('A merge', () => {
  test('begins with asking the one cart for its lines, for whoever asked', () => {
    givenProcess(mergingCarts, []).when(messages.requested, context).thenEvents([started]).thenEffects([send.handOver]);
  });

  test('goes on with asking the other cart to take them in', () => {
    givenProcess(mergingCarts, [started])
      .when(messages.handedOver, context)
      .thenEvents([linesHandedOver])
      .thenEffects([send.takeIn]);
  });

  test('then ends the cart that they came from', () => {
    givenProcess(mergingCarts, moving)
      .when(messages.takenIn, context)
      .thenEvents([linesTakenIn])
      .thenEffects([send.complete]);
  });

  test('is over when that is done, and the command that asked for it has succeeded', () => {
    givenProcess(mergingCarts, completing)
      .when(messages.merged, context)
      .thenEvents([completed])
      .thenEffects([conclude()]);
  });
});

describe('A merge whose lines are not handed over', () => {
  test('ends with the reason, nothing having been moved', () => {
    const rejection = notFound('cart', OTHER_CART);
    givenProcess(mergingCarts, [started])
      .when(refused('HandOverCartLines', { rejection }), context)
      .thenEvents([failed(rejection)])
      .thenEffects([conclude(rejection)]);
  });

  test.each([
    { status: 'TIMED_OUT', why: 'was not done in time.' },
    { status: 'CANCELLED', why: 'was called off.' },
    { status: 'DROPPED', why: 'broke, and was given up.' },
  ] as const)('ends with what happened: $status', ({ status, why }) => {
    const message = `The carts were not merged, since HandOverCartLines ${why}`;
    const rejection = { code: 'ILLEGAL_STATE', message, state: status };
    givenProcess(mergingCarts, [started])
      .when(refused('HandOverCartLines', { status }), context)
      .thenEvents([failed(rejection)])
      .thenEffects([conclude(rejection)]);
  });

  test('ends with a reason that a command can be kept with, not with one that asks to send it again', () => {
    const mistake: Rejection = { code: 'VALIDATION_FAILED', message: 'The input is not valid.', fields: [] };
    const message = 'The carts were not merged, since HandOverCartLines was refused: The input is not valid.';
    givenProcess(mergingCarts, [started])
      .when(refused('HandOverCartLines', { rejection: mistake }), context)
      .thenEvents([failed({ code: 'ILLEGAL_STATE', message, state: 'REJECTED' })]);
  });
});

describe('A merge whose lines are not taken in', () => {
  test('gives them back', () => {
    givenProcess(mergingCarts, moving)
      .when(refused('TakeInCartLines', { rejection: limit }), context)
      .thenEvents([linesRefused(limit)])
      .thenEffects([send.takeBack]);
  });

  test('ends with the reason when they are back, not before', () => {
    givenProcess(mergingCarts, takingBack)
      .when(messages.takenBack, context)
      .thenEvents([undone(limit)])
      .thenEffects([conclude(limit)]);
  });

  test('gives them back also when the command never ran', () => {
    const message = 'The carts were not merged, since TakeInCartLines broke, and was given up.';
    givenProcess(mergingCarts, moving)
      .when(refused('TakeInCartLines', { status: 'DROPPED' }), context)
      .thenEvents([linesRefused({ code: 'ILLEGAL_STATE', message, state: 'DROPPED' })])
      .thenEffects([send.takeBack]);
  });
});

describe.each([
  { command: 'CompleteCartMerge', before: completing, again: send.complete, done: messages.merged, end: completed },
  {
    command: 'TakeBackCartLines',
    before: takingBack,
    again: send.takeBack,
    done: messages.takenBack,
    end: undone(limit),
  },
] as const)('What has to be done: $command', ({ command, before, again, done, end }) => {
  const dropped = `The carts were not merged, since ${command} broke, and was given up.`;
  const waiting = [...before, stepFailed(command, dropped)];
  const retried: MergeEvent = { type: 'MergeStepRetried', data: { command } };
  const retryAt = (dueAt: Date) => ({ kind: 'setTimer', timer: 'retry', dueAt }) as const;

  test('is left alone for a minute when it failed, and has no outcome yet', () => {
    givenProcess(mergingCarts, before)
      .when(refused(command, { status: 'DROPPED' }), context)
      .thenEvents([stepFailed(command, dropped)])
      .thenEffects([retryAt(LATER)]);
    givenProcess(mergingCarts, before)
      .when(refused(command, { rejection: limit }), context)
      .thenEvents([stepFailed(command, limit.message)])
      .thenEffects([retryAt(LATER)]);
  });

  test('is then tried again', () => {
    givenProcess(mergingCarts, waiting).when(due('retry', LATER), context).thenEvents([retried]).thenEffects([again]);
  });

  test('is tried again as often as it fails', () => {
    const now = new Date(LATER.getTime() + 5000);
    const next = new Date(now.getTime() + 60_000);
    givenProcess(mergingCarts, [...waiting, retried])
      .when(refused(command, { rejection: limit }), { ...context, now })
      .thenEvents([{ type: 'MergeStepFailed', data: { command, detail: limit.message, retryAt: next.toISOString() } }])
      .thenEffects([retryAt(next)]);
  });

  test('is not tried again by a timer that is not its own, or says it twice', () => {
    givenProcess(mergingCarts, waiting).when(due('retry', NOW), context).thenNothing();
    givenProcess(mergingCarts, [...waiting, retried])
      .when(due('retry', LATER), context)
      .thenNothing();
    givenProcess(mergingCarts, before).when(due('retry', LATER), context).thenNothing();
  });

  test('does not fail twice for one refusal', () => {
    givenProcess(mergingCarts, waiting)
      .when(refused(command, { status: 'DROPPED' }), context)
      .thenNothing();
  });

  test('is done whenever it is heard of', () => {
    for (const events of [before, waiting, [...waiting, retried]]) {
      givenProcess(mergingCarts, events).when(done, context).thenEvents([end]);
    }
  });
});

describe('What comes twice, or out of turn, changes nothing', () => {
  const expected = {
    requested: ['not begun'],
    handedOver: ['hand over'],
    takenIn: ['take in'],
    merged: ['complete'],
    takenBack: ['take back'],
  };
  const refusals = {
    HandOverCartLines: ['hand over'],
    TakeInCartLines: ['take in'],
    CompleteCartMerge: ['complete'],
    TakeBackCartLines: ['take back'],
    SomethingElse: [] as string[],
  };

  test.each(Object.keys(states))('in the state: %s', (name) => {
    const events = states[name] ?? [];
    for (const [message, steps] of Object.entries(expected)) {
      if (steps.includes(name)) continue;
      givenProcess(mergingCarts, events)
        .when(messages[message as keyof typeof messages], context)
        .thenNothing();
    }
    for (const [command, steps] of Object.entries(refusals)) {
      if (steps.includes(name)) continue;
      const status: CommandRefusal['status'] = 'DROPPED';
      givenProcess(mergingCarts, events).when(refused(command, { status }), context).thenNothing();
    }
    givenProcess(mergingCarts, events).when(due('retry', NOW), context).thenNothing();
    const changed = told({ type: 'CartChanged', cartId: CART, version: 9 });
    givenProcess(mergingCarts, events).when(changed, context).thenNothing();
  });
});

test('A merge is known by the id of the command that asked for it, in both carts', () => {
  const events = recorded('cart', CART, [
    mergeRequested,
    handedOver(lines),
    takenIn(lines),
    merged(),
    takenBack(),
    { type: 'CartCleared', data: { lineCount: 0 } },
  ]).map((event) => (event.type === 'CartMergeRequested' ? { ...event, commandId: MERGE } : event));
  expect(events.map((event) => mergingCarts.instanceOf(event))).toEqual([MERGE, MERGE, MERGE, MERGE, MERGE, undefined]);
  expect(mergingCarts.eventTypes).toEqual(events.slice(0, -1).map(({ type }) => type));
});

test('A merge shows how far it has come', () => {
  const dropped = stepFailed('CompleteCartMerge', 'It broke.');
  const retried: MergeEvent = { type: 'MergeStepRetried', data: { command: 'CompleteCartMerge' } };
  const paths = [
    [...completing, dropped, retried, completed],
    [started, failed(limit)],
    [...takingBack, undone(limit)],
  ];
  const shown = paths.map((events) =>
    events.map(mergingCarts.view).map(({ step, stepStatus, status }) => `${step} ${stepStatus}, ${status}`),
  );
  expect(shown).toEqual([
    [
      'hand over WAITING, RUNNING',
      'hand over DONE, RUNNING',
      'take in DONE, RUNNING',
      'complete FAILED, RUNNING',
      'complete WAITING, RUNNING',
      'complete DONE, COMPLETED',
    ],
    ['hand over WAITING, RUNNING', 'hand over FAILED, COMPENSATED'],
    [
      'hand over WAITING, RUNNING',
      'hand over DONE, RUNNING',
      'take in FAILED, RUNNING',
      'hand over UNDONE, COMPENSATED',
    ],
  ]);
});

test('Every event of a merge fits its schema, and is one that can be shown', () => {
  const retried: MergeEvent = { type: 'MergeStepRetried', data: { command: 'TakeBackCartLines' } };
  const all = [...completing, completed, failed(limit), linesRefused(limit), undone(limit), retried];
  for (const event of [...all, stepFailed('TakeBackCartLines', 'It broke.')]) {
    const definition = mergingCarts.events.find(({ type }) => type === event.type);
    expect(definition?.data.parse(event.data)).toEqual(event.data);
    expect(mergingCarts.view(event).step).not.toBe('');
  }
  expect(new Set(mergingCarts.events.map(({ type }) => type)).size).toBe(all.length + 1);
});
