import { z } from 'zod';
import { personal } from '../../eventsourcing/log/codec.ts';
import { defineEvent, type EventOf, formerVersion } from '../../eventsourcing/log/event.ts';
import { address, currency, discount, emailAddress, money, orderedLine, sku } from '../values.ts';

const STAFF = { audience: 'staff' } as const;

const paymentId = z.string().meta({ description: 'The payment.', idOf: 'Payment' });
const shipmentId = z.string().meta({ description: 'The shipment.', idOf: 'Shipment' });
const reason = z.string().describe('Why.');
const customerId = z.string().meta({ ...STAFF, description: 'Whom its personal data belongs to.' });
/** Whose words a reason is in. Of those that were not encrypted yet, nobody said: they stay as they were written. */
const speakerId = z
  .string()
  .nullable()
  .meta({
    ...STAFF,
    description: 'Whom its personal data belongs to; null in events from before that was noted.',
  });
/** Whatever they may say of themselves in it is theirs. */
const ownWords = personal(z.string(), 'customerId').meta({
  ...STAFF,
  description: 'Why, in the words of whoever asked for it; null once it is forgotten.',
});
/** Pieces of one product that come back. */
export const returnedLine = z
  .object({ sku, quantity: z.number().int().min(1, 'must be at least 1') })
  .meta({ description: 'Pieces of one product that come back.', graphql: 'ReturnedLine' });

export const orderPlaced = defineEvent({
  type: 'OrderPlaced',
  schemaVersion: 1,
  description: 'A cart became an order: everything in it is reserved, and payment is awaited.',
  data: z.object({
    number: z.string().describe('What people call the order.'),
    cartId: z.string().meta({ description: 'The cart that it was.', idOf: 'Cart' }),
    customerId,
    ownerId: z
      .string()
      .nullable()
      .meta({ ...STAFF, description: 'The customer whose order it is; null for a guest.' }),
    currency,
    lines: z.array(orderedLine).describe('What was ordered.'),
    discounts: z.array(discount).describe('What was taken off.'),
    totalMinor: z.number().int().meta({ description: 'What is to be paid, in the smallest unit.', graphql: 'SafeInt' }),
    paymentDeadline: z.iso.datetime().meta({ description: 'Paid by then, or it is cancelled.' }),
    email: personal(emailAddress, 'customerId').meta({ ...STAFF, description: 'Where mail about it goes.' }),
    shippingAddress: personal(address, 'customerId').meta({
      ...STAFF,
      description: 'Where it goes.',
      graphql: 'Address',
    }),
  }),
});

export const orderPaymentRequested = defineEvent({
  type: 'OrderPaymentRequested',
  schemaVersion: 1,
  description: 'The customer pays. It is not known yet whether that works.',
  data: z.object({ paymentId, amount: money.describe('What is to be paid.') }),
});

export const orderPaymentFailed = defineEvent({
  type: 'OrderPaymentFailed',
  schemaVersion: 1,
  description: 'A payment came to nothing. Until the deadline, it can be paid otherwise.',
  data: z.object({ paymentId, reason }),
});

export const orderPaid = defineEvent({
  type: 'OrderPaid',
  schemaVersion: 1,
  description: 'The order is paid, and what was reserved is sold.',
  data: z.object({
    paymentId: z
      .string()
      .nullable()
      .meta({ description: 'The payment; null where nothing was to be paid.', idOf: 'Payment' }),
  }),
});

export const orderPreparationBegan = defineEvent({
  type: 'OrderPreparationBegan',
  schemaVersion: 1,
  description: 'The goods are being prepared.',
  data: z.object({ shipmentId }),
});

export const orderShipped = defineEvent({
  type: 'OrderShipped',
  schemaVersion: 1,
  description: 'The goods were handed over to a carrier.',
  data: z.object({
    carrier: z.string().describe('Who carries them.'),
    trackingCode: z.string().describe('What to ask the carrier by.'),
  }),
});

export const orderDelivered = defineEvent({
  type: 'OrderDelivered',
  schemaVersion: 1,
  description: 'The goods are with the customer.',
  data: z.object({ shipmentId }),
});

export const orderCancellationRequested = defineEvent({
  type: 'OrderCancellationRequested',
  schemaVersion: 2,
  description: 'Somebody wants the order cancelled. Whether it still can be is being found out.',
  data: z.object({ customerId: speakerId, reason: ownWords }),
  formerVersions: [
    formerVersion({
      schemaVersion: 1,
      data: z.object({ reason }),
      upcast: (data) => ({ ...data, customerId: null }),
    }),
  ],
});

export const orderCancellationRefused = defineEvent({
  type: 'OrderCancellationRefused',
  schemaVersion: 1,
  description: 'It was too late to cancel the order.',
  data: z.object({ reason }),
});

export const orderCancelled = defineEvent({
  type: 'OrderCancelled',
  schemaVersion: 1,
  description: 'The order came to nothing. What was paid is paid back.',
  data: z.object({ reason }),
});

const returned = {
  returnId: z.string().describe('The id of this return.'),
  lines: z.array(returnedLine).describe('What comes back.'),
  refund: money.describe('What is paid back.'),
};

export const orderItemsReturned = defineEvent({
  type: 'OrderItemsReturned',
  schemaVersion: 2,
  description: 'Goods come back. Their share of what was paid is paid back.',
  data: z.object({ ...returned, customerId: speakerId, reason: ownWords }),
  formerVersions: [
    formerVersion({
      schemaVersion: 1,
      data: z.object({ ...returned, reason }),
      upcast: (data) => ({ ...data, customerId: null }),
    }),
  ],
});

export const orderRefunded = defineEvent({
  type: 'OrderRefunded',
  schemaVersion: 1,
  description: 'Money was paid back.',
  data: z.object({ paymentId, refundId: z.string().describe('The id of this refund.'), amount: money }),
});

export const orderEvents = [
  orderPlaced,
  orderPaymentRequested,
  orderPaymentFailed,
  orderPaid,
  orderPreparationBegan,
  orderShipped,
  orderDelivered,
  orderCancellationRequested,
  orderCancellationRefused,
  orderCancelled,
  orderItemsReturned,
  orderRefunded,
] as const;
export type OrderEvent = EventOf<(typeof orderEvents)[number]>;
