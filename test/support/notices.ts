import type { Notice } from '../../src/contexts/notification/messages.ts';

/** Words for tests about notifications. */

const gbp = (amountMinor: number) => ({ amountMinor, currency: 'GBP' });

/** One of each template. */
export const notices: Readonly<Record<Notice['template'], Notice>> = {
  ORDER_PLACED: {
    template: 'ORDER_PLACED',
    number: 'N-1',
    lines: [
      { name: 'Lantern', quantity: 2, total: gbp(678) },
      { name: 'Mug', quantity: 1, total: gbp(1250) },
    ],
    discounts: [{ label: 'Spring', amount: gbp(100) }],
    total: gbp(1828),
    payUntil: '2030-01-31T12:15:00.000Z',
  },
  PAYMENT_FAILED: { template: 'PAYMENT_FAILED', number: 'N-1', payUntil: '2030-01-31T12:15:00.000Z' },
  PAYMENT_TIMED_OUT: { template: 'PAYMENT_TIMED_OUT', number: 'N-1' },
  ORDER_CANCELLED: { template: 'ORDER_CANCELLED', number: 'N-1' },
  ORDER_SHIPPED: { template: 'ORDER_SHIPPED', number: 'N-1', carrier: 'Kestrel', trackingCode: 'KX-77' },
  ORDER_DELIVERED: { template: 'ORDER_DELIVERED', number: 'N-1' },
  ORDER_REFUNDED: { template: 'ORDER_REFUNDED', number: 'N-1', amount: gbp(1828) },
};
