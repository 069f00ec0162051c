import type { PointInTime } from '../../eventsourcing/history/time-travel.ts';
import { streamIdOf } from '../../eventsourcing/log/stream-id.ts';
import type { RequestContext } from '../../graphql/context.ts';
import { AFTER, MIN_POSITION } from '../../graphql/descriptions.ts';
import { decodeIdOf, decodeIdOfAnyTime, encodeGlobalId, idAsOf, splitId } from '../../graphql/global-id.ts';
import { waitFor, watch } from '../../graphql/live-field.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';
import { AS_OF, pointOf, type RowOfAnyTime, readAgain, readAsOf } from '../../graphql/time-travel.ts';
import type { SharedTypes } from '../shared-types.ts';
import { addCouponSchema } from './coupon-schema.ts';
import { addCartMutations } from './mutations.ts';
import { mayUse } from './policy.ts';
import {
  type CartLineRow,
  type CartRow,
  cartDiscounts,
  cartProjection,
  subtotalOf,
  totalOf,
  totalOfLine,
} from './projection.ts';
import { cartRecords } from './records.ts';

type AnyCart = RowOfAnyTime<CartRow>;

interface CartLine extends CartLineRow {
  readonly cart: AnyCart;
}

const STATUS_MEANINGS: Record<CartRow['status'], string> = {
  OPEN: 'It can be changed.',
  CHECKING_OUT: 'It is becoming an order.',
  CHECKED_OUT: 'It became an order.',
  ABANDONED: 'Nobody changed it for a long time.',
  MERGING: 'Its lines are moving into another cart.',
  MERGED: 'Its lines moved into another cart.',
};

export function declareCartSchema(kit: SchemaKit, shared: SharedTypes): void {
  const { builder } = kit;
  shared.provideRecords(cartRecords);
  const { money } = shared;
  const cart = builder.objectRef<AnyCart>('Cart');
  const status = builder.enumType('CartStatus', {
    description: 'How far a cart has come.',
    values: Object.fromEntries(
      Object.entries(STATUS_MEANINGS).map(([name, description]) => [name, { description }]),
    ) as Record<CartRow['status'], { description: string }>,
  });

  const line = builder.objectRef<CartLine>('CartLine').implement({
    description: 'The pieces of one product in a cart.',
    audience: 'owner',
    fields: (t) => ({
      id: t.id({
        description: 'Its id, unique among all types.',
        resolve: (it) => encodeGlobalId('CartLine', idAsOf(`${it.cart.id}:${it.sku}`, it.cart.asOf)),
      }),
      sku: t.string({ description: 'The product.', resolve: (it) => it.sku }),
      name: t.string({ description: 'What the product was called when it was added.', resolve: (it) => it.name }),
      quantity: t.int({ description: 'How many pieces.', resolve: (it) => it.quantity }),
      unitPrice: t.field({
        type: money,
        description: 'What one piece cost when it was last added.',
        resolve: (it) => ({ amountMinor: it.unitPriceMinor, currency: it.cart.currency }),
      }),
      lineTotal: t.field({
        type: money,
        description: 'Quantity times unit price.',
        resolve: (it) => ({ amountMinor: totalOfLine(it), currency: it.cart.currency }),
      }),
      product: t.field({
        type: shared.linkTo('Product').ref,
        nullable: true,
        description: 'The product as it is now.',
        resolve: (it, _args, context) => shared.linkTo('Product').load(it.sku, context),
      }),
    }),
  });

  builder.node(cart, {
    description: 'A cart, as it stands; or as it was, with an id of its own for each point.',
    audience: 'owner',
    id: { resolve: ({ id, asOf }) => idAsOf(id, asOf) },
    isTypeOf: (value) => typeof value === 'object' && value !== null && 'mergedInto' in value,
    loadMany: (ids: string[], context) => Promise.all(ids.map(async (id) => (await readCart(id, context)) ?? null)),
    fields: (t) => ({
      version: t.int({
        description: 'How many events it has: expectedVersion of its commands.',
        resolve: (it) => it.version,
      }),
      position: t.field({
        type: 'Position',
        description: 'Of the newest event that this view holds.',
        resolve: (it, _args, { engine }) => engine.positions.encode(it.position),
      }),
      status: t.field({ type: status, description: 'How far it has come.', resolve: (it) => it.status }),
      currency: t.field({ type: 'Currency', description: 'Of all its prices.', resolve: (it) => it.currency }),
      lines: t.field({
        type: [line],
        description: 'What is in it, in the order in which it was added.',
        resolve: (it) => it.lines.map((each) => ({ ...each, cart: it })),
      }),
      itemCount: t.int({
        description: 'How many pieces are in it.',
        resolve: (it) => it.lines.reduce((sum, { quantity }) => sum + quantity, 0),
      }),
      subtotal: t.field({ type: money, description: 'The sum of its lines.', resolve: (it) => subtotalOf(it) }),
      discounts: t.field({
        type: [shared.discount],
        description: 'What is taken off.',
        resolve: (it) => cartDiscounts(it),
      }),
      total: t.field({
        type: money,
        description: 'The subtotal without what is taken off.',
        resolve: (it) => totalOf(it),
      }),
      mergedInto: t.field({
        type: cart,
        nullable: true,
        description: 'The cart that its lines moved into, if that is for you; as of the same point.',
        resolve: ({ mergedInto, asOf }, _args, context) =>
          mergedInto === null ? null : linkedCart(mergedInto, asOf, context),
      }),
      createdAt: t.field({ type: 'DateTime', description: 'When it was begun.', resolve: (it) => it.createdAt }),
      updatedAt: t.field({ type: 'DateTime', description: 'When it was last changed.', resolve: (it) => it.updatedAt }),
    }),
  });

  builder.queryField('cart', (t) =>
    t.field({
      type: cart,
      nullable: true,
      audience: 'owner',
      description: 'A cart by its id; null if it is not there, or not for you.',
      args: {
        id: t.arg.id({ required: true, description: 'The id of a cart.' }),
        minPosition: t.arg({ type: 'Position', description: MIN_POSITION }),
      },
      resolve: async (_root, { id, minPosition }, context) => {
        const cartId = decodeIdOf('Cart', id);
        await waitFor(cartProjection, cartId, minPosition, context);
        return readCart(cartId, context);
      },
    }),
  );

  builder.queryField('cartAsOf', (t) =>
    t.field({
      type: cart,
      nullable: true,
      audience: 'owner',
      description: 'A cart as it was; null if it was not there, or is not for you.',
      args: {
        id: t.arg.id({ required: true, description: 'The id of a cart, also as of another point.' }),
        asOf: t.arg({ type: kit.asOf, required: true, description: AS_OF }),
      },
      resolve: (_root, { id, asOf }, context) => readPast(decodeIdOfAnyTime('Cart', id).id, pointOf(asOf), context),
    }),
  );

  const change = kit.addChangeType('Cart', 'cart', cart);
  builder.subscriptionField('cartChanged', (t) =>
    t.field({
      type: change,
      audience: 'owner',
      description: 'The live view of one cart.',
      args: {
        id: t.arg.id({ required: true, description: 'The id of a cart.' }),
        after: t.arg({ type: 'Position', description: AFTER }),
      },
      subscribe: (_root, { id, after }, context) =>
        watch(cartProjection, decodeIdOf('Cart', id), after, context, (row) => mayUse(context.actor, row.customerId)),
      resolve: (it) => it,
    }),
  );
  addCartMutations(kit, shared, cart);
  addCouponSchema(kit, shared);
}

/** A cart by its raw id, of now or of an earlier point, if it is for the caller. */
async function readCart(idOfAnyTime: string, context: RequestContext): Promise<AnyCart | undefined> {
  const { id, asOf } = splitId(idOfAnyTime);
  const row =
    asOf === undefined
      ? await context.engine.view(cartProjection).read(id)
      : await readAgain(cartProjection, id, streamIdOf('cart', id), asOf, context);
  return forCaller(row, context);
}

async function readPast(id: string, point: PointInTime, context: RequestContext): Promise<AnyCart | undefined> {
  return forCaller(await readAsOf(cartProjection, id, streamIdOf('cart', id), point, context), context);
}

function linkedCart(id: string, asOf: number | undefined, context: RequestContext): Promise<AnyCart | undefined> {
  return asOf === undefined ? readCart(id, context) : readPast(id, { position: asOf }, context);
}

/** Whose cart it is never changes: so its past is for the same people. */
function forCaller(row: AnyCart | undefined, { actor }: RequestContext): AnyCart | undefined {
  return row !== undefined && mayUse(actor, row.customerId) ? row : undefined;
}
