import type { Receipt } from '../../eventsourcing/commands/command.ts';
import { rawIdOf } from '../../graphql/command-mutation.ts';
import type { RequestContext } from '../../graphql/context.ts';
import { COMMAND_ID, EXPECTED_VERSION } from '../../graphql/descriptions.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';
import { orderSourcesOf } from '../ordering/messages.ts';
import { mayUse, subjectOf } from '../ownership.ts';
import type { SharedTypes } from '../shared-types.ts';
import { checkOutCart } from './commands.ts';
import { cartProjection } from './projection.ts';

/** From a cart to an order: the cart is this context's, the order another's. */
export function addCheckOutMutation(kit: SchemaKit, shared: SharedTypes, couponInvalid: CouponInvalidRef): void {
  const { builder, rejections } = kit;
  kit.addCommandMutation({
    payload: shared.orderPayload,
    idType: 'Cart',
    load: async (cartId: string, context: RequestContext) => {
      const cart = await context.engine.view(cartProjection).readUpToDate(cartId);
      return cart?.orderId == null ? undefined : shared.linkTo('Order').load(cart.orderId, context);
    },
    show: (order: object, receipt: Receipt) => ({ order, receipt }),
    alsoChanges: orderSourcesOf('OrderPlaced'),
    field: 'checkOutCart',
    command: checkOutCart,
    inputNames: { orderId: 'newOrderId' },
    input: builder.inputType('CheckOutCartInput', {
      description: checkOutCart.description,
      fields: (t) => ({
        commandId: t.id({ description: COMMAND_ID }),
        expectedVersion: t.int({ description: EXPECTED_VERSION }),
        cartId: t.id({ required: true, description: 'The id of the cart.' }),
        newOrderId: t.id({ description: 'A UUID chosen by the client, so that it can watch the order at once.' }),
        email: t.string({ required: true, description: 'Where mail about the order goes.' }),
        shippingAddress: t.field({
          type: shared.addressInput,
          required: true,
          description: 'Where the goods go.',
        }),
      }),
    }),
    data: async ({ cartId: sentId, newOrderId, email, shippingAddress }, { engine, actor, ids }) => {
      const cartId = rawIdOf('Cart', sentId);
      const cart = await engine.view(cartProjection).read(cartId);
      // Whoever may not use it is refused; but what they sent is stored, and is not the customer's.
      const owner = mayUse(actor, cart?.customerId ?? null) ? cart?.customerId : null;
      // An id that is none is refused for what it is, not for whom it would belong to.
      const customerId = owner ?? subjectOf(actor) ?? (cartId || 'nobody');
      return { cartId, orderId: newOrderId?.toLowerCase() ?? ids.unguessable(), customerId, email, shippingAddress };
    },
    rejections: [
      rejections.versionConflict,
      rejections.notFound,
      rejections.illegalState,
      shared.insufficientStock,
      couponInvalid,
    ],
  });
}

type CouponInvalidRef = ReturnType<SchemaKit['rejections']['declareRejection']>;
