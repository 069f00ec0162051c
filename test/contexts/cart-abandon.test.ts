import { describe, expect, test } from 'vitest';
import type { CartCommand } from '../../src/contexts/cart/commands.ts';
import { cartDecider } from '../../src/contexts/cart/decider.ts';
import type { CartEvent } from '../../src/contexts/cart/events.ts';
import { type CartRow, cartProjection } from '../../src/contexts/cart/projection.ts';
import {
  abandoned,
  add,
  added,
  CART,
  change,
  clear,
  create,
  created,
  handedOver,
  merge,
  merged,
  mergeRequested,
  moved,
  product,
  remove,
  reopened,
  selling,
} from '../support/carts.ts';
import { customer, given } from '../support/given.ts';
import { recorded } from '../support/recorded.ts';

const PROCESS = { kind: 'PROCESS', id: 'abandoned-carts' } as const;
const abandon: CartCommand = { type: 'AbandonCart', data: { cartId: CART } };

describe('Abandoning a cart', () => {
  test('says how much was left in it', () =>
    given(cartDecider, [created(), added('A', 2), added('B', 1)])
      .when(abandon, { actor: PROCESS })
      .thenEvents([abandoned(2)]));

  test("works on a customer's cart, and on an empty one", () =>
    given(cartDecider, [created('carla')])
      .when(abandon, { actor: PROCESS })
      .thenEvents([abandoned(0)]));

  test('is no change where it was done before', () =>
    given(cartDecider, [created(), abandoned(0)])
      .when(abandon, { actor: PROCESS })
      .thenEvents([]));

  test('is refused while lines move, and when they have moved', () => {
    const moving = [created(), added('A', 1), handedOver([moved('A', 1)])];
    given(cartDecider, moving).when(abandon).thenRejected({ code: 'ILLEGAL_STATE', state: 'MERGING' });
    given(cartDecider, [...moving, merged()])
      .when(abandon)
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'MERGED' });
  });

  test('finds no cart that does not exist', () =>
    given(cartDecider, []).when(abandon).thenRejected({ code: 'NOT_FOUND', id: CART }));
});

describe('Coming back to an abandoned cart', () => {
  const left = [created('carla'), added('A', 2), abandoned(1)];
  const context = { ...selling(product('A'), product('B', { currency: 'EUR' })), actor: customer('carla') };
  const cases: { command: CartCommand; event: CartEvent }[] = [
    { command: add('A', 3), event: added('A', 3) },
    {
      command: change('A', 7),
      event: { type: 'ItemQuantityChanged', data: { sku: 'A', quantity: 7, previousQuantity: 2 } },
    },
    { command: remove('A'), event: { type: 'ItemRemovedFromCart', data: { sku: 'A', quantity: 2 } } },
    { command: clear, event: { type: 'CartCleared', data: { lineCount: 1 } } },
    { command: merge, event: mergeRequested },
  ];

  test.each(cases)('with $command.type reopens it first', ({ command, event }) =>
    given(cartDecider, left)
      .when(command, context)
      .thenEvents([reopened(1), event]),
  );

  test.each(cases)('once: $command.type changes an open cart again', ({ command, event }) =>
    given(cartDecider, [...left, reopened(1)])
      .when(command, context)
      .thenEvents([event]),
  );

  test('does not reopen it with what is no change', () => {
    given(cartDecider, left).when(change('A', 2), context).thenEvents([]);
    given(cartDecider, [created('carla'), abandoned(0)])
      .when(clear, context)
      .thenEvents([]);
  });

  test('does not reopen it with what is refused', () => {
    given(cartDecider, left).when(add('B', 1), context).thenRejected({ code: 'CURRENCY_MISMATCH' });
    given(cartDecider, left).when(remove('B'), context).thenRejected({ code: 'NOT_FOUND', id: 'B' });
  });

  test('is for its owner: to others it is not there', () =>
    given(cartDecider, left)
      .when(add('A', 1), { ...context, actor: customer('bob') })
      .thenRejected({ code: 'NOT_FOUND', id: CART }));

  test('finds a cart that can be abandoned again', () =>
    given(cartDecider, [...left, reopened(1), added('A', 1)])
      .when(abandon, { actor: PROCESS })
      .thenEvents([abandoned(1)]));

  test('is not creating it once more', () =>
    given(cartDecider, left).when(create).thenRejected({ code: 'ILLEGAL_STATE', state: 'ABANDONED' }));
});

test('The view of a cart is abandoned and open in turn, and keeps its lines', () => {
  const fold = (events: readonly CartEvent[]) =>
    recorded('cart', CART, events).reduce<CartRow | undefined>(cartProjection.evolveRow, undefined);
  const left = [created(), added('A', 2), abandoned(1)];
  expect(fold(left)).toMatchObject({ status: 'ABANDONED', version: 3, lines: [{ sku: 'A', quantity: 2 }] });
  expect(fold([...left, reopened(1), added('A', 1)])).toMatchObject({
    ...{ status: 'OPEN', version: 5, lines: [{ sku: 'A', quantity: 3 }] },
  });
});
