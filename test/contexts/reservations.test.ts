import { describe, expect, test } from 'vitest';
import { commitStock, releaseStock, reserveStock, restockReturn } from '../../src/contexts/catalog/commands.ts';
import { stockEvents } from '../../src/contexts/catalog/events.ts';
import { stockDecider } from '../../src/contexts/catalog/stock-decider.ts';
import { MAX_INT } from '../../src/contexts/values.ts';
import { given } from '../support/given.ts';
import {
  adjust,
  adjusted,
  at,
  commit,
  committed,
  expired,
  iso,
  ORDER,
  OTHER_ORDER,
  OTHER_RETURN,
  opened,
  RETURN,
  release,
  released,
  reserve,
  reserved,
  restock,
  restocked,
  THIRD_ORDER,
} from '../support/stock.ts';

const noon = { now: at(12) };
const RESERVED = [opened(10), reserved(ORDER, 4, 6)];
const SOLD = [...RESERVED, committed(ORDER, 4, 6)];
const CANCELLED = [...RESERVED, released(ORDER, 4, 10)];
const TAKEN_OVER = [...RESERVED, expired(ORDER, 4, 10), reserved(OTHER_ORDER, 10, 0, 16)];

describe('Reserving stock', () => {
  test.each([1, 10])('holds %d of 10 pieces', (quantity) =>
    given(stockDecider, [opened(10)])
      .when(reserve(ORDER, quantity), noon)
      .thenEvents([reserved(ORDER, quantity, 10 - quantity)]),
  );

  test('is refused where less is available', () => {
    given(stockDecider, [opened(10)])
      .when(reserve(ORDER, 11), noon)
      .thenRejected({ code: 'INSUFFICIENT_STOCK', sku: 'A', requested: 11, available: 10 });
    given(stockDecider, RESERVED)
      .when(reserve(OTHER_ORDER, 7), noon)
      .thenRejected({ code: 'INSUFFICIENT_STOCK', requested: 7, available: 6 });
    given(stockDecider, SOLD)
      .when(reserve(OTHER_ORDER, 7), noon)
      .thenRejected({ code: 'INSUFFICIENT_STOCK', requested: 7, available: 6 });
  });

  test('has what was given back, and what was brought', () => {
    given(stockDecider, CANCELLED)
      .when(reserve(OTHER_ORDER, 10), noon)
      .thenEvents([reserved(OTHER_ORDER, 10, 0)]);
    given(stockDecider, [...RESERVED, adjusted(5, 15, 11)])
      .when(reserve(OTHER_ORDER, 11), noon)
      .thenEvents([reserved(OTHER_ORDER, 11, 0)]);
  });

  test('a second time changes nothing, also when it was sold meanwhile', () => {
    given(stockDecider, RESERVED).when(reserve(ORDER, 4), noon).thenEvents([]);
    given(stockDecider, SOLD).when(reserve(ORDER, 4), noon).thenEvents([]);
  });

  test('does not begin again for an order that is over', () => {
    given(stockDecider, CANCELLED)
      .when(reserve(ORDER, 4), noon)
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'RELEASED' });
    given(stockDecider, [...SOLD, released(ORDER, 4, 10)])
      .when(reserve(ORDER, 4), noon)
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'RELEASED' });
    given(stockDecider, TAKEN_OVER)
      .when(reserve(ORDER, 4), noon)
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'EXPIRED' });
  });

  test('is refused for a product that there is not', () =>
    given(stockDecider, []).when(reserve(ORDER, 1), noon).thenRejected({ code: 'NOT_FOUND', id: 'A' }));
});

describe('A reservation that is over', () => {
  const before = [opened(10), reserved(ORDER, 4, 6, 14), reserved(OTHER_ORDER, 3, 3, 13)];
  const want = (quantity: number) => reserve(THIRD_ORDER, quantity, 16);
  const got = (quantity: number, available: number) => reserved(THIRD_ORDER, quantity, available, 16);

  test('stays as long as there is enough', () =>
    given(stockDecider, before)
      .when(want(3), { now: at(15) })
      .thenEvents([got(3, 0)]));

  test('is taken over when stock is short, the oldest first, and no more than are needed', () => {
    given(stockDecider, before)
      .when(want(4), { now: at(15) })
      .thenEvents([expired(OTHER_ORDER, 3, 6), got(4, 2)]);
    given(stockDecider, before)
      .when(want(10), { now: at(15) })
      .thenEvents([expired(OTHER_ORDER, 3, 6), expired(ORDER, 4, 10), got(10, 0)]);
  });

  test('is over from the very instant on, and not before', () => {
    given(stockDecider, before)
      .when(want(4), { now: new Date(at(13).getTime() - 1) })
      .thenRejected({ code: 'INSUFFICIENT_STOCK', available: 3 });
    given(stockDecider, before)
      .when(want(4), { now: at(13) })
      .thenEvents([expired(OTHER_ORDER, 3, 6), got(4, 2)]);
  });

  test('stays where even so there is not enough; what there would be is told', () =>
    given(stockDecider, before)
      .when(want(11), { now: at(15) })
      .thenRejected({ code: 'INSUFFICIENT_STOCK', requested: 11, available: 10 }));

  test('is not taken over once it was sold or released', () => {
    const ended = [...before, committed(OTHER_ORDER, 3, 3), released(ORDER, 4, 7)];
    given(stockDecider, ended)
      .when(want(8), { now: at(15) })
      .thenRejected({ code: 'INSUFFICIENT_STOCK', available: 7 });
    given(stockDecider, [...before, committed(OTHER_ORDER, 3, 3)])
      .when(want(5), { now: at(15) })
      .thenEvents([expired(ORDER, 4, 7), got(5, 2)]);
  });

  test('can still be sold as long as nobody took it over', () =>
    given(stockDecider, before)
      .when(commit(OTHER_ORDER), { now: at(15) })
      .thenEvents([committed(OTHER_ORDER, 3, 3)]));
});

describe('Committing stock', () => {
  test('sells exactly what was reserved: what others can buy stays', () =>
    given(stockDecider, RESERVED)
      .when(commit(ORDER, 1), noon)
      .thenEvents([committed(ORDER, 4, 6)]));

  test('a second time changes nothing', () => given(stockDecider, SOLD).when(commit(ORDER), noon).thenEvents([]));

  test.each([
    { state: 'EXPIRED', events: TAKEN_OVER },
    { state: 'RELEASED', events: CANCELLED },
    { state: 'NOT_RESERVED', events: [opened(10)] },
  ])('is refused where nothing is reserved: $state', ({ state, events }) =>
    given(stockDecider, events).when(commit(ORDER), noon).thenRejected({ code: 'ILLEGAL_STATE', state }),
  );

  test('is refused for a product that there is not', () =>
    given(stockDecider, []).when(commit(ORDER), noon).thenRejected({ code: 'NOT_FOUND', id: 'A' }));
});

describe('Releasing stock', () => {
  test('gives back what was reserved', () =>
    given(stockDecider, RESERVED)
      .when(release(ORDER), noon)
      .thenEvents([released(ORDER, 4, 10)]));

  test('puts back what was sold', () =>
    given(stockDecider, SOLD)
      .when(release(ORDER), noon)
      .thenEvents([released(ORDER, 4, 10)]));

  test('puts back what was sold, without what came back before', () => {
    given(stockDecider, [...SOLD, restocked(ORDER, 1, 7)])
      .when(release(ORDER), noon)
      .thenEvents([released(ORDER, 3, 10)]);
    given(stockDecider, [...SOLD, restocked(ORDER, 4, 10)])
      .when(release(ORDER), noon)
      .thenEvents([]);
  });

  test.each([
    { name: 'a second time', events: CANCELLED },
    { name: 'a second time, of what was sold', events: [...SOLD, released(ORDER, 4, 10)] },
    { name: 'of what others took over', events: TAKEN_OVER },
    { name: 'of what was never reserved', events: [opened(10)] },
  ])('changes nothing $name', ({ events }) => given(stockDecider, events).when(release(ORDER), noon).thenEvents([]));

  test('is refused where there would be more than an Int holds', () =>
    given(stockDecider, [...SOLD, adjusted(MAX_INT - 6, MAX_INT)])
      .when(release(ORDER), noon)
      .thenRejected({ code: 'LIMIT_EXCEEDED', limit: MAX_INT }));

  test('is refused for a product that there is not', () =>
    given(stockDecider, []).when(release(ORDER), noon).thenRejected({ code: 'NOT_FOUND', id: 'A' }));
});

describe('Restocking a return', () => {
  test('puts pieces back, of one return after the other', () => {
    given(stockDecider, SOLD)
      .when(restock(ORDER, 1), noon)
      .thenEvents([restocked(ORDER, 1, 7)]);
    given(stockDecider, [...SOLD, restocked(ORDER, 1, 7)])
      .when(restock(ORDER, 3, OTHER_RETURN), noon)
      .thenEvents([restocked(ORDER, 3, 10, OTHER_RETURN)]);
  });

  test('a second time changes nothing', () =>
    given(stockDecider, [...SOLD, restocked(ORDER, 1, 7)])
      .when(restock(ORDER, 1), noon)
      .thenEvents([]));

  test('is refused for more than was sold', () => {
    given(stockDecider, SOLD).when(restock(ORDER, 5), noon).thenRejected({ code: 'ILLEGAL_STATE', state: 'COMMITTED' });
    given(stockDecider, [...SOLD, restocked(ORDER, 1, 7)])
      .when(restock(ORDER, 4, OTHER_RETURN), noon)
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'COMMITTED' });
  });

  test.each([
    { state: 'RESERVED', events: RESERVED },
    { state: 'RELEASED', events: CANCELLED },
    { state: 'NOT_RESERVED', events: [opened(10)] },
  ])('is refused for what was not sold: $state', ({ state, events }) =>
    given(stockDecider, events).when(restock(ORDER, 1), noon).thenRejected({ code: 'ILLEGAL_STATE', state }),
  );

  test('is refused where there would be more than an Int holds', () =>
    given(stockDecider, [...SOLD, adjusted(MAX_INT - 6, MAX_INT)])
      .when(restock(ORDER, 1), noon)
      .thenRejected({ code: 'LIMIT_EXCEEDED', limit: MAX_INT }));

  test('is refused for a product that there is not', () =>
    given(stockDecider, []).when(restock(ORDER, 1), noon).thenRejected({ code: 'NOT_FOUND', id: 'A' }));
});

describe('Adjusting a stock of which some is reserved', () => {
  test('tells what is there, and what of it can be sold', () =>
    given(stockDecider, RESERVED)
      .when(adjust(-6), noon)
      .thenEvents([adjusted(-6, 4, 0)]));

  test('never takes away what is reserved, also if that is over', () =>
    given(stockDecider, RESERVED)
      .when(adjust(-7), { now: at(20) })
      .thenRejected({ code: 'INSUFFICIENT_STOCK', requested: 7, available: 6 }));

  test('takes away what is left once it is sold', () =>
    given(stockDecider, SOLD)
      .when(adjust(-6), noon)
      .thenEvents([adjusted(-6, 0)]));
});

describe('An order of several products', () => {
  const lines = [
    { sku: 'A', quantity: 1 },
    { sku: 'B', quantity: 2 },
    { sku: 'C', quantity: 3 },
  ];
  const commands = [
    { definition: reserveStock, more: { expiresAt: iso(13) } },
    { definition: commitStock, more: {} },
    { definition: releaseStock, more: { reason: 'NOT_PAID' } },
    { definition: restockReturn, more: { returnId: RETURN } },
  ];

  test.each(commands)('is decided by each of their stocks, and told by the first: $definition.name', (each) => {
    const { name, input, aggregateId, companions } = each.definition as typeof commitStock;
    const data = input.parse({ orderId: ORDER, lines, ...each.more });
    expect(aggregateId(data)).toBe('A');
    expect(data.concludes).toBe(true);
    expect(companions?.(data)).toEqual(
      lines.slice(1).map((line) => ({
        type: name,
        data: { orderId: ORDER, lines: [line], ...each.more, concludes: false },
      })),
    );
    const [companion] = companions?.(data) ?? [];
    expect(companions?.(input.parse(companion?.data))).toEqual([]);
  });

  test.each([
    { lines: [] },
    { lines: [lines[0], lines[0]] },
    { lines: [{ sku: 'A', quantity: 0 }] },
    { lines: [{ sku: 'A', quantity: 1.5 }] },
    { lines: [{ sku: 'a/b', quantity: 1 }] },
    { orderId: 'order' },
    { expiresAt: 'tomorrow' },
  ])('refuses the input %j', (wrong) => {
    const right = { orderId: ORDER, lines, expiresAt: iso(13) };
    expect(reserveStock.input.safeParse(right).success).toBe(true);
    expect(reserveStock.input.safeParse({ ...right, ...wrong }).success).toBe(false);
  });
});

test('Whoever watches a product is not told of whose orders they are', () => {
  const told = stockEvents.flatMap(({ data }) =>
    Object.entries(data.shape)
      .filter(([, member]) => member.meta()?.['audience'] !== 'staff')
      .map(([name]) => name),
  );
  expect(new Set(told)).toEqual(new Set(['sku', 'quantity', 'delta', 'available']));
});
