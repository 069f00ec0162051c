import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { orderDecider } from '../../src/contexts/ordering/decider.ts';
import type { OrderEvent } from '../../src/contexts/ordering/events.ts';
import { isRejection } from '../../src/eventsourcing/commands/decider.ts';
import { ORDER, price } from '../support/carts.ts';
import { customer, given } from '../support/given.ts';
import {
  delivered,
  line,
  ORDER_STATES,
  OTHER_RETURN,
  orderStates,
  paid,
  placed,
  RETURN,
  returned,
  returnItems,
  shipped,
} from '../support/orders.ts';

const back = (sku: string, quantity: number) => ({ sku, quantity });

describe('Returning', () => {
  test('gives back the share of what comes back', () =>
    given(orderDecider, orderStates.delivered)
      .when(returnItems([back('A', 1), back('B', 2)]))
      .thenEvents([returned([back('A', 1), back('B', 2)], 600)]));

  test('gives back the share of what was paid, not of what it cost', () => {
    const discounts = [{ code: 'HALF', label: 'Half', amount: price(500) }];
    const events = [placed({ discounts, totalMinor: 500 }), ...orderStates.delivered.slice(1)];
    given(orderDecider, events)
      .when(returnItems([back('A', 1)]))
      .thenEvents([returned([back('A', 1)], 100)]);
  });

  test('gives back the pennies that were rounded away with the last piece', () => {
    const lines = [line('A', 3, 100)];
    const events: OrderEvent[] = [placed({ lines, totalMinor: 100 }), paid, shipped, delivered];
    const refunds = [33, 33, 34];
    for (const refund of refunds) {
      const event = returned([back('A', 1)], refund);
      given(orderDecider, events)
        .when(returnItems([back('A', 1)]))
        .thenEvents([event]);
      events.push(event);
    }
  });

  test('gives back nothing where nothing was paid', () =>
    given(orderDecider, [placed({ totalMinor: 0 }), paid, shipped, delivered])
      .when(returnItems([back('A', 1)]))
      .thenEvents([returned([back('A', 1)], 0)]));

  test('of what cost nothing gives back nothing', () =>
    given(orderDecider, [placed({ lines: [line('A', 2, 0)], totalMinor: 0 }), paid, shipped, delivered])
      .when(returnItems([back('A', 2)]))
      .thenEvents([returned([back('A', 2)], 0)]));

  test("is the order's customer's affair, whoever asks for it; also where the reason is forgotten", () => {
    const { data, ...event } = returned([back('A', 1)], 200);
    const asked = { orderId: ORDER, returnId: RETURN, lines: [back('A', 1)], customerId: 'bob', reason: null };
    given(orderDecider, orderStates.delivered)
      .when({ type: 'ReturnItems', data: asked }, { actor: customer('bob') })
      .thenEvents([{ ...event, data: { ...data, customerId: 'carla', reason: null } } as OrderEvent]);
  });

  test.each(ORDER_STATES.filter((it) => it !== 'delivered'))('is refused when it is %s', (state) =>
    given(orderDecider, orderStates[state])
      .when(returnItems([back('A', 1)]))
      .thenRejected({ code: 'ILLEGAL_STATE', state: state.toUpperCase() }),
  );

  test('is refused of what was not ordered', () =>
    given(orderDecider, orderStates.delivered)
      .when(returnItems([back('A', 1), back('C', 1)]))
      .thenRejected({ code: 'NOT_FOUND', id: 'C' }));

  test('is refused of more than is left', () => {
    given(orderDecider, orderStates.delivered)
      .when(returnItems([back('A', 3)]))
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'RETURNED' });
    const events = [...orderStates.delivered, returned([back('A', 1)], 200)];
    given(orderDecider, events)
      .when(returnItems([back('A', 1)], OTHER_RETURN))
      .thenEvents([returned([back('A', 1)], 200, OTHER_RETURN)]);
    given(orderDecider, events)
      .when(returnItems([back('A', 2)], OTHER_RETURN))
      .thenRejected({ state: 'RETURNED' });
  });
});

const pieces = fc.array(fc.record({ quantity: fc.integer({ min: 1, max: 9999 }), minor: fc.nat(1_000_000) }), {
  minLength: 1,
  maxLength: 5,
});
const attempts = fc.array(
  fc.array(fc.record({ at: fc.nat(5), part: fc.double({ min: 0.01, max: 1.2, noNaN: true }) })),
  {
    maxLength: 20,
  },
);

/** What an attempt brings back: parts of what is left, each product once, sometimes too many. */
function linesOf(attempt: readonly { at: number; part: number }[], left: ReadonlyMap<string, number>) {
  const lines = new Map<string, number>();
  for (const { at, part } of attempt) {
    const quantity = Math.ceil((left.get(`P${at}`) ?? 0) * part);
    if (quantity > 0) lines.set(`P${at}`, quantity);
  }
  return [...lines].map(([sku, quantity]) => back(sku, quantity));
}

test('Whatever comes back in whatever portions, all of it gives back exactly what was paid, and less never more', () => {
  fc.assert(
    fc.property(pieces, fc.double({ min: 0, max: 1, noNaN: true }), attempts, (ordered, share, tries) => {
      const lines = ordered.map(({ quantity, minor }, at) => line(`P${at}`, quantity, minor));
      const subtotal = ordered.reduce((sum, { quantity, minor }) => sum + quantity * minor, 0);
      const totalMinor = Math.floor(subtotal * share);
      const left = new Map(lines.map(({ sku, quantity }) => [sku, quantity]));
      const begun: OrderEvent[] = [placed({ lines, totalMinor }), paid, shipped, delivered];
      let state = begun.reduce(orderDecider.evolve, orderDecider.initialState);
      let refunded = 0;
      const rest = [...left.keys()].map((_, at) => [{ at, part: 1 }]);
      for (const attempt of [...tries, ...rest]) {
        const asked = linesOf(attempt, left);
        if (asked.length === 0) continue;
        const context = {
          actor: { kind: 'GUEST', id: 'g' },
          now: new Date(),
          facts: new Map<string, never>(),
        } as const;
        const decision = orderDecider.decide(returnItems(asked), state, context);
        const isTooMuch = asked.some(({ sku, quantity }) => quantity > (left.get(sku) ?? 0));
        expect(isRejection(decision)).toBe(isTooMuch);
        if (isRejection(decision)) continue;
        for (const event of decision) {
          if (event.type !== 'OrderItemsReturned') throw new Error(event.type);
          expect(event.data.refund.amountMinor).toBeGreaterThanOrEqual(0);
          refunded += event.data.refund.amountMinor;
          state = orderDecider.evolve(state, event);
        }
        for (const { sku, quantity } of asked) left.set(sku, (left.get(sku) ?? 0) - quantity);
        expect(refunded).toBeLessThanOrEqual(totalMinor);
      }
      expect([...left.values()].every((quantity) => quantity === 0)).toBe(true);
      // What costs nothing at all cannot have been paid for.
      expect(refunded).toBe(totalMinor);
    }),
    { numRuns: 300, seed: 4 },
  );
});
