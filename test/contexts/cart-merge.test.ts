import { describe, expect, test } from 'vitest';
import { type CartCommand, mergeCarts } from '../../src/contexts/cart/commands.ts';
import { cartDecider } from '../../src/contexts/cart/decider.ts';
import type { CartEvent } from '../../src/contexts/cart/events.ts';
import { MAX_LINES, MAX_QUANTITY } from '../../src/contexts/cart/policy.ts';
import { type CartRow, cartProjection } from '../../src/contexts/cart/projection.ts';
import type { MovedLine } from '../../src/contexts/values.ts';
import type { Actor } from '../../src/eventsourcing/actor.ts';
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
  MERGE,
  merge,
  merged,
  mergeRequested,
  moved,
  OTHER_CART,
  OTHER_MERGE,
  price,
  product,
  remove,
  reopened,
  selling,
  takenBack,
  takenIn,
} from '../support/carts.ts';
import { ANONYMOUS, customer, GUEST, given, STAFF } from '../support/given.ts';
import { recorded } from '../support/recorded.ts';

const CARLA = customer('carla');
/** Who sends all commands of a merge but the first. */
const context = { actor: { kind: 'PROCESS', id: 'merging-carts' } } as const;

const handOver = (requestedBy: Actor = CARLA, mergeId = MERGE): CartCommand => ({
  type: 'HandOverCartLines',
  data: { cartId: CART, intoCartId: OTHER_CART, mergeId, requestedBy },
});
const takeIn = (
  lines: MovedLine[],
  changes: { currency?: string; requestedBy?: Actor; mergeId?: string } = {},
): CartCommand => ({
  type: 'TakeInCartLines',
  data: {
    cartId: CART,
    fromCartId: OTHER_CART,
    mergeId: MERGE,
    currency: 'GBP',
    lines,
    requestedBy: CARLA,
    ...changes,
  },
});
const complete = (mergeId = MERGE): CartCommand => ({ type: 'CompleteCartMerge', data: { cartId: CART, mergeId } });
const takeBack = (mergeId = MERGE): CartCommand => ({ type: 'TakeBackCartLines', data: { cartId: CART, mergeId } });

const filled = [created(), added('A', 2), added('B', 3)];
const lines = [moved('A', 2), moved('B', 3)];
const moving = [...filled, handedOver(lines)];
const gone = [...moving, merged()];
const back = [...moving, takenBack()];

describe('Asking for a merge', () => {
  test('moves nothing yet', () => given(cartDecider, filled).when(merge).thenEvents([mergeRequested]));

  test('is for those whom the cart is for', () => {
    const carlas = [created('carla')];
    given(cartDecider, carlas).when(merge, { actor: CARLA }).thenEvents([mergeRequested]);
    given(cartDecider, carlas).when(merge, { actor: STAFF }).thenEvents([mergeRequested]);
    for (const actor of [ANONYMOUS, GUEST, customer('bob')]) {
      given(cartDecider, carlas).when(merge, { actor }).thenRejected({ code: 'NOT_FOUND', id: CART });
    }
  });

  test('finds no cart that does not exist', () =>
    given(cartDecider, []).when(merge).thenRejected({ code: 'NOT_FOUND', id: CART }));

  test('is refused by a cart whose own lines move, or have moved', () => {
    given(cartDecider, moving).when(merge).thenRejected({ code: 'ILLEGAL_STATE', state: 'MERGING' });
    given(cartDecider, gone).when(merge).thenRejected({ code: 'ILLEGAL_STATE', state: 'MERGED' });
  });

  test('needs two carts', () => {
    const problems = (cartId: string, fromCartId: string) =>
      mergeCarts.input.safeParse({ cartId, fromCartId }).error?.issues.map(({ path, message }) => [...path, message]);
    expect(problems(CART, OTHER_CART)).toBeUndefined();
    expect(problems(CART, CART)).toEqual([['fromCartId', 'must be another cart']]);
    const noId = 'must be the id that createCart answered with';
    expect(problems('', '')).toEqual([
      ['cartId', noId],
      ['fromCartId', noId],
    ]);
  });
});

describe('Handing lines over', () => {
  test('tells of each line what it is and what it costs', () =>
    given(cartDecider, filled)
      .when(handOver(), context)
      .thenEvents([handedOver(lines)]));

  test('of a line that was changed tells what it is now', () => {
    const dearer: CartEvent = {
      type: 'ItemAddedToCart',
      data: { sku: 'A', name: 'New name', quantity: 1, unitPrice: price(300) },
    };
    const changed: CartEvent = { type: 'ItemQuantityChanged', data: { sku: 'B', quantity: 9, previousQuantity: 3 } };
    given(cartDecider, [...filled, dearer, changed])
      .when(handOver(), context)
      .thenEvents([handedOver([{ ...moved('A', 3, 300), name: 'New name' }, moved('B', 9)])]);
  });

  test('of an empty cart, and of an abandoned one, is the same', () => {
    given(cartDecider, [created()])
      .when(handOver(), context)
      .thenEvents([handedOver([])]);
    given(cartDecider, [...filled, abandoned(2)])
      .when(handOver(), context)
      .thenEvents([handedOver(lines)]);
  });

  test('is done for those who may use the cart', () => {
    const carlas = [created('carla')];
    given(cartDecider, carlas)
      .when(handOver(CARLA), context)
      .thenEvents([handedOver([])]);
    given(cartDecider, carlas)
      .when(handOver(STAFF), context)
      .thenEvents([handedOver([])]);
    for (const other of [ANONYMOUS, GUEST, customer('bob')]) {
      given(cartDecider, carlas).when(handOver(other), context).thenRejected({ code: 'NOT_FOUND', id: CART });
      given(cartDecider, [created(null)])
        .when(handOver(other), context)
        .thenEvents([handedOver([])]);
    }
  });

  test('finds no cart that does not exist', () =>
    given(cartDecider, []).when(handOver(), context).thenRejected({ code: 'NOT_FOUND', id: CART }));

  test('is no change the second time', () => {
    given(cartDecider, moving).when(handOver(), context).thenEvents([]);
    given(cartDecider, gone).when(handOver(), context).thenEvents([]);
  });

  test('is refused in another merge meanwhile, and afterwards', () => {
    const other = handOver(CARLA, OTHER_MERGE);
    given(cartDecider, moving).when(other, context).thenRejected({ code: 'ILLEGAL_STATE', state: 'MERGING' });
    given(cartDecider, gone).when(other, context).thenRejected({ code: 'ILLEGAL_STATE', state: 'MERGED' });
  });

  test('is refused in a merge that was taken back, and done in a new one', () => {
    given(cartDecider, back).when(handOver(), context).thenRejected({ code: 'ILLEGAL_STATE', state: 'OPEN' });
    given(cartDecider, back)
      .when(handOver(CARLA, OTHER_MERGE), context)
      .thenEvents([handedOver(lines, OTHER_MERGE)]);
  });
});

describe('A cart whose lines are moving', () => {
  const commands = [add('A', 1), change('A', 1), change('A', 2), remove('A'), clear, merge];

  test.each(commands)('takes no $type', (command) => {
    const shopping = selling(product('A'));
    given(cartDecider, moving).when(command, shopping).thenRejected({ code: 'ILLEGAL_STATE', state: 'MERGING' });
    given(cartDecider, gone).when(command, shopping).thenRejected({ code: 'ILLEGAL_STATE', state: 'MERGED' });
  });

  test('takes in nothing itself', () => {
    given(cartDecider, moving)
      .when(takeIn(lines, { mergeId: OTHER_MERGE }), context)
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'MERGING' });
    given(cartDecider, gone)
      .when(takeIn(lines, { mergeId: OTHER_MERGE }), context)
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'MERGED' });
  });

  test('cannot be created once more', () =>
    given(cartDecider, moving).when(create).thenRejected({ code: 'ILLEGAL_STATE', state: 'MERGING' }));

  test('can be changed again when they were taken back', () =>
    given(cartDecider, back)
      .when(add('A', 1), selling(product('A')))
      .thenEvents([added('A', 1)]));
});

describe('Taking lines in', () => {
  test('adds what is new', () =>
    given(cartDecider, [created()])
      .when(takeIn(lines), context)
      .thenEvents([takenIn(lines)]));

  test('adds up what is there, at the name and price that it has there', () =>
    given(cartDecider, filled)
      .when(takeIn([{ ...moved('A', 5, 999), name: 'Elsewhere' }, moved('C', 1, 100)]), context)
      .thenEvents([takenIn([moved('A', 5), moved('C', 1, 100)])]));

  test('can be handed over again with all that was taken in', () =>
    given(cartDecider, [...filled, takenIn([moved('A', 5), moved('C', 1, 100)])])
      .when(handOver(CARLA, OTHER_MERGE), context)
      .thenEvents([handedOver([moved('A', 7), moved('B', 3), moved('C', 1, 100)], OTHER_MERGE)]));

  test('of none is an event all the same, whatever the currency', () =>
    given(cartDecider, filled)
      .when(takeIn([], { currency: 'EUR' }), context)
      .thenEvents([takenIn([])]));

  test('reopens an abandoned cart', () =>
    given(cartDecider, [...filled, abandoned(2)])
      .when(takeIn([moved('C', 1)]), context)
      .thenEvents([reopened(2), takenIn([moved('C', 1)])]));

  test('asks for no stock, and sells what is not sold any more: the pieces only move', () =>
    given(cartDecider, filled)
      .when(takeIn([moved('A', 9000)]), { ...context, ...selling(product('A', { available: 0, active: false })) })
      .thenEvents([takenIn([moved('A', 9000)])]));

  test('is no change the second time, not even when these lines have moved on', () => {
    given(cartDecider, [...filled, takenIn(lines)])
      .when(takeIn(lines), context)
      .thenEvents([]);
    const movedOn = [...filled, takenIn(lines), handedOver([], OTHER_MERGE)];
    given(cartDecider, movedOn).when(takeIn(lines), context).thenEvents([]);
    given(cartDecider, [...movedOn, merged(OTHER_MERGE)])
      .when(takeIn(lines), context)
      .thenEvents([]);
  });

  test('works once for each merge', () =>
    given(cartDecider, [...filled, takenIn(lines)])
      .when(takeIn(lines, { mergeId: OTHER_MERGE }), context)
      .thenEvents([takenIn(lines, OTHER_MERGE)]));

  test('refuses another currency', () => {
    given(cartDecider, [created()])
      .when(takeIn(lines, { currency: 'EUR' }), context)
      .thenRejected({ code: 'CURRENCY_MISMATCH', expected: 'GBP', actual: 'EUR' });
  });

  test('goes up to the most pieces of a product and no further', () => {
    given(cartDecider, filled)
      .when(takeIn([moved('A', MAX_QUANTITY - 2)]), context)
      .thenEvents([takenIn([moved('A', MAX_QUANTITY - 2)])]);
    given(cartDecider, filled)
      .when(takeIn([moved('C', 1), moved('A', MAX_QUANTITY - 1)]), context)
      .thenRejected({ code: 'LIMIT_EXCEEDED', limit: MAX_QUANTITY });
  });

  test('goes up to the most lines and no further; lines of both count once', () => {
    const many = (count: number) => Array.from({ length: count }, (_, at) => moved(`L${at}`, 1));
    const present = [...filled, takenIn([moved('L0', 1)], OTHER_MERGE)];
    given(cartDecider, present)
      .when(takeIn(many(MAX_LINES - 2)), context)
      .thenEvents([takenIn(many(MAX_LINES - 2))]);
    given(cartDecider, present)
      .when(takeIn(many(MAX_LINES - 1)), context)
      .thenRejected({ code: 'LIMIT_EXCEEDED', limit: MAX_LINES });
  });

  test('does not reopen an abandoned cart with what it refuses', () =>
    given(cartDecider, [...filled, abandoned(2)])
      .when(takeIn(lines, { currency: 'EUR' }), context)
      .thenRejected({ code: 'CURRENCY_MISMATCH' }));

  test('is done for those who may use the cart', () => {
    given(cartDecider, [created('carla')])
      .when(takeIn(lines), context)
      .thenEvents([takenIn(lines)]);
    given(cartDecider, [created('carla')])
      .when(takeIn(lines, { requestedBy: customer('bob') }), context)
      .thenRejected({ code: 'NOT_FOUND', id: CART });
    given(cartDecider, []).when(takeIn(lines), context).thenRejected({ code: 'NOT_FOUND', id: CART });
  });

  test('leaves room only for what still fits', () => {
    given(cartDecider, [created(), takenIn([moved('A', MAX_QUANTITY - 1)])])
      .when(add('A', 2), selling(product('A')))
      .thenRejected({ code: 'LIMIT_EXCEEDED', limit: MAX_QUANTITY });
  });
});

describe('Completing a merge', () => {
  test('ends the cart', () => given(cartDecider, moving).when(complete(), context).thenEvents([merged()]));
  test('is no change the second time', () => given(cartDecider, gone).when(complete(), context).thenEvents([]));

  test.each([
    { state: 'OPEN', events: filled, mergeId: MERGE },
    { state: 'OPEN', events: back, mergeId: MERGE },
    { state: 'ABANDONED', events: [...filled, abandoned(2)], mergeId: MERGE },
    { state: 'MERGING', events: moving, mergeId: OTHER_MERGE },
    { state: 'MERGED', events: gone, mergeId: OTHER_MERGE },
  ])('is refused where this merge moves nothing: $state', ({ state, events, mergeId }) =>
    given(cartDecider, events).when(complete(mergeId), context).thenRejected({ code: 'ILLEGAL_STATE', state }),
  );

  test('finds no cart that does not exist', () =>
    given(cartDecider, []).when(complete(), context).thenRejected({ code: 'NOT_FOUND', id: CART }));
});

describe('Taking lines back', () => {
  test('opens the cart, also one that was abandoned before', () => {
    given(cartDecider, moving).when(takeBack(), context).thenEvents([takenBack()]);
    const left = [...filled, abandoned(2), handedOver(lines)];
    given(cartDecider, left).when(takeBack(), context).thenEvents([takenBack()]);
    given(cartDecider, [...left, takenBack()])
      .when(clear)
      .thenEvents([{ type: 'CartCleared', data: { lineCount: 2 } }]);
  });

  test('is no change the second time, whatever came after', () => {
    given(cartDecider, back).when(takeBack(), context).thenEvents([]);
    const later = [...back, handedOver(lines, OTHER_MERGE)];
    given(cartDecider, later).when(takeBack(), context).thenEvents([]);
    given(cartDecider, [...later, merged(OTHER_MERGE)])
      .when(takeBack(), context)
      .thenEvents([]);
  });

  test.each([
    { state: 'OPEN', events: filled, mergeId: MERGE },
    { state: 'MERGING', events: moving, mergeId: OTHER_MERGE },
    { state: 'MERGED', events: gone, mergeId: MERGE },
  ])('is refused where this merge holds nothing: $state', ({ state, events, mergeId }) =>
    given(cartDecider, events).when(takeBack(mergeId), context).thenRejected({ code: 'ILLEGAL_STATE', state }),
  );

  test('finds no cart that does not exist', () =>
    given(cartDecider, []).when(takeBack(), context).thenRejected({ code: 'NOT_FOUND', id: CART }));
});

describe('The view of a cart', () => {
  const fold = (events: readonly CartEvent[]) =>
    recorded('cart', CART, events).reduce<CartRow | undefined>(cartProjection.evolveRow, undefined);
  const quantities = (row: CartRow | undefined) => row?.lines.map(({ sku, quantity }) => [sku, quantity]);
  const bothLines = [
    ['A', 2],
    ['B', 3],
  ];

  test('shows its lines as long as they are on their way, and none when they have moved', () => {
    expect(fold(moving)).toMatchObject({ status: 'MERGING', mergedInto: null, version: 4 });
    expect(quantities(fold(moving))).toEqual(bothLines);
    expect(fold(gone)).toMatchObject({ status: 'MERGED', mergedInto: OTHER_CART, lines: [], version: 5 });
  });

  test('is as it was when they were taken back', () => {
    expect(fold(back)).toMatchObject({ status: 'OPEN', mergedInto: null });
    expect(quantities(fold(back))).toEqual(bothLines);
  });

  test('adds what was taken in', () => {
    const row = fold([...filled, mergeRequested, takenIn([moved('A', 5), moved('C', 1, 100)])]);
    expect(row).toMatchObject({ status: 'OPEN', version: 5, mergedInto: null });
    expect(row?.lines).toEqual([
      { sku: 'A', name: 'Product A', quantity: 7, unitPriceMinor: 250 },
      { sku: 'B', name: 'Product B', quantity: 3, unitPriceMinor: 250 },
      { sku: 'C', name: 'Product C', quantity: 1, unitPriceMinor: 100 },
    ]);
  });

  test('is of a new version of the table, so that the rows of before are folded anew', () => {
    expect(cartProjection.version).toBe(3);
    expect(fold([created()])).toMatchObject({ mergedInto: null, orderId: null, coupon: null });
  });
});
