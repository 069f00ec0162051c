import type { Decider, Decision } from '../../eventsourcing/commands/decider.ts';
import { illegalState, notFound } from '../../eventsourcing/commands/rejection.ts';
import { insufficientStock, limitExceeded } from '../rejections.ts';
import { MAX_INT } from '../values.ts';
import type { StockCommand } from './commands.ts';
import type { StockEvent } from './events.ts';
import { commitStock, releaseStock, reserveStock, restockReturn } from './reservation-decider.ts';
import { availableOf, evolveStock, type StockState } from './stock-state.ts';

type CommandData<Type extends StockCommand['type']> = Extract<StockCommand, { type: Type }>['data'];

export const stockDecider: Decider<StockState, StockCommand, StockEvent> = {
  initialState: { status: 'unknown' },
  decide(command, state, { now }) {
    switch (command.type) {
      case 'OpenStock':
        return open(command.data, state);
      case 'AdjustStock':
        return adjust(command.data, state);
      case 'ReserveStock':
        return reserveStock(command.data, state, now);
      case 'CommitStock':
        return commitStock(command.data, state);
      case 'ReleaseStock':
        return releaseStock(command.data, state);
      case 'RestockReturn':
        return restockReturn(command.data, state);
      default:
        return command satisfies never;
    }
  },
  evolve: evolveStock,
};

function open({ sku, quantity }: CommandData<'OpenStock'>, state: StockState): Decision<StockEvent> {
  if (state.status === 'open') return illegalState('OPEN', `The stock of "${sku}" was opened before.`);
  return [{ type: 'StockOpened', data: { sku, quantity } }];
}

/** What is reserved is promised: it cannot be adjusted away. */
function adjust({ sku, delta, reason }: CommandData<'AdjustStock'>, state: StockState): Decision<StockEvent> {
  if (state.status === 'unknown') return notFound('product', sku);
  if (delta === 0) return [];
  const available = availableOf(state) + delta;
  const quantity = state.onHand + delta;
  if (available < 0) return insufficientStock(sku, -delta, availableOf(state));
  if (quantity > MAX_INT) return limitExceeded(MAX_INT, `The stock of "${sku}" would exceed ${MAX_INT}.`);
  return [{ type: 'StockAdjusted', data: { sku, delta, quantity, available, reason } }];
}
