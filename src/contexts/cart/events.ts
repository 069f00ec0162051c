import { z } from 'zod';
import { personal } from '../../eventsourcing/log/codec.ts';
import { defineEvent, type EventOf } from '../../eventsourcing/log/event.ts';
import { address, currency, discount, emailAddress, money, movedLine, orderedLine, sku } from '../values.ts';

/** It names a command, and commands of staff are not traced by others: whoever watches has the correlationId. */
const mergeId = z.string().meta({ description: 'The command that asked for the merge. For staff.', audience: 'staff' });
const fromCartId = z.string().meta({ description: 'The cart that the lines come from.', idOf: 'Cart' });
const couponCode = z.string().describe('The code of the coupon.');
const orderId = z.string().meta({ description: 'The order that the cart becomes.', idOf: 'Order' });
const intoCartId = z.string().meta({ description: 'The cart that the lines move into.', idOf: 'Cart' });

export const cartCreated = defineEvent({
  type: 'CartCreated',
  schemaVersion: 1,
  description: 'An empty cart was begun.',
  data: z.object({
    currency,
    customerId: z.string().nullable().describe('The customer whose cart it is; null for a guest.'),
  }),
});

export const itemAddedToCart = defineEvent({
  type: 'ItemAddedToCart',
  schemaVersion: 1,
  description: 'Pieces of a product were put into the cart. The whole line has the unit price of the newest addition.',
  data: z.object({
    sku,
    name: z.string().describe('What the product was called then.'),
    quantity: z.number().int().describe('Pieces that were added.'),
    unitPrice: money.describe('What one piece cost then.'),
  }),
});

export const itemQuantityChanged = defineEvent({
  type: 'ItemQuantityChanged',
  schemaVersion: 1,
  description: 'There are more or fewer pieces of a product in the cart.',
  data: z.object({
    sku,
    quantity: z.number().int().describe('Pieces in the cart now.'),
    previousQuantity: z.number().int().describe('Pieces in the cart before.'),
  }),
});

export const itemRemovedFromCart = defineEvent({
  type: 'ItemRemovedFromCart',
  schemaVersion: 1,
  description: 'A product was taken out of the cart.',
  data: z.object({ sku, quantity: z.number().int().describe('Pieces that were in the cart.') }),
});

export const cartCleared = defineEvent({
  type: 'CartCleared',
  schemaVersion: 1,
  description: 'Everything was taken out of the cart.',
  data: z.object({ lineCount: z.number().int().describe('Lines that were in the cart.') }),
});

export const cartAbandoned = defineEvent({
  type: 'CartAbandoned',
  schemaVersion: 1,
  description: 'Nobody changed the cart for a long time.',
  data: z.object({ lineCount: z.number().int().describe('Lines that were left in the cart.') }),
});

export const cartReopened = defineEvent({
  type: 'CartReopened',
  schemaVersion: 1,
  description: 'Somebody came back to the abandoned cart. What they did follows.',
  data: z.object({ lineCount: z.number().int().describe('Lines that they found in the cart.') }),
});

export const cartMergeRequested = defineEvent({
  type: 'CartMergeRequested',
  schemaVersion: 1,
  description: 'The lines of another cart are to move into this one. None has moved yet.',
  data: z.object({ fromCartId }),
});

export const cartLinesHandedOver = defineEvent({
  type: 'CartLinesHandedOver',
  schemaVersion: 1,
  description: 'The lines of the cart are on their way into another. Until they are there, they are still shown here.',
  data: z.object({
    mergeId,
    intoCartId,
    currency,
    lines: z.array(movedLine).describe('Everything that is in the cart.'),
  }),
});

export const cartLinesTakenIn = defineEvent({
  type: 'CartLinesTakenIn',
  schemaVersion: 1,
  description: 'Lines of another cart were put into this one.',
  data: z.object({
    mergeId,
    fromCartId,
    lines: z
      .array(movedLine)
      .describe('Pieces that were added, with the name and unit price that the whole line has from now on.'),
  }),
});

export const cartMerged = defineEvent({
  type: 'CartMerged',
  schemaVersion: 1,
  description: 'The lines of the cart are in another one. This one ends.',
  data: z.object({ mergeId, intoCartId }),
});

export const cartLinesTakenBack = defineEvent({
  type: 'CartLinesTakenBack',
  schemaVersion: 1,
  description: 'The other cart did not take the lines in: they can be changed here again.',
  data: z.object({ mergeId, intoCartId }),
});

export const couponApplied = defineEvent({
  type: 'CouponApplied',
  schemaVersion: 1,
  description: 'A coupon takes something off.',
  data: z.object({
    code: couponCode,
    label: z.string().describe('What the shop calls it.'),
    percent: z.number().int().nullable().describe('How many percent it takes off, if it does.'),
    amount: money.nullable().describe('How much it takes off, if it is an amount.'),
  }),
});

export const couponRemoved = defineEvent({
  type: 'CouponRemoved',
  schemaVersion: 1,
  description: 'The coupon takes nothing off any more.',
  data: z.object({ code: couponCode }),
});

export const cartCheckOutStarted = defineEvent({
  type: 'CartCheckOutStarted',
  schemaVersion: 1,
  description: 'An order is being made of the cart. Nobody can change it meanwhile.',
  data: z.object({
    orderId,
    customerId: z.string().meta({ description: 'Whose data the order holds. For staff.', audience: 'staff' }),
    ownerId: z.string().nullable().meta({
      description: 'The customer whose order it will be; null for a guest. For staff.',
      audience: 'staff',
    }),
    currency,
    lines: z.array(orderedLine).describe('Everything that is in the cart.'),
    discounts: z.array(discount).describe('What is taken off.'),
    couponCode: couponCode.nullable().describe('The coupon that takes it off, if there is one.'),
    email: personal(emailAddress, 'customerId').meta({
      description: 'Where the customer is written to. For staff.',
      audience: 'staff',
    }),
    shippingAddress: personal(address, 'customerId').meta({
      description: 'Where it is to be sent. For staff.',
      audience: 'staff',
    }),
  }),
});

export const cartCheckedOut = defineEvent({
  type: 'CartCheckedOut',
  schemaVersion: 1,
  description: 'The cart became an order. It ends.',
  data: z.object({ orderId }),
});

export const cartCheckOutCancelled = defineEvent({
  type: 'CartCheckOutCancelled',
  schemaVersion: 1,
  description: 'No order could be made of the cart: it can be changed again.',
  data: z.object({ orderId, reason: z.string().describe('Why.') }),
});

export const cartRestored = defineEvent({
  type: 'CartRestored',
  schemaVersion: 1,
  description:
    'The cart holds again what it held at an earlier version. What that took are the events before this one, of the same command. Lines that were there all along keep their price, others have that of now.',
  data: z.object({
    toVersion: z.number().int().describe('The version whose contents it has again.'),
    skus: z.array(sku).describe('Its lines, in the order of then.'),
    couponLeftOut: couponCode.nullable().describe('The coupon of then, if it cannot be used any more.'),
    nextUndoAt: z
      .number()
      .int()
      .nullable()
      .describe(
        'If somebody undid their change: the version that undoing goes on from, the next time. Null otherwise.',
      ),
  }),
});

export const cartEvents = [
  cartCreated,
  itemAddedToCart,
  itemQuantityChanged,
  itemRemovedFromCart,
  cartCleared,
  cartAbandoned,
  cartReopened,
  cartMergeRequested,
  cartLinesHandedOver,
  cartLinesTakenIn,
  cartMerged,
  cartLinesTakenBack,
  couponApplied,
  couponRemoved,
  cartCheckOutStarted,
  cartCheckedOut,
  cartCheckOutCancelled,
  cartRestored,
] as const;
export type CartEvent = EventOf<(typeof cartEvents)[number]>;
