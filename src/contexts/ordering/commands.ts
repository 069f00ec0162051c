import { z } from 'zod';
import { type CommandOf, defineCommand } from '../../eventsourcing/commands/aggregate.ts';
import { personal, secret } from '../../eventsourcing/log/codec.ts';
import { address, currency, discount, emailAddress, money, orderedLine, text } from '../values.ts';
import { returnedLine } from './events.ts';

const MAX_LINES = 500;

const orderId = z.uuid('must be the id of an order');
const uuid = z.uuid('must be a UUID');
const customerId = z.string().min(1, 'must not be empty');
const ownWords = personal(
  text(500)
    .transform((it) => it.trim())
    .refine((it) => it !== '', 'must not be empty'),
  'customerId',
);
const ofOrder = { aggregateId: (data: { orderId: string }) => data.orderId } as const;
const service = { audience: 'service', ...ofOrder } as const;
const owner = { audience: 'owner', ...ofOrder } as const;

export const placeOrder = defineCommand({
  ...service,
  name: 'PlaceOrder',
  begins: true,
  description: 'Makes an order of what a cart held, once that is reserved.',
  input: z.object({
    orderId,
    cartId: uuid,
    customerId,
    ownerId: z.string().nullable(),
    currency,
    lines: z.array(orderedLine).min(1),
    discounts: z.array(discount),
    paymentDeadline: z.iso.datetime(),
    email: personal(emailAddress, 'customerId'),
    shippingAddress: personal(address, 'customerId'),
  }),
});

/** What payment providers take. */
const MAX_TOKEN_LENGTH = 200;

export const payOrder = defineCommand({
  ...owner,
  name: 'PayOrder',
  concludedByProcess: true,
  description:
    "Pays an order with a token of the payment provider's. The token is wiped once the outcome is known. After ten failed payments an order takes no more.",
  input: z.object({
    orderId,
    paymentId: uuid,
    paymentToken: secret(text(MAX_TOKEN_LENGTH).refine((it) => it !== '', 'must not be empty')),
  }),
});

export const cancelOrder = defineCommand({
  ...owner,
  name: 'CancelOrder',
  concludedByProcess: true,
  description: 'Cancels an order that is not on its way yet. What was paid is paid back.',
  input: z.object({ orderId, customerId, reason: ownWords }),
});

export const returnItems = defineCommand({
  ...owner,
  name: 'ReturnItems',
  description: 'Sends goods of a delivered order back. Their share of what was paid is paid back.',
  input: z.object({
    orderId,
    returnId: uuid,
    lines: z
      .array(returnedLine)
      .min(1, 'must not be empty')
      .max(MAX_LINES, `must have at most ${MAX_LINES} lines`)
      .refine((lines) => new Set(lines.map((it) => it.sku)).size === lines.length, 'must name each product once'),
    customerId,
    reason: ownWords,
  }),
});

export const noteOrderPaymentFailed = defineCommand({
  ...service,
  name: 'NoteOrderPaymentFailed',
  description: 'Takes note that a payment of an order came to nothing.',
  input: z.object({ orderId, paymentId: uuid, reason: z.string() }),
});

export const noteOrderPaid = defineCommand({
  ...service,
  name: 'NoteOrderPaid',
  description: 'Takes note that an order is paid, and that what was reserved is sold.',
  input: z.object({ orderId, paymentId: uuid.nullable() }),
});

export const noteOrderPreparation = defineCommand({
  ...service,
  name: 'NoteOrderPreparation',
  description: 'Takes note that the goods of an order are being prepared.',
  input: z.object({ orderId, shipmentId: uuid }),
});

export const noteOrderShipped = defineCommand({
  ...service,
  name: 'NoteOrderShipped',
  description: 'Takes note that the goods of an order are on their way.',
  input: z.object({ orderId, carrier: z.string(), trackingCode: z.string() }),
});

export const noteOrderDelivered = defineCommand({
  ...service,
  name: 'NoteOrderDelivered',
  description: 'Takes note that the goods of an order have arrived.',
  input: z.object({ orderId, shipmentId: uuid }),
});

export const completeOrderCancellation = defineCommand({
  ...service,
  name: 'CompleteOrderCancellation',
  description: 'Ends an order that came to nothing.',
  input: z.object({ orderId, reason: z.string() }),
});

export const refuseOrderCancellation = defineCommand({
  ...service,
  name: 'RefuseOrderCancellation',
  description: 'Lets an order go on that it was too late to cancel.',
  input: z.object({ orderId, reason: z.string() }),
});

export const noteOrderRefunded = defineCommand({
  ...service,
  name: 'NoteOrderRefunded',
  description: 'Takes note that money of an order was paid back.',
  input: z.object({ orderId, paymentId: uuid, refundId: z.string(), amount: money }),
});

export const orderCommands = [
  placeOrder,
  payOrder,
  cancelOrder,
  returnItems,
  noteOrderPaymentFailed,
  noteOrderPaid,
  noteOrderPreparation,
  noteOrderShipped,
  noteOrderDelivered,
  completeOrderCancellation,
  refuseOrderCancellation,
  noteOrderRefunded,
] as const;
export type OrderCommand = CommandOf<(typeof orderCommands)[number]>;
