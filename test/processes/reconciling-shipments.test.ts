import { describe, expect, test } from 'vitest';
import { shipmentDecider } from '../../src/contexts/shipping/decider.ts';
import type { ShipmentEvent } from '../../src/contexts/shipping/events.ts';
import { shipmentMessage } from '../../src/contexts/shipping/messages.ts';
import { reconcilingShipments, type ShipmentReconciliationEvent } from '../../src/processes/reconciling-shipments.ts';
import { given } from '../support/given.ts';
import { due, givenProcess, handle, NOW, refused } from '../support/given-process.ts';
import { recorded } from '../support/recorded.ts';
import {
  at as atCarrier,
  cancelled,
  delivered,
  handedOver,
  perform,
  prepared,
  registeredLate,
  requested,
  SHIPMENT,
} from '../support/shipments.ts';

const process = reconcilingShipments({ afterMs: 15_000 });
const HOUR = 3_600_000;
const context = { instanceId: SHIPMENT };

const moment = (ms: number) => new Date(NOW.getTime() + ms);
const iso = (ms: number) => moment(ms).toISOString();
const storedOf = (event: ShipmentEvent) => {
  const [stored] = recorded('shipment', SHIPMENT, [event]);
  if (stored === undefined) throw new Error('Nothing was stored.');
  return stored;
};
const told = (event: ShipmentEvent, ms = 0) =>
  ({ kind: 'message', message: shipmentMessage(storedOf(event)), at: moment(ms) }) as const;

const began: ShipmentReconciliationEvent = {
  type: 'ShipmentReconciliationBegan',
  data: { waitMs: 15_000, nextAt: iso(15_000) },
};
const asked = (waitMs: number, ms: number): ShipmentReconciliationEvent => ({
  type: 'ShipmentReconciliationAsked',
  data: { waitMs, nextAt: iso(ms + waitMs) },
});
const ended = (reason: 'DELIVERED' | 'CANCELLED'): ShipmentReconciliationEvent => ({
  type: 'ShipmentReconciliationEnded',
  data: { reason },
});
const timerAt = (ms: number) => ({ kind: 'setTimer', timer: 'ask', dueAt: moment(ms) }) as const;
const noTimer = { kind: 'cancelTimer', timer: 'ask' } as const;
const ask = { kind: 'send', command: { type: 'ReconcileShipment', data: { shipmentId: SHIPMENT } } } as const;

test('The carrier has something to tell from when a shipment is requested', () =>
  givenProcess(process, [])
    .when(told(requested), context)
    .thenEvents([began])
    .thenEffects([timerAt(15_000)]));

describe('The carrier has nothing more to tell', () => {
  test.each([
    [delivered(), 'DELIVERED'],
    [cancelled(), 'CANCELLED'],
  ] as const)('of goods that are there, or not sent: %#', (event, reason) => {
    for (const events of [[began], [began, asked(30_000, 15_000)]]) {
      givenProcess(process, events)
        .when(told(event), context)
        .thenEvents([ended(reason)])
        .thenEffects([noTimer]);
    }
    givenProcess(process, [began, ended(reason)])
      .when(told(event), context)
      .thenNothing();
  });
});

describe('Goods that do not arrive', () => {
  const at = (ms: number) => ({ ...context, now: moment(ms) });

  test('are asked for, and again later', () => {
    givenProcess(process, [began])
      .when(due('ask', moment(15_000)), at(16_000))
      .thenEvents([asked(30_000, 16_000)])
      .thenEffects([ask, timerAt(46_000)]);
    givenProcess(process, [began, asked(30_000, 16_000)])
      .when(due('ask', moment(46_000)), at(46_000))
      .thenEvents([asked(60_000, 46_000)])
      .thenEffects([ask, timerAt(106_000)]);
  });

  test('are not asked for by a timer that was replaced, or that says it twice', () => {
    for (const events of [[began, asked(30_000, 15_000)], [began, ended('DELIVERED')], []]) {
      givenProcess(process, events)
        .when(due('ask', moment(15_000)), at(15_000))
        .thenNothing();
    }
  });

  test('are asked for the next time if they could not be this time', () =>
    givenProcess(process, [began])
      .when(refused('ReconcileShipment', { status: 'DROPPED' }), context)
      .thenNothing());

  test('are asked for until they are there, every six hours in the end', () => {
    let now = NOW;
    let { state, effects } = handle(process, process.initialState, told(requested), { ...context, now });
    const pauses: number[] = [];
    while (pauses.length < 40) {
      const timer = effects.find((it) => it.kind === 'setTimer');
      if (timer === undefined) throw new Error('It was given up.');
      pauses.push((timer.dueAt.getTime() - now.getTime()) / 1000);
      now = timer.dueAt;
      ({ state, effects } = handle(process, state, due('ask', timer.dueAt), { ...context, now }));
      expect(effects).toContainEqual(ask);
    }
    expect(pauses.slice(0, 12)).toEqual([15, 30, 60, 120, 240, 480, 960, 1920, 3840, 7680, 15_360, 21_600]);
    expect(new Set(pauses.slice(11))).toEqual(new Set([(6 * HOUR) / 1000]));
  });

  test('and were there before anybody heard of it, are found', () =>
    given(shipmentDecider, [requested])
      .when(perform('ReconcileShipment'), { performed: atCarrier('delivered') })
      .thenEvents([prepared(), handedOver(), delivered()]));
});

test('A shipment has one instance, which is woken only when it begins and when it ends', () => {
  for (const event of [requested, delivered(), cancelled()]) {
    expect(process.eventTypes).toContain(event.type);
    expect(process.instanceOf(storedOf(event))).toBe(SHIPMENT);
  }
  for (const event of [prepared(), handedOver(), registeredLate]) {
    expect(process.eventTypes).not.toContain(event.type);
    givenProcess(process, [began]).when(told(event), context).thenNothing();
  }
});

test('It shows what is waited for, and fits its schema', () => {
  const events = [began, asked(30_000, 0), ended('DELIVERED')];
  expect(events.map(process.view).map(({ step, stepStatus, status }) => `${step} ${stepStatus}, ${status}`)).toEqual([
    ...['hear WAITING, RUNNING', 'ask DONE, RUNNING', 'hear DONE, COMPLETED'],
  ]);
  for (const { type, data } of events) {
    expect(process.events.find((it) => it.type === type)?.data.parse(data)).toEqual(data);
  }
});
