import { streamIdOf } from '../../eventsourcing/log/stream-id.ts';
import { processView } from '../../eventsourcing/processes/process-view.ts';
import { AFTER, MIN_POSITION } from '../../graphql/descriptions.ts';
import { decodeIdOf, decodeIdOfAnyTime, encodeGlobalId, idAsOf } from '../../graphql/global-id.ts';
import { waitFor, watch } from '../../graphql/live-field.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';
import { AS_OF, pointOf } from '../../graphql/time-travel.ts';
import { mayRead, mayUse } from '../ownership.ts';
import { personalDataState, type SharedTypes } from '../shared-types.ts';
import { addOrderMutations } from './mutations.ts';
import { addOrderList } from './order-list.ts';
import { addPaymentType } from './payment-type.ts';
import { ORDER_STATUSES, type OrderLineRow, type OrderRow, orderProjection } from './projection.ts';
import { type AnyOrder, paymentsOf, readOrder, readPastOrder, shipmentsOf } from './reading.ts';
import { orderRecords } from './records.ts';
import { addShipmentType } from './shipment-type.ts';

interface OrderLine extends OrderLineRow {
  readonly order: AnyOrder;
}

const MEANINGS: Record<OrderRow['status'], string> = {
  PLACED: 'Its stock is reserved, and payment is awaited.',
  PAID: 'It is paid.',
  PREPARING: 'Its goods are being prepared.',
  SHIPPED: 'Its goods are on their way.',
  DELIVERED: 'Its goods have arrived.',
  CANCELLED: 'It came to nothing: see statusReason.',
  PARTIALLY_RETURNED: 'Some of its goods came back.',
  RETURNED: 'All of its goods came back.',
};

/** Somebody said why. Otherwise the reason is a word of ours, or the payment provider's. */
const IN_OWN_WORDS: ReadonlySet<OrderRow['status']> = new Set(['PARTIALLY_RETURNED', 'RETURNED']);

/** The process that takes an order through: its instances have the ids of the orders. */
const PROCESS = 'checkout';

export function declareOrderingSchema(kit: SchemaKit, shared: SharedTypes): void {
  const { builder } = kit;
  shared.provideRecords(orderRecords);
  const { money } = shared;
  const payment = addPaymentType(kit, shared);
  const shipment = addShipmentType(kit, shared);
  const status = builder.enumType('OrderStatus', {
    description: 'How far an order has come.',
    values: Object.fromEntries(ORDER_STATUSES.map((name) => [name, { description: MEANINGS[name] }])) as Record<
      OrderRow['status'],
      { description: string }
    >,
  });
  const line = builder.objectRef<OrderLine>('OrderLine').implement({
    description: 'The pieces of one product in an order.',
    audience: 'owner',
    fields: (t) => ({
      id: t.id({
        description: 'Its id, unique among all types.',
        resolve: (it) => encodeGlobalId('OrderLine', idAsOf(`${it.order.id}:${it.sku}`, it.order.asOf)),
      }),
      sku: t.string({ description: 'The product.', resolve: (it) => it.sku }),
      name: t.string({ description: 'What the product was called.', resolve: (it) => it.name }),
      quantity: t.int({ description: 'How many pieces were ordered.', resolve: (it) => it.quantity }),
      returned: t.int({ description: 'How many of them came back.', resolve: (it) => it.returned }),
      unitPrice: t.field({
        type: money,
        description: 'What one piece cost.',
        resolve: (it) => ({ amountMinor: it.unitPriceMinor, currency: it.order.currency }),
      }),
      lineTotal: t.field({
        type: money,
        description: 'Quantity times unit price.',
        resolve: (it) => ({ amountMinor: it.quantity * it.unitPriceMinor, currency: it.order.currency }),
      }),
    }),
  });
  const order = builder.objectRef<AnyOrder>('Order');
  shared.provideLink('Order', { ref: order, load: readOrder });

  builder.node(order, {
    description:
      "An order, with its payments and shipments. `version` is that of the order's own stream; `position` that of the newest event that this view holds, of any stream.",
    audience: 'owner',
    id: { resolve: ({ id, asOf }) => idAsOf(id, asOf) },
    isTypeOf: (value) => typeof value === 'object' && value !== null && 'placedPosition' in value,
    loadMany: (ids: string[], context) => Promise.all(ids.map(async (id) => (await readOrder(id, context)) ?? null)),
    fields: (t) => ({
      number: t.string({ description: 'What people call it.', resolve: (it) => it.number }),
      version: t.int({ description: "Of the order's own stream.", resolve: (it) => it.version }),
      position: t.field({
        type: 'Position',
        description: 'Of the newest event that this view holds.',
        resolve: (it, _args, { engine }) => engine.positions.encode(it.position),
      }),
      status: t.field({ type: status, description: 'How far it has come.', resolve: (it) => it.status }),
      statusReason: t.string({
        nullable: true,
        description:
          'Why it is so. The own words of whoever returned goods are for those who may read email; null also where they are forgotten.',
        resolve: ({ status: progress, statusReason, customerId }, _args, { actor }) =>
          !IN_OWN_WORDS.has(progress) || mayRead(actor, customerId) ? statusReason : null,
      }),
      lines: t.field({
        type: [line],
        description: 'What was ordered.',
        resolve: (it) => it.lines.map((each) => ({ ...each, order: it })),
      }),
      subtotal: t.field({
        type: money,
        description: 'The sum of its lines.',
        resolve: ({ lines, currency }) => ({
          amountMinor: lines.reduce((sum, { quantity, unitPriceMinor }) => sum + quantity * unitPriceMinor, 0),
          currency,
        }),
      }),
      discounts: t.field({
        type: [shared.discount],
        description: 'What was taken off.',
        resolve: (it) => it.discounts,
      }),
      total: t.field({
        type: money,
        description: 'What is to be paid.',
        resolve: ({ totalMinor: amountMinor, currency }) => ({ amountMinor, currency }),
      }),
      personalData: t.field({
        type: shared.personalData,
        description: 'How far email, shippingAddress and customer can be read.',
        resolve: ({ customerId, email }, _args, { actor }) =>
          personalDataState(mayRead(actor, customerId), email === null),
      }),
      email: t.string({
        nullable: true,
        description: 'Where mail about it goes.',
        resolve: ({ customerId, email }, _args, { actor }) => (mayRead(actor, customerId) ? email : null),
      }),
      shippingAddress: t.field({
        type: shared.address,
        nullable: true,
        description: 'Where its goods go.',
        resolve: (it, _args, { actor }) => (mayRead(actor, it.customerId) ? it.shippingAddress : null),
      }),
      customer: t.field({
        type: shared.linkTo('Customer').ref,
        nullable: true,
        description: 'Whose order it is; as they are known now.',
        resolve: ({ customerId }, _args, context) =>
          mayRead(context.actor, customerId) ? shared.linkTo('Customer').load(customerId, context) : null,
      }),
      payments: t.field({
        type: [payment],
        description: 'Every payment of it that was begun, oldest first.',
        resolve: (it) => [...paymentsOf(it)],
      }),
      shipments: t.field({
        type: [shipment],
        description: 'Its goods on their way, oldest first.',
        resolve: (it) => [...shipmentsOf(it)],
      }),
      paymentDeadline: t.field({
        type: 'DateTime',
        nullable: true,
        description: 'Paid by then, or it is cancelled; null where payment is not awaited.',
        resolve: (it) => (it.status === 'PLACED' ? it.paymentDeadline : null),
      }),
      process: t.field({
        type: shared.linkTo('ProcessInstance').ref,
        nullable: true,
        description: 'What takes it through, step by step: as it is now, also of an order as of an earlier point.',
        resolve: ({ id }, _args, { engine }) => engine.view(processView).read(streamIdOf(PROCESS, id)),
      }),
      correlationId: t.id({
        description: 'Common to all that began with its check-out.',
        resolve: (it) => it.correlationId,
      }),
      placedAt: t.field({ type: 'DateTime', description: 'When it was placed.', resolve: (it) => it.placedAt }),
      updatedAt: t.field({ type: 'DateTime', description: 'When it last changed.', resolve: (it) => it.updatedAt }),
    }),
  });

  builder.queryField('order', (t) =>
    t.field({
      type: order,
      nullable: true,
      audience: 'owner',
      description: 'An order by its id; null if it is not there, or not for you.',
      args: {
        id: t.arg.id({ required: true, description: 'The id of an order.' }),
        minPosition: t.arg({ type: 'Position', description: MIN_POSITION }),
      },
      resolve: async (_root, { id, minPosition }, context) => {
        const orderId = decodeIdOf('Order', id);
        await waitFor(orderProjection, orderId, minPosition, context);
        return readOrder(orderId, context);
      },
    }),
  );
  builder.queryField('orderAsOf', (t) =>
    t.field({
      type: order,
      nullable: true,
      audience: 'owner',
      description:
        'An order as it was, with its payments and shipments of then; null if it was not there, or is not for you.',
      args: {
        id: t.arg.id({ required: true, description: 'The id of an order, also as of another point.' }),
        asOf: t.arg({ type: kit.asOf, required: true, description: AS_OF }),
      },
      resolve: (_root, { id, asOf }, context) =>
        readPastOrder(decodeIdOfAnyTime('Order', id).id, pointOf(asOf), context),
    }),
  );
  addOrderList(kit, order, status);

  const change = kit.addChangeType('Order', 'order', order);
  builder.subscriptionField('orderChanged', (t) =>
    t.field({
      type: change,
      audience: 'owner',
      description: 'The live view of one order, with its payments and shipments.',
      args: {
        id: t.arg.id({ required: true, description: 'The id of an order.' }),
        after: t.arg({ type: 'Position', description: AFTER }),
      },
      subscribe: (_root, { id, after }, context) =>
        watch(orderProjection, decodeIdOf('Order', id), after, context, ({ ownerId }) =>
          mayUse(context.actor, ownerId),
        ),
      resolve: (it) => it,
    }),
  );
  addOrderMutations(kit, shared, { order, payment });
}
