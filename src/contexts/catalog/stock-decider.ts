import type { Decider, Decision } from '../../eventsourcing/decider.ts';
import { illegalState, notFound } from '../../eventsourcing/rejection.ts';
import { insufficientStock, limitExceeded } from '../rejections.ts';
import { MAX_INT } from '../values.ts';
import type { StockCommand } from './commands.ts';
import type { StockEvent } from './events.ts';

/** The stock of one product: an aggregate of its own, so that a sale never conflicts with a change of price. */
export type StockState = { status: 'unknown' } | { status: 'open'; quantity: number };

type CommandData<Type extends StockCommand['type']> = Extract<StockCommand, { type: Type }>['data'];

export const stockDecider: Decider<StockState, StockCommand, StockEvent> = {
  initialState: { status: 'unknown' },
  decide(command, state) {
    switch (command.type) {
      case 'OpenStock':
        return open(command.data, state);
      case 'AdjustStock':
        return adjust(command.data, state);
      default:
        return command satisfies never;
    }
  },
  evolve(_state, event) {
    switch (event.type) {
      case 'StockOpened':
      case 'StockAdjusted':
        return { status: 'open', quantity: event.data.quantity };
      default:
        return event satisfies never;
    }
  },
};

function open({ sku, quantity }: CommandData<'OpenStock'>, state: StockState): Decision<StockEvent> {
  if (state.status === 'open') return illegalState('OPEN', `The stock of ${sku} was opened before.`);
  return [{ type: 'StockOpened', data: { sku, quantity } }];
}

function adjust({ sku, delta, reason }: CommandData<'AdjustStock'>, state: StockState): Decision<StockEvent> {
  if (state.status === 'unknown') return notFound('product', sku);
  const quantity = state.quantity + delta;
  if (delta === 0) return [];
  if (quantity < 0) return insufficientStock(sku, -delta, state.quantity);
  if (quantity > MAX_INT) return limitExceeded(MAX_INT, `The stock of ${sku} would exceed ${MAX_INT}.`);
  return [{ type: 'StockAdjusted', data: { sku, delta, quantity, reason } }];
}
