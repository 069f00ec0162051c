import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { CartCommand } from '../../src/contexts/cart/commands.ts';
import type { Actor } from '../../src/eventsourcing/actor.ts';
import { isRejection } from '../../src/eventsourcing/commands/decider.ts';
import type { RecordedEvent } from '../../src/eventsourcing/log/event.ts';
import { abandonedCarts } from '../../src/processes/abandoned-carts.ts';
import { mergingCarts } from '../../src/processes/merging-carts.ts';
import { CartWorld } from '../support/cart-world.ts';
import { ADDRESS, add, change, product, remove, selling } from '../support/carts.ts';
import { customer, GUEST, STAFF } from '../support/given.ts';

const HOUR = 3_600_000;
const id = (digit: number) => `${digit}1111111-1111-4111-8111-111111111111`;
/** A guest's three, a customer's two, and one in another currency. The last id is of none. */
const OWNERS: Actor[] = [GUEST, GUEST, GUEST, customer('carla'), customer('carla'), GUEST];
const CARTS = OWNERS.map((_, at) => id(at + 1));
const SKUS = ['A', 'B', 'C'];
const { facts } = selling(...SKUS.map((sku, at) => product(sku, { priceMinor: 100 + at })));

type Step = (world: CartWorld, pieces: Map<string, number>) => void;

/** What a shopper does; pieces that come and go are counted apart from any cart. */
function shop(command: CartCommand, actor: Actor): Step {
  return (world, pieces) => {
    const before = new Map(world.carts.get(command.data.cartId)?.row?.lines.map((it) => [it.sku, it.quantity]));
    const events = world.run(command, actor);
    if (isRejection(events)) return;
    for (const [sku, quantity] of events.flatMap((event) => [...differenceOf(event, before)])) {
      pieces.set(sku, (pieces.get(sku) ?? 0) + quantity);
    }
  };
}

/** What an event brings into the shop's carts, or takes out. */
function differenceOf({ type, data }: RecordedEvent, before: ReadonlyMap<string, number>): Map<string, number> {
  const { sku, quantity, previousQuantity } = data as { sku: string; quantity: number; previousQuantity: number };
  if (type === 'ItemAddedToCart') return new Map([[sku, quantity]]);
  if (type === 'ItemQuantityChanged') return new Map([[sku, quantity - previousQuantity]]);
  if (type === 'ItemRemovedFromCart') return new Map([[sku, -quantity]]);
  if (type === 'CartCleared') return new Map([...before].map(([each, present]) => [each, -present]));
  return new Map();
}

const cart = fc.constantFrom(...CARTS);
const sku = fc.constantFrom(...SKUS);
const actor = fc.constantFrom(GUEST, customer('carla'), customer('bob'), STAFF);
// Now and then so many that two carts do not fit into one.
const quantity = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 9 }) },
  fc.integer({ min: 4000, max: 9999 }),
);
const shopping = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(sku, quantity, cart).map((it) => add(...it)) },
  fc.tuple(sku, quantity, cart).map((it) => change(...it)),
  fc.tuple(sku, cart).map((it) => remove(...it)),
  cart.map((cartId): CartCommand => ({ type: 'ClearCart', data: { cartId } })),
);
const merging = fc
  .tuple(cart, fc.constantFrom(...CARTS, id(9)))
  .filter(([cartId, fromCartId]) => cartId !== fromCartId)
  .map(([cartId, fromCartId]): CartCommand => ({ type: 'MergeCarts', data: { cartId, fromCartId } }));

const checkingOut = fc
  .tuple(cart, fc.constantFrom('carla', 'guest'), fc.uuid())
  .map(([cartId, customerId, orderId]): CartCommand => {
    const person = { customerId, email: 'carla@example.org', shippingAddress: ADDRESS };
    return { type: 'CheckOutCart', data: { cartId, orderId, ...person } };
  });

/** What the process of an order says to its cart, if there is one. */
function answer(cartId: string, isDone: boolean): Step {
  return (world) => {
    const orderId = world.carts.get(cartId)?.row?.orderId ?? null;
    if (orderId === null) return;
    const command: CartCommand = isDone
      ? { type: 'CompleteCartCheckOut', data: { cartId, orderId } }
      : { type: 'CancelCartCheckOut', data: { cartId, orderId, reason: 'INSUFFICIENT_STOCK' } };
    world.run(command, { kind: 'PROCESS', id: 'checkout' });
  };
}

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 1, arbitrary: fc.tuple(checkingOut, actor).map((it) => shop(...it)) },
  { weight: 1, arbitrary: fc.tuple(cart, fc.boolean()).map((it) => answer(...it)) },
  { weight: 5, arbitrary: fc.tuple(shopping, actor).map((it) => shop(...it)) },
  { weight: 3, arbitrary: fc.tuple(merging, actor).map((it) => shop(...it)) },
  {
    weight: 12,
    arbitrary: fc.tuple(fc.nat(99), fc.boolean()).map(
      ([at, twice]): Step =>
        (world) =>
          world.work(at, twice),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.nat(99), fc.constantFrom('DROPPED', 'TIMED_OUT', 'CANCELLED')).map(
      ([at, status]): Step =>
        (world) =>
          world.refuse(at, status),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.integer({ min: 1, max: 2 * HOUR }).map(
      (ms): Step =>
        (world) =>
          world.pass(ms),
    ),
  },
);

function begin(): CartWorld {
  const world = new CartWorld([abandonedCarts({ afterMs: HOUR }), mergingCarts], facts);
  for (const [at, owner] of OWNERS.entries()) {
    const currency = at === 5 ? 'EUR' : 'GBP';
    world.run({ type: 'CreateCart', data: { cartId: id(at + 1), currency } }, owner);
  }
  return world;
}

/** The lines that there are: those of a cart on their way are there until the other cart has taken them in. */
function piecesIn({ carts }: CartWorld): Map<string, number> {
  const all = [...carts.values()];
  const taken = new Set(
    all.flatMap(({ log }) => log.flatMap((it) => (it.type === 'CartLinesTakenIn' ? [mergeOf(it)] : []))),
  );
  const pieces = new Map<string, number>();
  for (const { row, log } of all) {
    const held = row?.status === 'MERGING' ? log.findLast(({ type }) => type === 'CartLinesHandedOver') : undefined;
    if (held !== undefined && taken.has(mergeOf(held))) continue;
    for (const { sku: each, quantity: present } of row?.lines ?? [])
      pieces.set(each, (pieces.get(each) ?? 0) + present);
  }
  return pieces;
}

function mergeOf({ data }: RecordedEvent): string {
  return (data as { mergeId: string }).mergeId;
}

const present = (pieces: ReadonlyMap<string, number>) =>
  Object.fromEntries([...pieces].filter(([, count]) => count !== 0).sort());

/** Each merge has one outcome, and lines moved if it was a success, and did not if it was none. */
function checkOutcomes({ carts, outcomes }: CartWorld): void {
  const events = [...carts.values()].flatMap(({ log }) => log);
  const requested = events
    .filter(({ type }) => type === 'CartMergeRequested')
    .map(({ commandId }) => String(commandId));
  const merges = (eventType: string) => new Set(events.filter(({ type }) => type === eventType).map(mergeOf));
  const succeeded = requested.filter((mergeId) => outcomes.get(mergeId)?.[0] === 'SUCCEEDED');
  expect([...outcomes.keys()].sort()).toEqual([...requested].sort());
  expect([...outcomes.values()].filter(({ length }) => length !== 1)).toEqual([]);
  expect([...merges('CartLinesTakenIn')].sort()).toEqual([...succeeded].sort());
  expect([...merges('CartMerged')].sort()).toEqual([...succeeded].sort());
}

/** How long each cart that was abandoned had been left alone. */
function idleTimes({ carts }: CartWorld): number[] {
  return [...carts.values()].flatMap(({ log }) =>
    log.flatMap(({ type, recordedAt }, at) =>
      type === 'CartAbandoned' ? [recordedAt.getTime() - (log[at - 1]?.recordedAt.getTime() ?? 0)] : [],
    ),
  );
}

/** How it ends with a cart to which nobody comes any more. */
const ENDS: unknown[] = ['ABANDONED', 'MERGED', 'CHECKED_OUT'];

const seen = new Set<string>();

test('Whatever happens in between, each piece is in one cart, each merge ends, and only carts left alone are abandoned', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150, size: 'max' }), (steps) => {
      const world = begin();
      const pieces = new Map<string, number>();
      for (const each of steps) {
        each(world, pieces);
        expect(present(piecesIn(world))).toEqual(present(pieces));
      }
      for (const cartId of CARTS) answer(cartId, false)(world, pieces);
      world.settle();
      expect(present(piecesIn(world))).toEqual(present(pieces));
      checkOutcomes(world);
      // Nobody comes any more: so in the end every cart was found.
      const ends = [...world.carts].filter(([cartId]) => CARTS.includes(cartId)).map(([, { row }]) => row?.status);
      expect(ends.filter((status) => !ENDS.includes(status))).toEqual([]);
      expect(idleTimes(world).filter((ms) => ms < HOUR)).toEqual([]);
      for (const { log } of world.carts.values()) for (const { type } of log) seen.add(type);
      for (const { events } of world.instances.values()) for (const { type } of events) seen.add(type);
      for (const [outcome] of world.outcomes.values()) if (typeof outcome === 'object') seen.add(outcome.code);
    }),
    { numRuns: 500 },
  );
  // Otherwise it was not shown for them.
  expect([...seen]).toEqual(
    expect.arrayContaining([
      ...['CartMerged', 'CartLinesTakenBack', 'CartReopened', 'CartAbandoned'],
      ...['CartCheckOutStarted', 'CartCheckedOut', 'CartCheckOutCancelled'],
      ...['CartMergeCompleted', 'CartMergeFailed', 'CartMergeUndone', 'MergeStepFailed', 'MergeStepRetried'],
      ...['CartWatchProlonged', 'CartWatchEnded'],
      ...['LIMIT_EXCEEDED', 'CURRENCY_MISMATCH', 'NOT_FOUND', 'ILLEGAL_STATE'],
    ]),
  );
});
