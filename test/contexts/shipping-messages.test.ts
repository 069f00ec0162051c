import { describe, expect, test } from 'vitest';
import type { Carrier, CarrierShipment } from '../../src/contexts/shipping/carrier.ts';
import { shipmentCommands } from '../../src/contexts/shipping/commands.ts';
import { shipmentDecider } from '../../src/contexts/shipping/decider.ts';
import { type ShipmentEvent, shipmentEvents } from '../../src/contexts/shipping/events.ts';
import {
  type ShipmentView,
  shipmentMessage,
  shipmentSourcesOf,
  shipmentView,
  showShipment,
} from '../../src/contexts/shipping/messages.ts';
import { createShippingPerformers } from '../../src/contexts/shipping/performers.ts';
import { OutsidePartyRefused } from '../../src/platform/outside-party.ts';
import { recorded } from '../support/recorded.ts';
import {
  ADDRESS,
  at,
  CARRIED,
  cancelled,
  delivered,
  handedOver,
  ORDER,
  prepared,
  registeredLate,
  requested,
  SHIPMENT,
} from '../support/shipments.ts';

const messagesOf = (...events: ShipmentEvent[]) => recorded('shipment', SHIPMENT, events).map(shipmentMessage);
const of = (second: number) => ({
  shipmentId: SHIPMENT,
  orderId: ORDER,
  at: new Date(Date.UTC(2030, 0, 31, 12, 0, second)),
});

describe('What shipping publishes', () => {
  const events = [requested, prepared(), handedOver('Two boxes'), delivered(), cancelled(), registeredLate];

  test('is a message for each event, which does not tell where the goods go', () => {
    const messages = messagesOf(...events);
    expect(messages).toEqual([
      { type: 'ShipmentRequested', ...of(0), customerId: 'carla' },
      { type: 'ShipmentPrepared', ...of(1), ...CARRIED, note: null },
      { type: 'ShipmentHandedOver', ...of(2), ...CARRIED, note: 'Two boxes' },
      { type: 'ShipmentDelivered', ...of(3), note: null },
      { type: 'ShipmentCancelled', ...of(4), reason: 'unwanted' },
      { type: 'ShipmentRegisteredLate', ...of(5), ...CARRIED },
    ]);
    expect(shipmentSourcesOf(...messages.map(({ type }) => type))).toEqual(shipmentEvents.map(({ type }) => type));
  });
});

describe('A shipment is shown', () => {
  const shown = (...events: ShipmentEvent[]) =>
    messagesOf(...events).reduce<ShipmentView | undefined>(showShipment, undefined);
  const step = (status: string, second: number, note: string | null = null) => ({
    ...{ status, at: of(second).at.toISOString(), note },
  });

  test('with each step on its way', () => {
    const view = shown(requested, prepared(), handedOver('Two boxes'), delivered('At the door'));
    expect(view).toEqual({
      ...{ shipmentId: SHIPMENT, status: 'DELIVERED', ...CARRIED },
      history: [
        ...[step('REQUESTED', 0), step('PREPARED', 1), step('IN_TRANSIT', 2, 'Two boxes')],
        step('DELIVERED', 3, 'At the door'),
      ],
    });
    expect(shipmentView.parse(view)).toEqual(view);
  });

  test('with why it was stopped', () =>
    expect(shown(requested, cancelled(), registeredLate)).toEqual({
      ...{ shipmentId: SHIPMENT, status: 'CANCELLED', carrier: null, trackingCode: null },
      history: [step('REQUESTED', 0), step('CANCELLED', 1, 'unwanted')],
    }));

  test('from its beginning on', () => expect(shown(prepared())).toBeUndefined());
});

describe('The carrier is asked', () => {
  const forgotten: ShipmentEvent = {
    type: 'ShipmentRequested',
    data: { orderId: ORDER, customerId: 'carla', address: null },
  };
  type Name = keyof ReturnType<typeof createShippingPerformers>;
  const performing = (name: Name, ...events: ShipmentEvent[]) => knowing(at('prepared'), name, events);

  /** @param known what the carrier finds, and calls off @param registering what comes of telling it */
  async function knowing(
    known: CarrierShipment | undefined,
    name: Name,
    events: readonly ShipmentEvent[],
    registering: () => CarrierShipment | undefined = () => at('prepared'),
  ) {
    const calls: unknown[] = [];
    let there = known;
    const carrier: Carrier = {
      ...{ name: 'simulated', readWebhook: () => undefined },
      register: async (it) => {
        calls.push(['register', it]);
        there = registering();
        return at('prepared');
      },
      cancel: async (it) => {
        calls.push(['cancel', it]);
        return there?.status === 'prepared' ? at('cancelled') : there;
      },
      find: async (it) => {
        calls.push(['find', it]);
        return there;
      },
    };
    const performers = createShippingPerformers(carrier);
    const performed = await performers[name]({
      ...{ commandId: 'c', attempts: 1, now: new Date(), submittedAt: new Date() },
      ...{ inputOf: async () => undefined },
      data: { shipmentId: SHIPMENT },
      state: events.reduce(shipmentDecider.evolve, shipmentDecider.initialState),
    });
    return { calls, performed, names: Object.keys(performers) };
  }

  test('by whoever performs the commands whose work lies outside', async () => {
    const { names } = await performing('RegisterShipment');
    expect(names).toEqual(shipmentCommands.filter((it) => it.performed === true).map(({ name }) => name));
  });

  test('to take in what is requested, and nothing else', async () => {
    expect(await performing('RegisterShipment', requested)).toMatchObject({
      performed: at('prepared'),
      calls: [['register', { shipmentId: SHIPMENT, orderId: ORDER, address: ADDRESS }]],
    });
    for (const events of [[], [requested, prepared()], [requested, cancelled()]]) {
      expect(await performing('RegisterShipment', ...events)).toMatchObject({ performed: undefined, calls: [] });
    }
  });

  test('how things stand, and does not know of the goods: it is told of those that are wanted', async () => {
    const [find, register] = [
      ['find', SHIPMENT],
      ['register', { shipmentId: SHIPMENT, orderId: ORDER, address: ADDRESS }],
    ];
    expect(await knowing(undefined, 'ReconcileShipment', [requested])).toMatchObject({
      ...{ performed: at('prepared'), calls: [find, register] },
    });
    for (const [known, ...events] of [
      [at('in_transit'), requested],
      [at('delivered'), requested, prepared(), handedOver()],
      // By hand: no carrier is to fetch it.
      [undefined, requested, prepared()],
      [undefined, forgotten],
    ] as const) {
      const asked = await knowing(known, 'ReconcileShipment', events);
      expect([asked.performed, asked.calls]).toEqual([known, [find]]);
    }
    for (const events of [[], [requested, cancelled()], [requested, prepared(), handedOver(), delivered()]]) {
      expect(await performing('ReconcileShipment', ...events)).toMatchObject({ performed: undefined, calls: [] });
    }
  });

  describe('to call goods off', () => {
    const cancel = ['cancel', { shipmentId: SHIPMENT }];
    const register = ['register', { shipmentId: SHIPMENT, orderId: ORDER, address: ADDRESS }];

    test('that it may know of, and no others', async () => {
      for (const events of [[requested], [requested, prepared()], [requested, prepared(), cancelled()]]) {
        const { performed, calls } = await performing('CancelShipment', ...events);
        expect([performed, calls]).toEqual([at('cancelled'), [cancel]]);
      }
      for (const events of [
        [],
        [requested, prepared(), handedOver()],
        [requested, prepared(), handedOver(), delivered()],
      ]) {
        expect(await performing('CancelShipment', ...events)).toMatchObject({ performed: undefined, calls: [] });
      }
    });

    test('says so where they are on their way', async () => {
      const { performed, calls } = await knowing(at('in_transit'), 'CancelShipment', [requested, prepared()]);
      expect([performed, calls]).toEqual([at('in_transit'), [cancel]]);
    });

    test('and does not know of them: it is told first, so that no call that comes late begins them', async () => {
      for (const events of [[requested], [requested, prepared()]]) {
        const { performed, calls } = await knowing(undefined, 'CancelShipment', events);
        expect([performed, calls]).toEqual([at('cancelled'), [cancel, register, cancel]]);
      }
      expect(await knowing(undefined, 'CancelShipment', [requested, cancelled()])).toMatchObject({
        performed: undefined,
        calls: [cancel],
      });
    });

    test('and cannot come to know of them: nobody knows where they go, or it refuses them', async () => {
      expect(await knowing(undefined, 'CancelShipment', [forgotten])).toMatchObject({
        performed: { unknownWhile: 'requested' },
        calls: [cancel],
      });
      const refusing = () => {
        throw new OutsidePartyRefused('carrier', 'register', 'no_such_place');
      };
      expect(await knowing(undefined, 'CancelShipment', [requested], refusing)).toMatchObject({
        performed: { unknownWhile: 'requested' },
        calls: [cancel, register],
      });
    });

    test('is asked again where it broke, or does not yet know what it was told', async () => {
      const breaking = () => {
        throw new Error('The carrier is away.');
      };
      await expect(knowing(undefined, 'CancelShipment', [requested], breaking)).rejects.toThrow('is away');
      const forgetting = () => undefined;
      await expect(knowing(undefined, 'CancelShipment', [requested], forgetting)).rejects.toThrow('does not know it');
    });
  });

  test('but not for who was forgotten: a person has to look', async () => {
    await expect(performing('RegisterShipment', forgotten)).rejects.toThrow(`shipment ${SHIPMENT} goes was forgotten`);
  });
});
