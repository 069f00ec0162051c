import type { Aggregate } from '../../eventsourcing/commands/aggregate.ts';
import type { Context } from '../context.ts';
import { type PaymentCommand, paymentCommands } from './commands.ts';
import { paymentDecider } from './decider.ts';
import { paymentEffectsOf } from './effects.ts';
import { type PaymentEvent, paymentEvents } from './events.ts';
import type { PaymentState } from './state.ts';

const payment: Aggregate<PaymentState, PaymentCommand, PaymentEvent> = {
  type: 'payment',
  decider: paymentDecider,
  commands: paymentCommands,
  events: paymentEvents,
  endsWith: [
    'PaymentConfirmed',
    'PaymentFailed',
    'PaymentTimedOut',
    'PaymentCancelled',
    'PaymentVoided',
    'PaymentRefunded',
  ],
  effectsOf: (event, _state, { aggregateId }) => paymentEffectsOf(event, aggregateId),
};

export const paymentContext: Context = {
  name: 'payment',
  aggregates: [payment],
  // Payments are shown with their orders, from what is published of them.
  projections: [],
  declareSchema: () => {},
};
