import type { ObjectRef } from '@pothos/core';
import { z } from 'zod';
import type { Receipt } from '../../eventsourcing/commands/command.ts';
import type { BuilderTypes } from '../../graphql/builder.ts';
import { rawIdOf } from '../../graphql/command-mutation.ts';
import type { RequestContext } from '../../graphql/context.ts';
import { COMMAND_ID, EXPECTED_VERSION } from '../../graphql/descriptions.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';
import { subjectOf } from '../ownership.ts';
import type { SharedTypes } from '../shared-types.ts';
import { cancelOrder, payOrder, returnItems } from './commands.ts';
import type { OrderRow } from './projection.ts';
import { type PaymentRow, readCustomerId, readOrder, readPayment } from './reading.ts';

interface OrderTypes {
  readonly order: ObjectRef<BuilderTypes, OrderRow>;
  readonly payment: ObjectRef<BuilderTypes, PaymentRow>;
}

const ORDER_ID = 'The id of the order.';
const declined = z.object({ paymentId: z.string().nullable() });

export function addOrderMutations(kit: SchemaKit, shared: SharedTypes, types: OrderTypes): void {
  const { builder, rejections } = kit;
  const { versionConflict, notFound, illegalState } = rejections;
  const payload = shared.orderPayload;
  payload.implement({
    description: 'An order after a command.',
    audience: 'owner',
    fields: (t) => ({
      order: t.field({ type: types.order, description: 'As it is now.', resolve: (it) => it.order as OrderRow }),
      receipt: t.field({ type: kit.receipt, description: 'What became of the command.', resolve: (it) => it.receipt }),
    }),
  });
  const paymentDeclined = rejections.declareRejection(
    'PaymentDeclined',
    'Reports a payment that failed; the failed payment itself is kept as an event and a record.',
    { reason: { type: 'String', description: "Why, in the provider's words; or TIMED_OUT, CANCELLED, OUT_OF_STOCK." } },
  );
  builder.objectField(paymentDeclined, 'payment', (t) =>
    t.field({
      type: types.payment,
      nullable: true,
      description: 'The payment that failed; null where none was even begun.',
      resolve: async ({ rejection }, _args, context) => {
        const { paymentId } = declined.parse(rejection);
        return paymentId === null ? null : readPayment(paymentId, context);
      },
    }),
  );
  const answer = {
    payload,
    idType: 'Order',
    load: (id: string, context: RequestContext) => readOrder(id, context),
    show: (order: OrderRow, receipt: Receipt) => ({ order, receipt }),
  };

  kit.addCommandMutation({
    ...answer,
    field: 'payOrder',
    command: payOrder,
    // Its token must not lie in wait for a later day.
    schedulable: false,
    input: builder.inputType('PayOrderInput', {
      description: payOrder.description,
      fields: (t) => ({
        commandId: t.id({ description: COMMAND_ID }),
        expectedVersion: t.int({ description: EXPECTED_VERSION }),
        orderId: t.id({ required: true, description: ORDER_ID }),
        paymentToken: t.string({
          required: true,
          description: "What the payment provider's own form gave for the card: never the card's number.",
        }),
      }),
    }),
    data: ({ orderId, paymentToken }, { ids }) => ({
      orderId: rawIdOf('Order', orderId),
      paymentId: ids.ordered(),
      paymentToken,
    }),
    rejections: [versionConflict, notFound, illegalState, paymentDeclined],
  });
  kit.addCommandMutation({
    ...answer,
    field: 'cancelOrder',
    command: cancelOrder,
    input: builder.inputType('CancelOrderInput', {
      description: cancelOrder.description,
      fields: (t) => ({
        commandId: t.id({ description: COMMAND_ID }),
        expectedVersion: t.int({ description: EXPECTED_VERSION }),
        orderId: t.id({ required: true, description: ORDER_ID }),
        reason: t.string({ required: true, description: 'Why; at most 500 characters.' }),
      }),
    }),
    data: async ({ orderId: sentId, reason }, context) => {
      const orderId = rawIdOf('Order', sentId);
      return { orderId, customerId: await speakerOf(orderId, context), reason };
    },
    rejections: [versionConflict, notFound, illegalState],
  });
  kit.addCommandMutation({
    ...answer,
    field: 'returnItems',
    command: returnItems,
    input: builder.inputType('ReturnItemsInput', {
      description: returnItems.description,
      fields: (t) => ({
        commandId: t.id({ description: COMMAND_ID }),
        expectedVersion: t.int({ description: EXPECTED_VERSION }),
        orderId: t.id({ required: true, description: ORDER_ID }),
        lines: t.field({
          type: [
            builder.inputType('ReturnLineInput', {
              description: 'Pieces of one product that come back.',
              fields: (line) => ({
                sku: line.string({ required: true, description: 'The product.' }),
                quantity: line.int({ required: true, description: 'How many pieces.' }),
              }),
            }),
          ],
          required: true,
          description: 'What comes back; each product once.',
        }),
        reason: t.string({ required: true, description: 'Why; at most 500 characters.' }),
      }),
    }),
    data: async ({ orderId: sentId, lines, reason }, context) => {
      const orderId = rawIdOf('Order', sentId);
      const customerId = await speakerOf(orderId, context);
      return { orderId, returnId: context.ids.ordered(), lines, customerId, reason };
    },
    rejections: [versionConflict, notFound, illegalState],
  });
}

/** Whose words a reason is in: the caller's; of one who has no personal data here, like staff, the order's customer's. */
async function speakerOf(orderId: string, context: RequestContext): Promise<string> {
  const speaker = subjectOf(context.actor) ?? (await readCustomerId(orderId, context));
  // An id that is none is refused for what it is, not for whom the words would belong to.
  return speaker ?? (orderId || 'nobody');
}
