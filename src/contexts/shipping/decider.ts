import type { Decider, Decision } from '../../eventsourcing/commands/decider.ts';
import { illegalState, notFound } from '../../eventsourcing/commands/rejection.ts';
import { calledOff } from './cancellation-decider.ts';
import { arrivedAt, CarrierDisagrees, heard, isNextStep } from './carrier-decider.ts';
import { type CarrierShipment, performedCancellation, performedShipment } from './carrier-state.ts';
import type { ShipmentCommand } from './commands.ts';
import type { ShipmentEvent } from './events.ts';
import { evolveShipment, type KnownShipment, type ShipmentState, shown } from './state.ts';

type CommandData<Type extends ShipmentCommand['type']> = Extract<ShipmentCommand, { type: Type }>['data'];

/** The goods of one order on their way. The carrier tells how far they are, or staff does. */
export const shipmentDecider: Decider<ShipmentState, ShipmentCommand, ShipmentEvent> = {
  initialState: { status: 'unknown' },
  decide(command, state, context) {
    if (command.type === 'RequestShipment') return request(command.data, state);
    const { shipmentId } = command.data;
    if (state.status === 'unknown') return notFound('shipment', shipmentId);
    switch (command.type) {
      case 'RegisterShipment':
      case 'ReconcileShipment': {
        const answer = performedShipment.parse(context.performed);
        return answer === undefined ? [] : heard(state, shipmentId, answer);
      }
      case 'NoteCarrierShipment':
        return noted(shipmentId, state, command.data.shipment);
      case 'AdvanceShipment':
        return advance(command.data, state);
      case 'CancelShipment':
        return calledOff(state, command.data, performedCancellation.parse(context.performed));
      default:
        return command satisfies never;
    }
  },
  evolve: evolveShipment,
};

function request(data: CommandData<'RequestShipment'>, state: ShipmentState): Decision<ShipmentEvent> {
  const { shipmentId, orderId, customerId, address } = data;
  if (state.status === 'unknown') return [{ type: 'ShipmentRequested', data: { orderId, customerId, address } }];
  return state.orderId === orderId ? [] : illegalState(shown(state), `There is a shipment ${shipmentId} already.`);
}

/** Its calls come in the shipment's own lane. One that makes no sense is refused there, so that nothing waits behind it. */
function noted(shipmentId: string, state: KnownShipment, told: CarrierShipment): Decision<ShipmentEvent> {
  try {
    return heard(state, shipmentId, told);
  } catch (error) {
    if (error instanceof CarrierDisagrees) return error.rejection;
    throw error;
  }
}

const STEPS = { PREPARED: 'prepared', IN_TRANSIT: 'in transit', DELIVERED: 'delivered' } as const;

function advance(data: CommandData<'AdvanceShipment'>, state: KnownShipment): Decision<ShipmentEvent> {
  const step = STEPS[data.to];
  // The carrier, or somebody else, was first.
  if (state.status === step) return [];
  if (state.status === 'cancelled' || !isNextStep(state.status, step)) {
    const message = `The shipment ${data.shipmentId} is ${shown(state)}: it cannot become ${data.to} now.`;
    return illegalState(shown(state), message);
  }
  const before = 'carrier' in state ? state : { carrier: '', trackingCode: '' };
  const carrier = data.carrier ?? before.carrier;
  const trackingCode = data.trackingCode ?? before.trackingCode;
  return [arrivedAt(step, { orderId: state.orderId, carrier, trackingCode, note: data.note ?? null })];
}
