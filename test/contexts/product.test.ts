import { describe, expect, test } from 'vitest';
import { addProduct, type ProductCommand } from '../../src/contexts/catalog/commands.ts';
import type { ProductEvent } from '../../src/contexts/catalog/events.ts';
import { productDecider } from '../../src/contexts/catalog/product-decider.ts';
import { type ProductRow, productProjection } from '../../src/contexts/catalog/projection.ts';
import type { AnyEvent } from '../../src/eventsourcing/commands/decider.ts';
import { given } from '../support/given.ts';
import { recorded } from '../support/recorded.ts';

const gbp = (amountMinor: number) => ({ amountMinor, currency: 'GBP' });
const added: ProductEvent = {
  type: 'ProductAdded',
  data: { sku: 'A', name: 'Lantern', description: null, price: gbp(339) },
};
const deactivated: ProductEvent = { type: 'ProductDeactivated', data: { sku: 'A' } };
const priced = (price: number, previous: number): ProductEvent => ({
  type: 'ProductPriceChanged',
  data: { sku: 'A', price: gbp(price), previousPrice: gbp(previous) },
});

const add = (changes: object = {}): ProductCommand => ({
  type: 'AddProduct',
  data: { sku: 'A', name: 'Lantern', price: gbp(339), stock: 10, ...changes },
});
const changePrice = (price: number, currency = 'GBP'): ProductCommand => ({
  type: 'ChangeProductPrice',
  data: { sku: 'A', price: { amountMinor: price, currency } },
});
const deactivate: ProductCommand = { type: 'DeactivateProduct', data: { sku: 'A' } };

describe('Adding a product', () => {
  test('tells what it is', () => given(productDecider, []).when(add()).thenEvents([added]));

  test('keeps its description, and no blanks around its name', () =>
    given(productDecider, [])
      .when(add({ name: '  Lantern ', description: 'Shines.' }))
      .thenEvents([
        { type: 'ProductAdded', data: { sku: 'A', name: 'Lantern', description: 'Shines.', price: gbp(339) } },
      ]));

  test('is refused where there is one, sold or not', () => {
    given(productDecider, [added]).when(add()).thenRejected({ code: 'ILLEGAL_STATE', state: 'ACTIVE' });
    given(productDecider, [added, deactivated]).when(add()).thenRejected({ code: 'ILLEGAL_STATE', state: 'INACTIVE' });
  });

  test('opens its stock with it', () => {
    const data = { sku: 'A', name: 'Lantern', price: gbp(339), stock: 10 };
    expect(addProduct.companions?.(data)).toEqual([{ type: 'OpenStock', data: { sku: 'A', quantity: 10 } }]);
  });
});

describe('Changing a price', () => {
  test('tells the price before, also of a product that is not sold any more', () => {
    given(productDecider, [added])
      .when(changePrice(400))
      .thenEvents([priced(400, 339)]);
    given(productDecider, [added, priced(400, 339)])
      .when(changePrice(500))
      .thenEvents([priced(500, 400)]);
    given(productDecider, [added, deactivated])
      .when(changePrice(400))
      .thenEvents([priced(400, 339)]);
  });

  test('to the same is no change', () => given(productDecider, [added]).when(changePrice(339)).thenEvents([]));

  test('to another currency is a change', () =>
    given(productDecider, [added])
      .when(changePrice(339, 'EUR'))
      .thenEvents([
        {
          type: 'ProductPriceChanged',
          data: { sku: 'A', price: { amountMinor: 339, currency: 'EUR' }, previousPrice: gbp(339) },
        },
      ]));

  test('of nothing is refused', () =>
    given(productDecider, []).when(changePrice(1)).thenRejected({ code: 'NOT_FOUND', id: 'A' }));
});

describe('Taking a product out of the shop', () => {
  test('is told', () => given(productDecider, [added]).when(deactivate).thenEvents([deactivated]));

  test('is refused the second time', () =>
    given(productDecider, [added, deactivated])
      .when(deactivate)
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'INACTIVE' }));

  test('of nothing is refused', () =>
    given(productDecider, []).when(deactivate).thenRejected({ code: 'NOT_FOUND', id: 'A' }));
});

describe('The input of a new product', () => {
  const input = { sku: 'A', name: 'Lantern', price: gbp(339), stock: 10 };

  test.each([
    {},
    { description: null },
    { price: gbp(0) },
    { price: gbp(1_000_000_000) },
    { stock: 0 },
    { name: 'ü'.repeat(200) },
  ])('is good with %j', (changes) => {
    expect(addProduct.input.safeParse({ ...input, ...changes }).success).toBe(true);
  });

  test.each([
    { name: '' },
    { name: '   ' },
    { name: 'x'.repeat(201) },
    { name: 'a\u0000b' },
    { name: 'a\ud800b' },
    { description: 'x'.repeat(5_001) },
    { description: '\u0000' },
    { sku: 'a/b' },
    { price: gbp(-1) },
    { price: gbp(1.5) },
    { price: gbp(1_000_000_001) },
    { price: { amountMinor: 1, currency: 'ZZZ' } },
    { price: { amountMinor: 1, currency: 'gbp' } },
    { stock: -1 },
    { stock: 2 ** 31 },
  ])('is refused with %j', (wrong) => {
    expect(addProduct.input.safeParse({ ...input, ...wrong }).success).toBe(false);
  });
});

describe('The view of a product', () => {
  const fold = (events: readonly AnyEvent[]) =>
    recorded('product', 'A', events).reduce<ProductRow | undefined>(productProjection.evolveRow, undefined);

  test('begins without stock', () => {
    expect(fold([added])).toEqual({
      sku: 'A',
      name: 'Lantern',
      sortName: 'lantern',
      searchText: 'a\nlantern\n',
      description: null,
      priceMinor: 339,
      currency: 'GBP',
      active: true,
      version: 1,
      available: 0,
      stockVersion: 0,
      position: 1,
      addedPosition: 1,
    });
  });

  test('follows its own stream and that of its stock, each with its version', () => {
    const [first, second, third, fourth] = recorded('product', 'A', [
      added,
      { type: 'StockOpened', data: { sku: 'A', quantity: 5 } },
      priced(400, 339),
      { type: 'StockAdjusted', data: { sku: 'A', delta: 2, quantity: 7, available: 7, reason: 'delivery' } },
    ]);
    const versions = [
      first,
      second && { ...second, version: 1 },
      third && { ...third, version: 2 },
      fourth && { ...fourth, version: 2 },
    ];
    const row = versions.reduce<ProductRow | undefined>(
      (current, event) => (event === undefined ? current : productProjection.evolveRow(current, event)),
      undefined,
    );
    expect(row).toMatchObject({
      priceMinor: 400,
      available: 7,
      version: 2,
      stockVersion: 2,
      position: 4,
      addedPosition: 1,
    });
  });

  test('shows that it is not sold any more', () => {
    expect(fold([added, deactivated])).toMatchObject({ active: false, version: 2 });
  });

  test('passes over the stock of a product that it has not seen', () => {
    expect(fold([{ type: 'StockOpened', data: { sku: 'A', quantity: 5 } }])).toBeUndefined();
  });
});
