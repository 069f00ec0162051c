import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { cartContext } from '../../src/contexts/cart/index.ts';
import { type Expiries, heapOf, listOf, withExpiry, withoutSoonest } from '../../src/contexts/catalog/expiries.ts';
import { catalogContext } from '../../src/contexts/catalog/index.ts';
import type { Aggregate } from '../../src/eventsourcing/commands/aggregate.ts';
import type { AnyCommand, AnyEvent } from '../../src/eventsourcing/commands/decider.ts';
import { isRejection } from '../../src/eventsourcing/commands/decider.ts';
import { ANONYMOUS } from '../support/given.ts';
import { adjust, at, commit, opened, release, reserve, restock } from '../support/stock.ts';

/** What is kept of a state must be all of it: whoever begins with it decides as if it had seen every event. */

const aggregates = [...cartContext.aggregates, ...catalogContext.aggregates];
function aggregateOf(type: string): Aggregate {
  const found = aggregates.find((it) => it.type === type);
  if (found === undefined) throw new Error(`No aggregate ${type}.`);
  return found;
}

/** As it comes back from the database. */
function keptAndRead({ snapshots }: Aggregate, state: unknown): unknown {
  if (snapshots === undefined) throw new Error('It has no snapshots.');
  return z.decode(snapshots.state, JSON.parse(JSON.stringify(z.encode(snapshots.state, state))));
}

function textOf({ snapshots }: Aggregate, state: unknown): string {
  if (snapshots === undefined) throw new Error('It has no snapshots.');
  return JSON.stringify(z.encode(snapshots.state, state));
}

const orderId = fc.nat(9).map((it) => `order ${it}`);
const pieces = fc.integer({ min: 1, max: 5 });
const hour = fc.integer({ min: 0, max: 23 });
const stockCommand = fc.oneof<fc.Arbitrary<AnyCommand>[]>(
  fc.tuple(orderId, pieces, hour).map(([order, quantity, until]) => reserve(order, quantity, until)),
  fc.tuple(orderId, pieces, hour).map(([order, quantity, until]) => reserve(order, quantity, until)),
  orderId.map((order) => commit(order)),
  orderId.map((order) => release(order)),
  fc.tuple(orderId, pieces, fc.nat(4)).map(([order, quantity, back]) => restock(order, quantity, `return ${back}`)),
  fc.integer({ min: -5, max: 8 }).map(adjust),
);

test('Of a stock, whatever was kept and read again decides as what never was', () => {
  const stock = aggregateOf('stock');
  const { decide, evolve, initialState } = stock.decider;
  fc.assert(
    fc.property(
      fc.array(stockCommand, { maxLength: 80, size: 'max' }),
      fc.integer({ min: 1, max: 9 }),
      (commands, every) => {
        let plain = evolve(initialState, opened(10));
        let kept = plain;
        for (const [step, command] of commands.entries()) {
          const context = { actor: ANONYMOUS, now: at(step / 4), facts: new Map() };
          if (step % every === 0) kept = keptAndRead(stock, kept);
          const decision = decide(command, plain, context);
          expect(decide(command, kept, context)).toEqual(decision);
          if (isRejection(decision)) continue;
          for (const event of decision) [plain, kept] = [evolve(plain, event), evolve(kept, event)];
        }
        expect(textOf(stock, kept)).toBe(textOf(stock, plain));
      },
    ),
    { numRuns: 200 },
  );
});

test('Expiries are listed and made again as they were, however many and in whatever order', () => {
  const instants = fc.array(fc.nat(20), { maxLength: 60, size: 'max' });
  fc.assert(
    fc.property(instants, fc.nat(40), (added, taken) => {
      let heap: Expiries;
      for (const [nth, instant] of added.entries()) heap = withExpiry(heap, { at: instant, orderId: `order ${nth}` });
      for (let nth = 0; nth < taken && heap !== undefined; nth += 1) heap = withoutSoonest(heap);
      expect(heapOf(listOf(heap))).toEqual(heap);
    }),
  );
  let deep: Expiries;
  for (let instant = 50_000; instant > 0; instant -= 1) deep = withExpiry(deep, { at: instant, orderId: 'order' });
  expect(listOf(heapOf(listOf(deep)))).toEqual(listOf(deep));
  expect(() =>
    heapOf([
      { at: 1, orderId: 'a', children: 0 },
      { at: 2, orderId: 'b', children: 0 },
    ]),
  ).toThrow();
});

const sku = fc.constantFrom('A', 'B', 'C');
const id = fc.constantFrom('one', 'two', 'three');
const money = fc.nat(500).map((amountMinor) => ({ amountMinor, currency: 'GBP' }));
const line = fc.record({ sku, name: fc.string(), quantity: pieces, unitPrice: money });
const happened = <Type extends string>(type: Type, data: fc.Arbitrary<object>): fc.Arbitrary<AnyEvent> =>
  data.map((it) => ({ type, data: it }));
const merge = fc.record({ mergeId: id, intoCartId: id });
const EVENTS: Readonly<Record<string, { readonly first: AnyEvent; readonly later: fc.Arbitrary<AnyEvent> }>> = {
  cart: {
    first: { type: 'CartCreated', data: { currency: 'GBP', customerId: null } },
    later: fc.oneof(
      happened('ItemAddedToCart', line),
      happened('ItemAddedToCart', line),
      happened('ItemQuantityChanged', fc.record({ sku, quantity: pieces, previousQuantity: pieces })),
      happened('ItemRemovedFromCart', fc.record({ sku, quantity: pieces })),
      happened('CartCleared', fc.record({ lineCount: pieces })),
      happened('CartAbandoned', fc.record({ lineCount: pieces })),
      happened('CartReopened', fc.record({ lineCount: pieces })),
      happened('CartLinesHandedOver', merge),
      happened('CartLinesTakenIn', fc.record({ mergeId: id, fromCartId: id, lines: fc.array(line, { maxLength: 3 }) })),
      happened('CartMerged', merge),
      happened('CartLinesTakenBack', merge),
      happened(
        'CouponApplied',
        fc.record({
          code: id,
          label: fc.string(),
          percent: fc.option(fc.nat(100)),
          amount: fc.option(money),
        }),
      ),
      happened('CouponRemoved', fc.record({ code: id })),
      happened('CartCheckOutStarted', fc.record({ orderId: id })),
      happened('CartCheckedOut', fc.record({ orderId: id })),
      happened('CartCheckOutCancelled', fc.record({ orderId: id, reason: id })),
    ),
  },
  coupon: {
    first: {
      type: 'CouponAdded',
      data: {
        code: 'A',
        label: 'A',
        percent: 5,
        amount: null,
        validFrom: '2030-01-31T12:00:00.000Z',
        validTo: null,
        maxUses: 3,
      },
    },
    later: fc.oneof(
      happened('CouponRedeemed', fc.record({ code: id, orderId })),
      happened('CouponReleased', fc.record({ code: id, orderId })),
    ),
  },
  product: {
    first: {
      type: 'ProductAdded',
      data: { sku: 'A', name: 'A', description: null, price: { amountMinor: 1, currency: 'GBP' } },
    },
    later: fc.oneof(
      happened('ProductPriceChanged', fc.record({ sku, price: money, previousPrice: money })),
      happened('ProductDeactivated', fc.record({ sku })),
    ),
  },
};

describe('Of every aggregate that is kept, a state', () => {
  const kept = aggregates.filter(({ snapshots }) => snapshots !== undefined);

  test('is tried here', () => {
    expect(kept.map(({ type }) => type).sort()).toEqual([...Object.keys(EVENTS), 'stock'].sort());
  });

  test.each(Object.entries(EVENTS))('of a %s is the same after it was kept, at any event', (type, { first, later }) => {
    const aggregate = aggregateOf(type);
    const { evolve, initialState } = aggregate.decider;
    expect(textOf(aggregate, keptAndRead(aggregate, initialState))).toBe(textOf(aggregate, initialState));
    fc.assert(
      fc.property(fc.array(later, { maxLength: 40, size: 'max' }), fc.integer({ min: 1, max: 9 }), (events, every) => {
        let plain = evolve(initialState, first);
        let other = keptAndRead(aggregate, plain);
        for (const [step, event] of events.entries()) {
          [plain, other] = [evolve(plain, event), evolve(other, event)];
          if (step % every === 0) other = keptAndRead(aggregate, other);
          expect(textOf(aggregate, other)).toBe(textOf(aggregate, plain));
        }
        // Maps and sets are compared by what is in them.
        if (type !== 'coupon') expect(other).toEqual(plain);
      }),
      { numRuns: 150 },
    );
  });

  test('that has what its schema does not know is not kept in part', () => {
    const cart = aggregateOf('cart');
    const created = { type: 'CartCreated', data: { currency: 'GBP', customerId: null } };
    const state = cart.decider.evolve(cart.decider.initialState, created);
    expect(() => textOf(cart, { ...Object(state), later: 1 })).toThrow();
  });
});
