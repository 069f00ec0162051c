import { describe, expect, test } from 'vitest';
import { productEvents, type StockEvent, stockAdjusted, stockEvents } from '../../src/contexts/catalog/events.ts';
import {
  catalogMessage,
  catalogMessageSources,
  stockMessage,
  stockSourcesOf,
} from '../../src/contexts/catalog/messages.ts';
import { recorded } from '../support/recorded.ts';
import {
  adjusted,
  committed,
  expired,
  ORDER,
  OTHER_ORDER,
  opened,
  RETURN,
  released,
  reserved,
  restocked,
  THIRD_ORDER,
} from '../support/stock.ts';

const events: StockEvent[] = [
  opened(10),
  reserved(ORDER, 4, 6),
  adjusted(1, 11, 7),
  expired(ORDER, 4, 11),
  reserved(OTHER_ORDER, 1, 10),
  committed(OTHER_ORDER, 1, 10),
  restocked(OTHER_ORDER, 1, 11),
  reserved(THIRD_ORDER, 2, 9),
  released(THIRD_ORDER, 2, 11),
];
const log = recorded('stock', 'A', events);

describe('What catalog publishes', () => {
  test('tells how much can be sold whenever that changes', () => {
    const published = log.filter(({ type }) => catalogMessageSources.includes(type));
    expect(published.map(catalogMessage)).toEqual(
      [10, 6, 7, 11, 10, 11, 9, 11].map((available) => ({ type: 'StockLevelChanged', sku: 'A', available })),
    );
  });

  test('says nothing of what only moves from reserved to sold', () => {
    const types = [...productEvents, ...stockEvents].map(({ type }) => type);
    expect(types.filter((type) => !catalogMessageSources.includes(type))).toEqual(['StockCommitted']);
  });

  test('understands events from before there were reservations', () => {
    const [before] = stockAdjusted.formerVersions ?? [];
    const data = before?.upcast({ sku: 'A', delta: 1, quantity: 11, reason: 'count' });
    const [event] = recorded('stock', 'A', [{ type: 'StockAdjusted', data }]);
    expect(event && catalogMessage(event)).toEqual({ type: 'StockLevelChanged', sku: 'A', available: 11 });
  });
});

describe('What processes are told of stock', () => {
  test('is what is done for the whole order', () => {
    expect(log.map(stockMessage)).toEqual([
      undefined,
      { type: 'OrderStockReserved', orderId: ORDER },
      undefined,
      undefined,
      { type: 'OrderStockReserved', orderId: OTHER_ORDER },
      { type: 'OrderStockCommitted', orderId: OTHER_ORDER },
      { type: 'OrderReturnRestocked', orderId: OTHER_ORDER, returnId: RETURN },
      { type: 'OrderStockReserved', orderId: THIRD_ORDER },
      { type: 'OrderStockReleased', orderId: THIRD_ORDER },
    ]);
  });

  test('is nothing of further lines', () => {
    const further = [reserved(ORDER, 4, 6, 13, false), committed(ORDER, 4, 6, false), released(ORDER, 4, 10, false)];
    expect(recorded('stock', 'A', further).map(stockMessage)).toEqual([undefined, undefined, undefined]);
  });

  test('can be asked for by type', () => {
    expect(stockSourcesOf('OrderStockReserved', 'OrderStockReleased')).toEqual(['StockReserved', 'StockReleased']);
    for (const event of log) {
      const message = stockMessage(event);
      if (message !== undefined) expect(stockSourcesOf(message.type)).toEqual([event.type]);
    }
  });

  test('fits the schemas of its events', () => {
    for (const { type, data } of events) {
      expect(stockEvents.find((it) => it.type === type)?.data.parse(data)).toEqual(data);
    }
  });
});
