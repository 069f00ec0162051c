import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CarrierShipment } from '../../src/contexts/shipping/carrier.ts';
import { CarrierDisagrees } from '../../src/contexts/shipping/carrier-decider.ts';
import type { PerformedCancellation } from '../../src/contexts/shipping/carrier-state.ts';
import { advanceShipment, shipmentCommands } from '../../src/contexts/shipping/commands.ts';
import { shipmentDecider } from '../../src/contexts/shipping/decider.ts';
import { shipmentEffectsOf } from '../../src/contexts/shipping/effects.ts';
import { type ShipmentEvent, shipmentEvents } from '../../src/contexts/shipping/events.ts';
import { isRejection } from '../../src/eventsourcing/commands/decider.ts';
import { given } from '../support/given.ts';
import {
  advance,
  at,
  CARRIED,
  cancel,
  cancelled,
  delivered,
  handedOver,
  note,
  OTHER_SHIPMENT,
  perform,
  prepared,
  registeredLate,
  request,
  requested,
  SHIPMENT,
} from '../support/shipments.ts';

const shipment = (...events: ShipmentEvent[]) => given(shipmentDecider, events);
const askedFor = (event: ShipmentEvent) =>
  shipmentEffectsOf(event, SHIPMENT).map((it) => it.kind === 'send' && it.command.type);

const ready = [requested, prepared()];
const underway = [...ready, handedOver()];
const done = [...underway, delivered()];

describe('Requesting a shipment', () => {
  test('begins it, and tells the carrier', () => {
    shipment().when(request()).thenEvents([requested]);
    expect(askedFor(requested)).toEqual(['RegisterShipment']);
  });

  test('again is no change, but for another order', () => {
    for (const events of [[requested], done]) {
      shipment(...events)
        .when(request())
        .thenEvents([]);
    }
    shipment(requested)
      .when(request({ orderId: OTHER_SHIPMENT }))
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'REQUESTED' });
  });
});

test.each([note(at('prepared')), advance('DELIVERED'), cancel, perform('RegisterShipment')])(
  'What is not there is not found: $type',
  (command) => shipment().when(command).thenRejected({ code: 'NOT_FOUND', id: SHIPMENT }),
);

describe('The carrier is heard', () => {
  /** As a call of the carrier's, or as the answer to a question. */
  function hearing(events: ShipmentEvent[], told: CarrierShipment, expected: ShipmentEvent[]): void {
    shipment(...events)
      .when(note(told))
      .thenEvents(expected);
    for (const type of ['RegisterShipment', 'ReconcileShipment'] as const) {
      shipment(...events)
        .when(perform(type), { performed: told })
        .thenEvents(expected);
    }
    // The second time, nothing is new.
    shipment(...events, ...expected)
      .when(note(told))
      .thenEvents([]);
  }

  test('step by step', () => {
    hearing([requested], at('prepared'), [prepared()]);
    hearing(ready, at('in_transit'), [handedOver()]);
    hearing(underway, at('delivered'), [delivered()]);
  });

  test('with steps left out, which are made up for', () => {
    hearing([requested], at('in_transit'), [prepared(), handedOver()]);
    hearing([requested], at('delivered'), [prepared(), handedOver(), delivered()]);
    hearing(ready, at('delivered'), [handedOver(), delivered()]);
  });

  test('late, with what was before: nothing goes backwards', () => {
    hearing(underway, at('prepared'), []);
    hearing(done, at('prepared'), []);
    hearing(done, at('in_transit'), []);
  });

  test('not to be asked', () => shipment(requested).when(perform('RegisterShipment')).thenEvents([]));

  test('to call it off', () => {
    hearing([requested], at('cancelled'), [cancelled('CANCELLED_AT_CARRIER')]);
    hearing(ready, at('cancelled'), [cancelled('CANCELLED_AT_CARRIER')]);
  });

  test('to speak of what cannot be: a person has to look', () => {
    /** As a call of the carrier's it is refused; as an answer it breaks, in a lane of its own. */
    function disagreeing(told: CarrierShipment, why: string, ...events: ShipmentEvent[]): void {
      shipment(...events)
        .when(note(told))
        .thenRejected({ code: 'CARRIER_DISAGREES', message: expect.stringContaining(why) });
      expect(() => shipment(...events).when(perform('ReconcileShipment'), { performed: told })).toThrow(why);
    }
    disagreeing(at('prepared', { shipmentId: OTHER_SHIPMENT }), 'belongs to', requested);
    disagreeing(at('cancelled'), 'is in transit, but was cancelled', ...underway);
    disagreeing(at('cancelled'), 'is delivered, but was cancelled', ...done);
    disagreeing(at('in_transit'), 'was cancelled, but is in_transit', ...ready, cancelled());
    disagreeing(at('delivered'), 'was cancelled, but is delivered', requested, cancelled());
  });
});

describe('Staff', () => {
  const van = { carrier: 'Our van', trackingCode: 'V1' };

  test('moves a shipment on one step at a time', () => {
    shipment(requested)
      .when(advance('PREPARED', { ...van, note: 'By hand' }))
      .thenEvents([prepared('By hand', van)]);
    shipment(...ready)
      .when(advance('IN_TRANSIT'))
      .thenEvents([handedOver()]);
    shipment(...ready)
      .when(advance('IN_TRANSIT', { carrier: 'Our van' }))
      .thenEvents([handedOver(null, { ...CARRIED, carrier: 'Our van' })]);
    shipment(...underway)
      .when(advance('DELIVERED', { note: 'At the door' }))
      .thenEvents([delivered('At the door')]);
  });

  test('changes nothing by what is done already', () => {
    shipment(...underway)
      .when(advance('IN_TRANSIT'))
      .thenEvents([]);
    shipment(...done)
      .when(advance('DELIVERED'))
      .thenEvents([]);
  });

  test('neither leaves a step out, nor goes back', () => {
    shipment(requested).when(advance('IN_TRANSIT')).thenRejected({ code: 'ILLEGAL_STATE', state: 'REQUESTED' });
    shipment(...ready)
      .when(advance('DELIVERED'))
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'PREPARED' });
    shipment(...underway)
      .when(advance('PREPARED', van))
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'IN_TRANSIT' });
    shipment(...done)
      .when(advance('IN_TRANSIT'))
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'DELIVERED' });
    shipment(...ready, cancelled())
      .when(advance('IN_TRANSIT'))
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'CANCELLED' });
  });

  test('names the carrier of what is prepared by hand', () => {
    const problems = (data: object) =>
      advanceShipment.input.safeParse({ shipmentId: SHIPMENT, ...data }).error?.issues.map(({ path }) => path.join());
    expect(problems({ to: 'PREPARED' })).toEqual(['carrier', 'trackingCode']);
    expect(problems({ to: 'PREPARED', ...van })).toBeUndefined();
    expect(problems({ to: 'IN_TRANSIT', note: null })).toBeUndefined();
    expect(problems({ to: 'CANCELLED' })).toEqual(['to']);
    expect(problems({ to: 'DELIVERED', note: ' ' })).toEqual(['note']);
  });
});

describe('Cancelling a shipment', () => {
  /** What the carrier answered, when it was asked to call it off. */
  const answered = (performed: PerformedCancellation, ...events: ShipmentEvent[]) =>
    shipment(...events).when(cancel, { performed });

  test('stops it once the carrier has called it off', () => {
    answered(at('cancelled'), requested).thenEvents([cancelled()]);
    answered(at('cancelled'), ...ready).thenEvents([cancelled()]);
    expect(askedFor(cancelled())).toEqual([]);
  });

  test('is too late once it was handed over, whoever knows of it first', () => {
    const inTransit = { code: 'ILLEGAL_STATE', state: 'IN_TRANSIT' };
    const delivered = { code: 'ILLEGAL_STATE', state: 'DELIVERED' };
    for (const events of [[requested], ready]) {
      answered(at('in_transit'), ...events).thenRejected(inTransit);
      answered(at('delivered'), ...events).thenRejected(delivered);
    }
    // By hand, while the carrier was asked: the goods are gone, whatever it answered.
    for (const answer of [undefined, at('in_transit'), at('cancelled')]) {
      answered(answer, ...underway).thenRejected(inTransit);
      answered(answer, ...done).thenRejected(delivered);
    }
  });

  test('is done already where the call of the carrier was faster, or it was asked before', () => {
    for (const answer of [undefined, at('cancelled'), { unknownWhile: 'requested' } as const]) {
      answered(answer, ...ready, cancelled()).thenEvents([]);
    }
  });

  test('stops what no carrier can come to know of', () => {
    answered({ unknownWhile: 'requested' }, requested).thenEvents([cancelled('unwanted', false)]);
    answered({ unknownWhile: 'prepared' }, ...ready).thenEvents([cancelled('unwanted', false)]);
  });

  test('is to be asked for again where the answer holds no more, or is none', () => {
    expect(() => answered({ unknownWhile: 'requested' }, ...ready)).toThrow('moved on');
    // It was not there yet when the carrier would have been asked.
    expect(() => answered(undefined, requested)).toThrow('moved on');
    expect(() => answered(undefined, ...ready)).toThrow('moved on');
    for (const events of [[requested], ready, [...ready, cancelled()]]) {
      expect(() => answered(at('prepared'), ...events)).toThrow('is not called off');
    }
  });

  test('is a matter for a person where the carrier has what it called off, or speaks of another', () => {
    for (const status of ['in_transit', 'delivered'] as const) {
      expect(() => answered(at(status), ...ready, cancelled())).toThrow(CarrierDisagrees);
    }
    expect(() => answered(at('cancelled', { shipmentId: OTHER_SHIPMENT }), requested)).toThrow(CarrierDisagrees);
  });

  test('is final: what is told of before comes late, and is nothing new', () => {
    for (const events of [[requested], ready]) {
      shipment(...events, cancelled())
        .when(note(at('prepared')))
        .thenEvents([]);
    }
  });

  test('calls off what a carrier came to know of only then', () => {
    shipment(requested, cancelled('unwanted', false))
      .when(perform('RegisterShipment'), { performed: at('prepared') })
      .thenEvents([registeredLate]);
    expect(askedFor(registeredLate)).toEqual(['CancelShipment']);
    shipment(requested, cancelled('unwanted', false), registeredLate)
      .when(note(at('prepared')))
      .thenEvents([]);
  });
});

test('Every event fits its schema, and what an event asks for is a command', () => {
  const events = [requested, prepared(), handedOver('x'), delivered(), cancelled(), registeredLate];
  expect(events.map(({ type }) => type)).toEqual(shipmentEvents.map(({ type }) => type));
  for (const event of events) {
    expect(shipmentEvents.find(({ type }) => type === event.type)?.data.parse(event.data)).toEqual(event.data);
    for (const effect of shipmentEffectsOf(event, SHIPMENT)) {
      const { type, data } = effect.kind === 'send' ? effect.command : { type: '', data: undefined };
      const definition = shipmentCommands.find(({ name }) => name === type);
      expect([definition?.performed, definition?.input.safeParse(data).success]).toEqual([true, true]);
    }
  }
});

test('Whatever comes in whatever order, a shipment takes each step once, and only forwards', () => {
  const command = fc.oneof(
    fc.constantFrom(at('prepared'), at('in_transit'), at('delivered')).map(note),
    fc.constantFrom(advance('PREPARED', CARRIED), advance('IN_TRANSIT'), advance('DELIVERED'), cancel),
  );
  const path = ['ShipmentRequested', 'ShipmentPrepared', 'ShipmentHandedOver', 'ShipmentDelivered'];
  fc.assert(
    fc.property(fc.array(command, { maxLength: 12 }), (commands) => {
      const events: ShipmentEvent[] = [requested];
      for (const each of commands) {
        // What the carrier says of goods that were stopped is another test's.
        if (each.type === 'NoteCarrierShipment' && events.at(-1)?.type === 'ShipmentCancelled') continue;
        const { decision } = shipment(...events).when(each, { performed: at('cancelled') });
        if (!isRejection(decision)) events.push(...decision);
      }
      const types = events.map(({ type }) => type);
      const end = types.at(-1) === 'ShipmentCancelled' ? types.length - 1 : types.length;
      expect(types.slice(0, end)).toEqual(path.slice(0, end));
      if (end < types.length) expect(end).toBeLessThanOrEqual(2);
    }),
  );
});
