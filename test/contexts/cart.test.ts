import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cartCommands } from '../../src/contexts/cart/commands.ts';
import { cartDecider } from '../../src/contexts/cart/decider.ts';
import type { CartEvent } from '../../src/contexts/cart/events.ts';
import { type CartFacts, productIn } from '../../src/contexts/cart/facts.ts';
import { MAX_LINES, MAX_QUANTITY, mayUse } from '../../src/contexts/cart/policy.ts';
import { type CartProductRow, cartProductProjection } from '../../src/contexts/cart/product-copy.ts';
import { type CartRow, cartProjection } from '../../src/contexts/cart/projection.ts';
import { isRejection } from '../../src/eventsourcing/commands/decider.ts';
import {
  add,
  added,
  CART,
  change,
  clear,
  create,
  created,
  price,
  product,
  remove,
  type ShoppersCommand,
  selling,
} from '../support/carts.ts';
import { ANONYMOUS, customer, GUEST, given, STAFF } from '../support/given.ts';
import { recorded } from '../support/recorded.ts';

describe('Creating a cart', () => {
  test.each([ANONYMOUS, GUEST, STAFF])('makes one that is for whoever knows its id, for $kind', (actor) =>
    given(cartDecider, [])
      .when(create, { actor })
      .thenEvents([created(null)]),
  );

  test('makes one that is for the customer who creates it', () =>
    given(cartDecider, [])
      .when(create, { actor: customer('carla') })
      .thenEvents([created('carla')]));

  test('is refused where there is one', () =>
    given(cartDecider, [created()]).when(create).thenRejected({ code: 'ILLEGAL_STATE', state: 'OPEN' }));
});

describe('Adding an item', () => {
  test('takes name and price of now', () =>
    given(cartDecider, [created()])
      .when(add('A', 2), selling(product('A', { name: 'Lantern', priceMinor: 339 })))
      .thenEvents([
        { type: 'ItemAddedToCart', data: { sku: 'A', name: 'Lantern', quantity: 2, unitPrice: price(339) } },
      ]));

  test('adds up to what is there', () =>
    given(cartDecider, [created(), added('A', 2)])
      .when(add('A', 3), selling(product('A')))
      .thenEvents([added('A', 3)]));

  test.each([1, MAX_QUANTITY])('allows %d pieces', (quantity) =>
    given(cartDecider, [created()])
      .when(add('A', quantity), selling(product('A')))
      .thenEvents([added('A', quantity)]),
  );

  test('allows exactly as many as there may be, in two goes', () =>
    given(cartDecider, [created(), added('A', MAX_QUANTITY - 1)])
      .when(add('A', 1), selling(product('A')))
      .thenEvents([added('A', 1)]));

  test.each([
    { present: 0, more: MAX_QUANTITY + 1 },
    { present: 1, more: MAX_QUANTITY },
    { present: MAX_QUANTITY, more: 1 },
  ])('refuses $more more than $present', ({ present, more }) =>
    given(cartDecider, [created(), ...(present === 0 ? [] : [added('A', present)])])
      .when(add('A', more), selling(product('A')))
      .thenRejected({ code: 'LIMIT_EXCEEDED', limit: MAX_QUANTITY }),
  );

  test('refuses a line too many, but takes more of a line that is there', () => {
    const full = [created(), ...Array.from({ length: MAX_LINES }, (_, at) => added(`L${at}`, 1))];
    const context = selling(product('A'), product('L7'));
    given(cartDecider, full).when(add('A', 1), context).thenRejected({ code: 'LIMIT_EXCEEDED', limit: MAX_LINES });
    given(cartDecider, full)
      .when(add('L7', 1), context)
      .thenEvents([added('L7', 1)]);
    given(cartDecider, full.slice(0, -1))
      .when(add('A', 1), context)
      .thenEvents([added('A', 1)]);
  });

  test('has room again when a line is removed, or all are', () => {
    const full = [created(), ...Array.from({ length: MAX_LINES }, (_, at) => added(`L${at}`, 1))];
    const removed: CartEvent = { type: 'ItemRemovedFromCart', data: { sku: 'L7', quantity: 1 } };
    const cleared: CartEvent = { type: 'CartCleared', data: { lineCount: MAX_LINES } };
    given(cartDecider, [...full, removed])
      .when(add('A', 1), selling(product('A')))
      .thenEvents([added('A', 1)]);
    given(cartDecider, [...full, cleared])
      .when(add('A', 1), selling(product('A')))
      .thenEvents([added('A', 1)]);
  });

  test('refuses a product that does not exist', () =>
    given(cartDecider, [created()]).when(add('A', 1)).thenRejected({ code: 'NOT_FOUND', id: 'A' }));

  test('refuses a product that is not sold any more', () =>
    given(cartDecider, [created()])
      .when(add('A', 1), selling(product('A', { active: false })))
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'INACTIVE' }));

  test('refuses another currency', () =>
    given(cartDecider, [created()])
      .when(add('A', 1), selling(product('A', { currency: 'EUR' })))
      .thenRejected({ code: 'CURRENCY_MISMATCH', expected: 'GBP', actual: 'EUR' }));

  test('refuses more than is in stock, what is in the cart already included', () => {
    const context = selling(product('A', { available: 5 }));
    given(cartDecider, [created(), added('A', 3)])
      .when(add('A', 2), context)
      .thenEvents([added('A', 2)]);
    given(cartDecider, [created(), added('A', 3)])
      .when(add('A', 3), context)
      .thenRejected({ code: 'INSUFFICIENT_STOCK', sku: 'A', requested: 6, available: 5 });
  });
});

describe('Changing a quantity', () => {
  test('takes fewer of a product that is not sold any more, and refuses more', () => {
    const withdrawn = selling(product('A', { active: false }));
    given(cartDecider, [created(), added('A', 5)])
      .when(change('A', 6), withdrawn)
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'INACTIVE' });
    given(cartDecider, [created(), added('A', 5)])
      .when(change('A', 4), withdrawn)
      .thenEvents([{ type: 'ItemQuantityChanged', data: { sku: 'A', quantity: 4, previousQuantity: 5 } }]);
  });

  test('says what it was', () =>
    given(cartDecider, [created(), added('A', 2)])
      .when(change('A', 7), selling(product('A')))
      .thenEvents([{ type: 'ItemQuantityChanged', data: { sku: 'A', quantity: 7, previousQuantity: 2 } }]));

  test('to the same is no change', () =>
    given(cartDecider, [created(), added('A', 2)])
      .when(change('A', 2), selling(product('A')))
      .thenEvents([]));

  test('goes up to the limit and no further', () => {
    const quantity = MAX_QUANTITY;
    given(cartDecider, [created(), added('A', 2)])
      .when(change('A', quantity), selling(product('A')))
      .thenEvents([{ type: 'ItemQuantityChanged', data: { sku: 'A', quantity, previousQuantity: 2 } }]);
    given(cartDecider, [created(), added('A', 2)])
      .when(change('A', quantity + 1), selling(product('A')))
      .thenRejected({ code: 'LIMIT_EXCEEDED', limit: MAX_QUANTITY });
  });

  test('of a product that is not in the cart is refused', () =>
    given(cartDecider, [created()])
      .when(change('A', 2), selling(product('A')))
      .thenRejected({ code: 'NOT_FOUND', id: 'A' }));

  test('needs stock for more, but never for fewer', () => {
    const context = selling(product('A', { available: 1 }));
    given(cartDecider, [created(), added('A', 5)])
      .when(change('A', 6), context)
      .thenRejected({ code: 'INSUFFICIENT_STOCK', requested: 6, available: 1 });
    given(cartDecider, [created(), added('A', 5)])
      .when(change('A', 4), context)
      .thenEvents([{ type: 'ItemQuantityChanged', data: { sku: 'A', quantity: 4, previousQuantity: 5 } }]);
  });
});

describe('Taking things out', () => {
  test('says how many there were', () =>
    given(cartDecider, [created(), added('A', 2), added('A', 3)])
      .when(remove('A'))
      .thenEvents([{ type: 'ItemRemovedFromCart', data: { sku: 'A', quantity: 5 } }]));

  test('of what is not there is refused', () =>
    given(cartDecider, [created()]).when(remove('A')).thenRejected({ code: 'NOT_FOUND', id: 'A' }));

  test('clears every line at once', () =>
    given(cartDecider, [created(), added('A', 2), added('B', 3)])
      .when(clear)
      .thenEvents([{ type: 'CartCleared', data: { lineCount: 2 } }]));

  test('of an empty cart is no change', () => given(cartDecider, [created()]).when(clear).thenEvents([]));
});

describe('Whose cart it is', () => {
  const commands = [add('A', 1), change('A', 1), remove('A'), clear];
  const carlas = [created('carla'), added('A', 2)];
  const context = selling(product('A'));

  test.each(commands)('$type finds no cart that does not exist', (command) =>
    given(cartDecider, []).when(command, context).thenRejected({ code: 'NOT_FOUND', id: CART }),
  );

  describe.each(commands)('$type', (command) => {
    test.each([ANONYMOUS, GUEST, customer('bob'), { kind: 'GUEST', id: 'carla' } as const])(
      "finds no cart of a customer's, for $kind $id",
      (actor) =>
        given(cartDecider, carlas)
          .when(command, { ...context, actor })
          .thenRejected({ code: 'NOT_FOUND', id: CART }),
    );

    test.each([customer('carla'), STAFF])("works on a customer's cart for $kind", (actor) => {
      expect(isRejection(given(cartDecider, carlas).when(command, { ...context, actor }).decision)).toBe(false);
    });

    test.each([ANONYMOUS, GUEST, customer('bob'), STAFF])("works on a guest's cart for $kind", (actor) => {
      const guests = [created(null), added('A', 2)];
      expect(isRejection(given(cartDecider, guests).when(command, { ...context, actor }).decision)).toBe(false);
    });
  });

  test('is told the same to queries and subscriptions', () => {
    expect(mayUse(customer('carla'), 'carla')).toBe(true);
    expect(mayUse(STAFF, 'carla')).toBe(true);
    expect(mayUse({ kind: 'ADMIN', id: null }, 'carla')).toBe(true);
    expect(mayUse(customer('bob'), 'carla')).toBe(false);
    expect(mayUse(ANONYMOUS, 'carla')).toBe(false);
    expect(mayUse(ANONYMOUS, null)).toBe(true);
  });
});

describe('The input', () => {
  const addItem = cartCommands.find(({ name }) => name === 'AddItemToCart');
  const input = { cartId: CART, sku: 'A', quantity: 1 };

  test('is what the schema lets through', () => {
    expect(addItem?.input.safeParse(input).success).toBe(true);
  });

  test.each([
    { quantity: 0 },
    { quantity: -1 },
    { quantity: 1.5 },
    { quantity: Number.NaN },
    { quantity: 2 ** 31 },
    { sku: '' },
    { sku: 'x'.repeat(65) },
    { sku: 'a b' },
    { sku: 'a\u0000' },
    { sku: '\ud800' },
    { cartId: 'nope' },
    { cartId: '' },
  ])('is refused with %j', (wrong) => {
    expect(addItem?.input.safeParse({ ...input, ...wrong }).success).toBe(false);
  });
});

describe('The view of a cart', () => {
  const fold = (events: readonly CartEvent[]) =>
    recorded('cart', CART, events).reduce<CartRow | undefined>(cartProjection.evolveRow, undefined);

  test('begins empty', () => {
    expect(fold([created('carla')])).toMatchObject({
      id: CART,
      status: 'OPEN',
      currency: 'GBP',
      customerId: 'carla',
      lines: [],
      version: 1,
      position: 1,
    });
  });

  test('keeps the order in which lines were added, and the newest price of each', () => {
    const dearer: CartEvent = {
      type: 'ItemAddedToCart',
      data: { sku: 'A', name: 'New name', quantity: 1, unitPrice: price(300) },
    };
    expect(fold([created(), added('A', 2), added('B', 1), dearer])).toMatchObject({
      version: 4,
      lines: [
        { sku: 'A', name: 'New name', quantity: 3, unitPriceMinor: 300 },
        { sku: 'B', quantity: 1, unitPriceMinor: 250 },
      ],
    });
  });

  test('follows changes, removals and clearing', () => {
    const changed: CartEvent = { type: 'ItemQuantityChanged', data: { sku: 'A', quantity: 9, previousQuantity: 2 } };
    const removed: CartEvent = { type: 'ItemRemovedFromCart', data: { sku: 'B', quantity: 1 } };
    const events = [created(), added('A', 2), added('B', 1), changed, removed];
    expect(fold(events)?.lines).toEqual([{ sku: 'A', name: 'Product A', quantity: 9, unitPriceMinor: 250 }]);
    expect(fold([...events, { type: 'CartCleared', data: { lineCount: 1 } }])).toMatchObject({ version: 6, lines: [] });
  });

  test('passes over events of a cart whose beginning it has not seen', () => {
    expect(fold([added('A', 1)])).toBeUndefined();
  });

  test('knows when it was begun and last changed', () => {
    const row = fold([created(), added('A', 1)]);
    expect(row?.updatedAt.getTime()).toBeGreaterThan(row?.createdAt.getTime() ?? Number.NaN);
  });
});

describe("Cart's copy of the products", () => {
  const fold = (events: Parameters<typeof recorded>[2]) =>
    recorded('product', 'A', events).reduce<CartProductRow | undefined>(cartProductProjection.evolveRow, undefined);
  const offered = { type: 'ProductAdded', data: { sku: 'A', name: 'Lantern', description: null, price: price(339) } };

  test('follows what catalog publishes', () => {
    expect(fold([offered, { type: 'StockOpened', data: { sku: 'A', quantity: 5 } }])).toEqual({
      ...{ sku: 'A', name: 'Lantern', priceMinor: 339, currency: 'GBP', active: true, available: 5, position: 2 },
    });
    const repriced = { type: 'ProductPriceChanged', data: { sku: 'A', price: price(400), previousPrice: price(339) } };
    const stocked = { type: 'StockAdjusted', data: { sku: 'A', delta: 1, quantity: 6, available: 6, reason: 'count' } };
    const withdrawn = { type: 'ProductDeactivated', data: { sku: 'A' } };
    expect(fold([offered, repriced, stocked, withdrawn])).toMatchObject({
      ...{ priceMinor: 400, available: 6, active: false, position: 4 },
    });
  });

  test('is kept by sku', () => {
    expect(recorded('product', 'A', [offered]).map(cartProductProjection.keyOf)).toEqual(['A']);
  });
});

test('Folding what was decided gives the lines of an independent model, whatever is done to a cart', () => {
  const skus = ['A', 'B', 'C', 'D'];
  const sku = fc.constantFrom(...skus, 'unknown');
  const quantity = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 15_000 }));
  const command = fc.oneof(
    { weight: 5, arbitrary: fc.tuple(sku, quantity).map(([it, pieces]) => add(it, pieces)) },
    { weight: 3, arbitrary: fc.tuple(sku, quantity).map(([it, pieces]) => change(it, pieces)) },
    { weight: 2, arbitrary: sku.map(remove) },
    { weight: 1, arbitrary: fc.constant(clear) },
  );
  const { facts } = selling(...skus.map((it, at) => product(it, { available: 30 * 40 ** at, priceMinor: 100 + at })));

  fc.assert(
    fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
      const model = new Map<string, number>();
      const events: CartEvent[] = [created()];
      for (const each of commands) {
        const { decision } = given(cartDecider, events).when(each, { facts });
        if (!isRejection(decision)) events.push(...decision);
        expect(isRejection(decision)).toBe(!applied(model, each, facts));
      }
      const row = recorded('cart', CART, events).reduce<CartRow | undefined>(cartProjection.evolveRow, undefined);
      expect(row?.lines.map((line) => [line.sku, line.quantity])).toEqual([...model]);
      expect(row?.lines.map((line) => line.unitPriceMinor)).toEqual(
        [...model.keys()].map((it) => productIn(facts, it)?.priceMinor),
      );
      expect(row?.version).toBe(events.length);
    }),
  );
});

/** Does to a plain map what the rules say. @returns false, and nothing is done, where they forbid it */
function applied(model: Map<string, number>, { type, data }: ShoppersCommand, facts: CartFacts) {
  if (type === 'ClearCart') {
    model.clear();
    return true;
  }
  const present = model.get(data.sku);
  if (type === 'RemoveItemFromCart') return model.delete(data.sku);
  const stock = productIn(facts, data.sku)?.available;
  if (type === 'AddItemToCart') {
    const total = (present ?? 0) + data.quantity;
    if (stock === undefined || total > stock || total > 10_000) return false;
    model.set(data.sku, total);
    return true;
  }
  if (present === undefined || data.quantity > 10_000) return false;
  if (data.quantity > present && data.quantity > (stock ?? 0)) return false;
  model.set(data.sku, data.quantity);
  return true;
}
