import type { Decision } from '../../eventsourcing/commands/decider.ts';
import { illegalState, notFound } from '../../eventsourcing/commands/rejection.ts';
import { insufficientStock, limitExceeded } from '../rejections.ts';
import { MAX_INT } from '../values.ts';
import type { StockCommand } from './commands.ts';
import type { StockEvent } from './events.ts';
import { availableOf, expiredReservations, type OpenStock, type OrderStock, type StockState } from './stock-state.ts';

/**
 * How pieces go to an order, so that never more is sold than there is:
 *
 * 1. They are reserved: still there, but nobody else can have them.
 * 2. They are committed, when the order is paid; or released, when it will not be.
 * 3. What was committed can be released too (a paid order is cancelled), or come back bit by bit (returns).
 *
 * Each order goes this way once: repeats change nothing, and one that is over cannot begin again. A reservation that is
 * over stays until somebody else needs the pieces: who pays late, but before that, still gets them.
 */

type CommandData<Type extends StockCommand['type']> = Extract<StockCommand, { type: Type }>['data'];

interface Ordered {
  readonly orderId: string;
  readonly lines: readonly { readonly sku: string; readonly quantity: number }[];
}

/** This stock's line of the order: its first. The companions of the command decide the others. */
function lineOf({ orderId, lines: [line] }: Ordered) {
  if (line === undefined) throw new Error(`The order ${orderId} has no lines.`);
  return line;
}

export function reserveStock(data: CommandData<'ReserveStock'>, state: StockState, now: Date): Decision<StockEvent> {
  const { orderId, expiresAt, concludes } = data;
  const { sku, quantity } = lineOf(data);
  if (state.status === 'unknown') return notFound('product', sku);
  const order = state.orders.get(orderId);
  if (order?.status === 'reserved' || order?.status === 'committed') return [];
  if (order !== undefined) return isOver(order, sku, orderId);
  const { events, available } = takenOver(sku, quantity, state, now);
  if (available < quantity) return insufficientStock(sku, quantity, available);
  const left = available - quantity;
  return [
    ...events,
    { type: 'StockReserved', data: { sku, orderId, quantity, available: left, expiresAt, concludes } },
  ];
}

/** Ends as many reservations that are over as are needed for so many pieces to be available, if there are as many. */
function takenOver(sku: string, quantity: number, stock: OpenStock, now: Date) {
  let available = availableOf(stock);
  const events: StockEvent[] = [];
  if (available >= quantity) return { events, available };
  for (const { orderId, quantity: freed } of expiredReservations(stock, now)) {
    available += freed;
    events.push({ type: 'StockReservationExpired', data: { sku, orderId, quantity: freed, available } });
    if (available >= quantity) break;
  }
  return { events, available };
}

export function commitStock(data: CommandData<'CommitStock'>, state: StockState): Decision<StockEvent> {
  const { orderId, concludes } = data;
  const { sku } = lineOf(data);
  if (state.status === 'unknown') return notFound('product', sku);
  const order = state.orders.get(orderId);
  if (order?.status === 'committed') return [];
  if (order?.status !== 'reserved') return isOver(order, sku, orderId);
  const { quantity } = order;
  return [{ type: 'StockCommitted', data: { sku, orderId, quantity, available: availableOf(state), concludes } }];
}

export function releaseStock(data: CommandData<'ReleaseStock'>, state: StockState): Decision<StockEvent> {
  const { orderId, reason, concludes } = data;
  const { sku } = lineOf(data);
  if (state.status === 'unknown') return notFound('product', sku);
  const order = state.orders.get(orderId);
  if (order?.status !== 'reserved' && order?.status !== 'committed') return [];
  const { quantity } = order;
  if (quantity === 0) return [];
  if (order.status === 'committed' && state.onHand + quantity > MAX_INT) return tooMuch(sku);
  const available = availableOf(state) + quantity;
  return [{ type: 'StockReleased', data: { sku, orderId, quantity, available, reason, concludes } }];
}

export function restockReturn(data: CommandData<'RestockReturn'>, state: StockState): Decision<StockEvent> {
  const { orderId, returnId, concludes } = data;
  const { sku, quantity } = lineOf(data);
  if (state.status === 'unknown') return notFound('product', sku);
  if (state.returns.has(returnId)) return [];
  const order = state.orders.get(orderId);
  if (order?.status !== 'committed') return illegalState(shown(order), `The order ${orderId} bought no "${sku}".`);
  if (quantity > order.quantity) {
    return illegalState(
      shown(order),
      `The order ${orderId} has ${order.quantity} of "${sku}": not ${quantity} to return.`,
    );
  }
  if (state.onHand + quantity > MAX_INT) return tooMuch(sku);
  const available = availableOf(state) + quantity;
  return [{ type: 'StockRestocked', data: { sku, orderId, returnId, quantity, available, concludes } }];
}

function isOver(order: OrderStock | undefined, sku: string, orderId: string) {
  return illegalState(shown(order), `No "${sku}" is reserved for the order ${orderId} any more.`);
}

/** EXPIRED: others took it over. */
function shown(order: OrderStock | undefined): string {
  return order === undefined ? 'NOT_RESERVED' : order.status.toUpperCase();
}

function tooMuch(sku: string) {
  return limitExceeded(MAX_INT, `The stock of "${sku}" would exceed ${MAX_INT}.`);
}
