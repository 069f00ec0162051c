import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cartDecider } from '../../src/contexts/cart/decider.ts';
import type { CartLineRow, CartRow } from '../../src/contexts/cart/projection.ts';
import type { Actor } from '../../src/eventsourcing/actor.ts';
import { isRejection } from '../../src/eventsourcing/commands/decider.ts';
import { comparable, differences } from '../../src/eventsourcing/history/difference.ts';
import { applied } from '../support/apply-differences.ts';
import {
  add,
  applyCoupon,
  CART,
  cancelCheckOut,
  change,
  checkOut,
  clear,
  coupon,
  remove,
  removeCoupon,
} from '../support/carts.ts';
import { customer, STAFF } from '../support/given.ts';
import { OneCart } from '../support/one-cart.ts';

// Whatever shoppers, staff and the shop do to a cart and to prices: restoring and undoing keep what they promise.

const CARLA = customer('carla');
const SKUS = ['A', 'B', 'C'];
const CODES = ['TEN', 'TWO'];
const PROCESS: Actor = { kind: 'PROCESS', id: 'checkout' };

const actor = fc.constantFrom(CARLA, CARLA, STAFF);
const sku = fc.constantFrom(...SKUS);
const code = fc.constantFrom(...CODES);
const few = fc.integer({ min: 1, max: 3 });

/** What happens to a cart. @returns whether the cart was changed */
type Step = (cart: OneCart) => boolean;
const changed = (result: ReturnType<OneCart['run']>) => !isRejection(result) && result.length > 0;

const shopping: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(actor, sku, few).map(
      ([by, it, n]): Step =>
        (cart) =>
          changed(cart.run(add(it, n), by)),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(actor, sku, few).map(
      ([by, it, n]): Step =>
        (cart) =>
          changed(cart.run(change(it, n), by)),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(actor, sku).map(
      ([by, it]): Step =>
        (cart) =>
          changed(cart.run(remove(it), by)),
    ),
  },
  actor.map(
    (by): Step =>
      (cart) =>
        changed(cart.run(clear, by)),
  ),
  fc.tuple(actor, code).map(
    ([by, it]): Step =>
      (cart) =>
        changed(cart.run(applyCoupon(it), by)),
  ),
  fc.tuple(actor, code).map(
    ([by, it]): Step =>
      (cart) =>
        changed(cart.run(removeCoupon(it), by)),
  ),
  fc.tuple(actor, fc.nat()).map(
    ([by, n]): Step =>
      (cart) =>
        changed(cart.restore(1 + (n % cart.log.length), by)),
  ),
);
/** What changes nothing in the cart. */
const meanwhile: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(sku, fc.constantFrom(250, 300, 350)).map(
    ([it, priceMinor]): Step =>
      (cart) => {
        cart.sell(it, { priceMinor });
        return false;
      },
  ),
  fc.constant((cart: OneCart) => {
    cart.abandon();
    return false;
  }),
);
const shortage: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(sku, fc.boolean(), fc.constantFrom(0, 2, 100_000)).map(
    ([it, active, available]): Step =>
      (cart) => {
        cart.sell(it, { active, available });
        return false;
      },
  ),
  fc.tuple(code, fc.constantFrom(0, 1)).map(
    ([it, uses]): Step =>
      (cart) => {
        cart.coupons.set(it, coupon(it, { uses, maxUses: 1 }));
        return false;
      },
  ),
);

const newCart = () => new OneCart(CARLA, SKUS, CODES);
const rowOf = ({ row }: OneCart): CartRow => {
  if (row === undefined) throw new Error('There is no cart.');
  return row;
};
const pieces = ({ lines }: CartRow) => lines.map(({ sku: it, quantity }) => [it, quantity]);

describe('Restoring a cart', () => {
  test('gives what was in it then, but for prices and coupons that no longer hold; or changes nothing', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof({ weight: 3, arbitrary: shopping }, meanwhile, shortage), { maxLength: 25 }),
        fc.nat(),
        (steps, at) => {
          const cart = newCart();
          for (const step of steps) step(cart);
          const before = rowOf(cart);
          const version = 1 + (at % cart.log.length);
          const then = cart.rowAsOf(version);
          const result = cart.restore(version, CARLA);
          const now = rowOf(cart);
          if (isRejection(result)) {
            expect(now).toEqual(before);
            return;
          }
          expect(pieces(now)).toEqual(pieces(then as CartRow));
          for (const line of now.lines)
            expectPrice(
              line,
              then?.lines.find((it) => it.sku === line.sku),
              cart,
              before,
            );
          const code = then?.coupon?.code ?? null;
          if ((now.coupon?.code ?? null) !== code) {
            expect(now.coupon).toBeNull();
            expect(cart.coupons.get(code ?? '')).toMatchObject({ uses: 1, maxUses: 1 });
          }
          expect(now.status).toBe(result.length > 0 ? 'OPEN' : before.status);
          // State and row say the same, in the same order.
          const { state } = cart;
          expect(
            state.status === 'unknown' ? [] : [...state.lines].map(([it, { quantity }]) => [it, quantity]),
          ).toEqual(pieces(now));
        },
      ),
      { numRuns: 500 },
    );
  });

  test('twice is once', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(shopping, meanwhile), { maxLength: 20 }), fc.nat(), (steps, at) => {
        const cart = newCart();
        for (const step of steps) step(cart);
        const version = 1 + (at % cart.log.length);
        cart.restore(version, CARLA);
        const { lines, coupon: present } = rowOf(cart);
        expect(cart.restore(version, CARLA)).toEqual([]);
        expect(rowOf(cart)).toMatchObject({ lines, coupon: present });
      }),
      { numRuns: 300 },
    );
  });
});

/** The price of then, or that of now, or the one that the line had just before: in this order, as far as they hold. */
function expectPrice(now: CartLineRow, then: CartLineRow | undefined, cart: OneCart, before: CartRow): void {
  if (now.unitPriceMinor === then?.unitPriceMinor) return;
  const product = cart.products.get(now.sku);
  // It does not hold: the product costs something else now, or is not sold at all.
  expect(product?.active !== true || product.priceMinor !== then?.unitPriceMinor).toBe(true);
  if (product?.active === true) expect(now.unitPriceMinor).toBe(product.priceMinor);
  else expect(now.unitPriceMinor).toBe(before.lines.find(({ sku: it }) => it === now.sku)?.unitPriceMinor);
}

describe('Undoing', () => {
  /** The obvious way: a pile of what was there before each change, and who changed it. */
  interface Done {
    readonly by: Actor | 'several';
    readonly before: string;
  }
  const shown = (cart: OneCart) => {
    const { lines, coupon: present } = rowOf(cart);
    return JSON.stringify([lines.map(({ sku: it, quantity }) => [it, quantity]), present?.code ?? null]);
  };
  const undoing = actor.map((by) => ({ undo: by }));
  const checkingOut = fc.constant('check-out' as const);

  test('goes back change by change, as a pile of them would', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(
            { weight: 6, arbitrary: shopping.map((step) => ({ step })) },
            { weight: 2, arbitrary: meanwhile.map((step) => ({ step })) },
            { weight: 6, arbitrary: undoing },
            checkingOut,
          ),
          { maxLength: 30 },
        ),
        async (steps) => {
          const cart = newCart();
          const pile: Done[] = [];
          let last: Actor | 'several' | undefined;
          for (const it of steps) {
            const before = shown(cart);
            if (it === 'check-out') {
              if (!changed(cart.run(checkOut({ customerId: 'carla' }), CARLA))) continue;
              cart.run(cancelCheckOut(), PROCESS);
              pile.push({ by: 'several', before });
              last = 'several';
            } else if ('step' in it) {
              if (!it.step(cart)) continue;
              last = cart.log.at(-1)?.actor;
              pile.push({ by: last ?? 'several', before });
            } else {
              const result = await cart.undo(it.undo);
              const top = pile.at(-1);
              const expected = expectedOf(it.undo, last, top);
              expect(isRejection(result) ? result['state'] : 'UNDONE').toBe(expected);
              if (expected !== 'UNDONE') continue;
              expect(shown(cart)).toBe(top?.before);
              pile.pop();
              last = it.undo;
            }
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  function expectedOf(by: Actor, last: Actor | 'several' | undefined, top: Done | undefined): string {
    if (last === undefined) return 'NOTHING_TO_UNDO';
    if (last === 'several') return 'NOT_UNDOABLE';
    if (last.kind !== by.kind) return 'NOT_YOURS';
    if (top === undefined) return 'NOTHING_TO_UNDO';
    if (top.by === 'several') return 'NOT_UNDOABLE';
    return top.by.kind === by.kind ? 'UNDONE' : 'NOT_YOURS';
  }
});

test('What differs between two versions of a cart, applied to the one, gives the other', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(shopping, meanwhile), { maxLength: 20 }), fc.nat(), fc.nat(), (steps, one, other) => {
      const cart = newCart();
      for (const step of steps) step(cart);
      const [from, to] = [one, other].map((it) => comparable(cart.stateAsOf(it % (cart.log.length + 1))));
      const found = [...differences(from ?? null, to ?? null)];
      expect(applied(from ?? null, found)).toEqual(to);
    }),
  );
  expect(comparable(cartDecider.initialState)).toEqual({ status: 'unknown' });
});

test('Every cart that is restored is that of whoever it was', () => {
  const cart = newCart().with(CARLA, SKUS);
  cart.restore(1, STAFF);
  expect(cart.row).toMatchObject({ id: CART, customerId: 'carla', lines: [] });
});
