import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { adjustStock, type StockCommand } from '../../src/contexts/catalog/commands.ts';
import type { StockEvent } from '../../src/contexts/catalog/events.ts';
import { stockDecider } from '../../src/contexts/catalog/stock-decider.ts';
import { MAX_INT } from '../../src/contexts/values.ts';
import { isRejection } from '../../src/eventsourcing/commands/decider.ts';
import { given } from '../support/given.ts';

const opened = (quantity: number): StockEvent => ({ type: 'StockOpened', data: { sku: 'A', quantity } });
const adjusted = (delta: number, quantity: number): StockEvent => ({
  type: 'StockAdjusted',
  data: { sku: 'A', delta, quantity, available: quantity, reason: 'count' },
});
const open = (quantity: number): StockCommand => ({ type: 'OpenStock', data: { sku: 'A', quantity } });
const adjust = (delta: number): StockCommand => ({
  type: 'AdjustStock',
  data: { sku: 'A', delta, reason: 'count' },
});

describe('Opening a stock', () => {
  test.each([0, 10, MAX_INT])('begins with %d pieces', (quantity) =>
    given(stockDecider, [])
      .when(open(quantity))
      .thenEvents([opened(quantity)]),
  );

  test('is refused the second time', () =>
    given(stockDecider, [opened(1)])
      .when(open(1))
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'OPEN' }));
});

describe('Adjusting a stock', () => {
  test('tells the difference and what there is now', () => {
    given(stockDecider, [opened(10)])
      .when(adjust(5))
      .thenEvents([adjusted(5, 15)]);
    given(stockDecider, [opened(10), adjusted(5, 15)])
      .when(adjust(-15))
      .thenEvents([adjusted(-15, 0)]);
  });

  test('by nothing is no change', () =>
    given(stockDecider, [opened(10)])
      .when(adjust(0))
      .thenEvents([]));

  test('never goes below zero', () =>
    given(stockDecider, [opened(10)])
      .when(adjust(-11))
      .thenRejected({ code: 'INSUFFICIENT_STOCK', sku: 'A', requested: 11, available: 10 }));

  test('never exceeds what an Int holds', () => {
    given(stockDecider, [opened(1)])
      .when(adjust(MAX_INT - 1))
      .thenEvents([adjusted(MAX_INT - 1, MAX_INT)]);
    given(stockDecider, [opened(1)])
      .when(adjust(MAX_INT))
      .thenRejected({ code: 'LIMIT_EXCEEDED', limit: MAX_INT });
  });

  test.each([-1, 0, 1])('of a product that does not exist is refused, by %d', (delta) =>
    given(stockDecider, []).when(adjust(delta)).thenRejected({ code: 'NOT_FOUND', id: 'A' }),
  );

  test.each([
    { reason: '' },
    { reason: '  ' },
    { reason: 'x'.repeat(501) },
    { reason: '\u0000' },
    { delta: 1.5 },
    { delta: 2 ** 31 },
    { sku: '' },
  ])('refuses the input %j', (wrong) => {
    expect(adjustStock.input.safeParse({ sku: 'A', delta: 1, reason: 'count', ...wrong }).success).toBe(false);
  });
});

test('Whatever is taken and brought, the stock is the sum of what was accepted, and never negative', () => {
  fc.assert(
    fc.property(fc.nat(100), fc.array(fc.integer({ min: -60, max: 60 }), { maxLength: 50 }), (first, deltas) => {
      const events: StockEvent[] = [opened(first)];
      let model = first;
      for (const delta of deltas) {
        const { decision } = given(stockDecider, events).when(adjust(delta));
        expect(isRejection(decision)).toBe(model + delta < 0);
        if (isRejection(decision)) continue;
        model += delta;
        events.push(...decision);
        expect(events.at(-1)?.data).toMatchObject({ quantity: model });
      }
    }),
  );
});
