import { z } from 'zod';
import {
  type ShipmentMessage,
  type ShipmentRequest,
  shipmentMessage,
  shipmentSourcesOf,
} from '../contexts/shipping/messages.ts';
import { defineEvent, type EventOf } from '../eventsourcing/log/event.ts';
import type { ProcessEffect, ProcessManager, ProcessStepView } from '../eventsourcing/processes/process-manager.ts';

const waitMs = z.number().int().describe('How long it is waited until then, in milliseconds.');
const nextAt = z.iso.datetime().meta({ description: 'When the carrier is asked, if nothing is heard.' });

const shipmentReconciliationBegan = defineEvent({
  type: 'ShipmentReconciliationBegan',
  schemaVersion: 1,
  description: 'Goods are on their way to a customer: the carrier is to tell how far they are.',
  data: z.object({ waitMs, nextAt }),
});

const shipmentReconciliationAsked = defineEvent({
  type: 'ShipmentReconciliationAsked',
  schemaVersion: 1,
  description: 'The goods are not there yet, so the carrier is asked how far they are.',
  data: z.object({ waitMs, nextAt }),
});

const shipmentReconciliationEnded = defineEvent({
  type: 'ShipmentReconciliationEnded',
  schemaVersion: 1,
  description: 'The goods are there, or not sent: the carrier has nothing more to tell.',
  data: z.object({
    reason: z
      .enum(['DELIVERED', 'CANCELLED'])
      .meta({ description: 'DELIVERED, or CANCELLED: the goods are not sent.' }),
  }),
});

const reconciliationEvents = [
  shipmentReconciliationBegan,
  shipmentReconciliationAsked,
  shipmentReconciliationEnded,
] as const;
export type ShipmentReconciliationEvent = EventOf<(typeof reconciliationEvents)[number]>;

export type ShipmentReconciliationState =
  | { readonly status: 'settled' }
  | { readonly status: 'open'; readonly waitMs: number; readonly nextAt: string };

const TIMER = 'ask';
const LONGEST_WAIT_MS = 6 * 3_600_000;

export interface ShipmentReconciliationSettings {
  /** How long a shipment may take before its carrier is asked for the first time; from then on twice as long each time. */
  readonly afterMs: number;
}

/**
 * Finds what the carrier did and was not heard of, and tells it of goods again that it never heard of. One instance for
 * each shipment, which is woken when the shipment begins and ends, and by its timer.
 */
export function reconcilingShipments({
  afterMs,
}: ShipmentReconciliationSettings): ProcessManager<
  ShipmentReconciliationState,
  ShipmentMessage,
  ShipmentReconciliationEvent
> {
  return {
    name: 'reconciling-shipments',
    description: 'Asks the carrier how shipments stand that do not arrive.',
    events: reconciliationEvents,
    eventTypes: shipmentSourcesOf('ShipmentRequested', 'ShipmentDelivered', 'ShipmentCancelled'),
    instanceOf: (event) => shipmentMessage(event).shipmentId,
    messageOf: shipmentMessage,
    endsWith: ['ShipmentReconciliationEnded'],
    initialState: { status: 'settled' },
    decide(input, state, { now }) {
      switch (input.kind) {
        case 'message':
          return onMessage(input.message, input.at, state, afterMs);
        case 'timer':
          return onTimer(input.dueAt, state, now);
        case 'refusal':
          // It was not asked this time: it will be the next.
          return [];
        default:
          return input satisfies never;
      }
    },
    evolve,
    effectsOf: (event, _state, { instanceId }) => effectsOf(event, instanceId),
    view,
  };
}

function onMessage(
  { type }: ShipmentMessage,
  at: Date,
  { status }: ShipmentReconciliationState,
  afterMs: number,
): ShipmentReconciliationEvent[] {
  switch (type) {
    case 'ShipmentRequested':
      return [{ type: 'ShipmentReconciliationBegan', data: { waitMs: afterMs, nextAt: later(at, afterMs) } }];
    case 'ShipmentDelivered':
    case 'ShipmentCancelled': {
      const reason = type === 'ShipmentDelivered' ? 'DELIVERED' : 'CANCELLED';
      return status === 'open' ? [{ type: 'ShipmentReconciliationEnded', data: { reason } }] : [];
    }
    case 'ShipmentPrepared':
    case 'ShipmentHandedOver':
    case 'ShipmentRegisteredLate':
      return [];
    default:
      return type satisfies never;
  }
}

function onTimer(dueAt: Date, state: ShipmentReconciliationState, now: Date): ShipmentReconciliationEvent[] {
  if (state.status !== 'open' || dueAt.toISOString() !== state.nextAt) return [];
  const next = Math.min(2 * state.waitMs, LONGEST_WAIT_MS);
  return [{ type: 'ShipmentReconciliationAsked', data: { waitMs: next, nextAt: later(now, next) } }];
}

function later(instant: Date, ms: number): string {
  return new Date(instant.getTime() + ms).toISOString();
}

function evolve(state: ShipmentReconciliationState, event: ShipmentReconciliationEvent): ShipmentReconciliationState {
  switch (event.type) {
    case 'ShipmentReconciliationBegan':
      return { status: 'open', ...event.data };
    case 'ShipmentReconciliationAsked':
      return state.status === 'open' ? { ...state, ...event.data } : state;
    case 'ShipmentReconciliationEnded':
      return { status: 'settled' };
    default:
      return event satisfies never;
  }
}

function effectsOf(event: ShipmentReconciliationEvent, shipmentId: string): readonly ProcessEffect[] {
  switch (event.type) {
    case 'ShipmentReconciliationBegan':
      return [{ kind: 'setTimer', timer: TIMER, dueAt: new Date(event.data.nextAt) }];
    case 'ShipmentReconciliationAsked': {
      const command: ShipmentRequest = { type: 'ReconcileShipment', data: { shipmentId } };
      return [
        { kind: 'send', command },
        { kind: 'setTimer', timer: TIMER, dueAt: new Date(event.data.nextAt) },
      ];
    }
    case 'ShipmentReconciliationEnded':
      return [{ kind: 'cancelTimer', timer: TIMER }];
    default:
      return event satisfies never;
  }
}

function view(event: ShipmentReconciliationEvent): ProcessStepView {
  switch (event.type) {
    case 'ShipmentReconciliationBegan':
      return { step: 'hear', stepStatus: 'WAITING', detail: `until ${event.data.nextAt}`, status: 'RUNNING' };
    case 'ShipmentReconciliationAsked':
      return { step: 'ask', stepStatus: 'DONE', detail: `again at ${event.data.nextAt}`, status: 'RUNNING' };
    case 'ShipmentReconciliationEnded':
      return { step: 'hear', stepStatus: 'DONE', detail: event.data.reason, status: 'COMPLETED' };
    default:
      return event satisfies never;
  }
}
