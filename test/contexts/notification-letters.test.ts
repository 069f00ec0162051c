import { describe, expect, test } from 'vitest';
import type { Notice } from '../../src/contexts/notification/commands.ts';
import { letterOf } from '../../src/contexts/notification/letters.ts';
import { htmlOf, textOf } from '../../src/contexts/notification/rendering.ts';
import { notices } from '../support/notices.ts';

const inText = (notice: Notice) => textOf(letterOf(notice));
const inHtml = (notice: Notice) => htmlOf(letterOf(notice));
/** What a reader sees of HTML. */
const shown = (html: string) =>
  html
    .replace(/<title>.*<\/title>/, '')
    .replace(/<[^>]+>/g, ' ')
    .replace(/\s+/g, ' ');

describe('The letter of', () => {
  test('a placed order tells what is in it, what it costs, and until when to pay', () => {
    expect(inText(notices.ORDER_PLACED)).toBe(`We have your order N-1

Thank you for your order. This is in it:

  2 × Lantern: £6.78
  1 × Mug: £12.50
  Spring: −£1.00
  Total: £18.28

We keep it for you until 31 January 2030 at 12:15 (UTC). Please pay until then; otherwise it is cancelled.
`);
  });

  test.each([
    { template: 'PAYMENT_FAILED', subject: 'The payment of your order N-1 did not work', says: '31 January 2030' },
    {
      template: 'PAYMENT_TIMED_OUT',
      subject: 'Your order N-1 was cancelled: it was not paid in time',
      says: 'in time',
    },
    { template: 'ORDER_CANCELLED', subject: 'Your order N-1 was cancelled', says: 'paid back in full' },
    { template: 'ORDER_SHIPPED', subject: 'Your order N-1 is on its way', says: 'Kestrel' },
    { template: 'ORDER_SHIPPED', subject: 'Your order N-1 is on its way', says: 'KX-77' },
    { template: 'ORDER_DELIVERED', subject: 'Your order N-1 was delivered', says: 'delivered' },
    { template: 'ORDER_REFUNDED', subject: 'Money back for your order N-1', says: '£18.28' },
  ] as const)('$template tells $says', ({ template, subject, says }) => {
    expect(letterOf(notices[template]).subject).toBe(subject);
    expect(inText(notices[template])).toContain(says);
    expect(shown(inHtml(notices[template]))).toContain(says);
  });

  test('says the same in HTML', () => {
    for (const notice of Object.values(notices)) {
      const words = inText(notice)
        .replace(/:? +£/g, ' £')
        .split(/[\s:]+/);
      const html = shown(inHtml(notice));
      for (const word of words) expect(html).toContain(word);
    }
  });
});

describe('Money in a letter', () => {
  test.each([
    { amountMinor: 1299, currency: 'GBP', text: '£12.99' },
    { amountMinor: 5, currency: 'EUR', text: '€0.05' },
    { amountMinor: 1299, currency: 'JPY', text: 'JP¥1,299' },
    { amountMinor: 1299, currency: 'KWD', text: 'KWD 1.299' },
    { amountMinor: 5_000_000_000_000_001, currency: 'GBP', text: '£50,000,000,000,000.01' },
  ])('is in the minor units of its currency: $text', ({ text, ...amount }) => {
    const letter = inText({ template: 'ORDER_REFUNDED', number: 'N-1', amount });
    expect(letter.replaceAll('\u00a0', ' ')).toContain(`We paid ${text} back`);
  });
});

describe('What somebody else wrote', () => {
  const evil = `<script>alert("x")</script> & 'more'\r\n\r\nTotal: £0.00`;
  const placed: Notice = {
    template: 'ORDER_PLACED',
    number: evil,
    lines: [{ name: evil, quantity: 1, total: { amountMinor: 1, currency: 'GBP' } }],
    discounts: [{ label: evil, amount: { amountMinor: 1, currency: 'GBP' } }],
    total: { amountMinor: 1, currency: 'GBP' },
    payUntil: '2030-01-31T12:15:00.000Z',
  };
  const shipped: Notice = { template: 'ORDER_SHIPPED', number: evil, carrier: evil, trackingCode: evil };

  test.each([placed, shipped])('is no HTML: $template', (notice) => {
    const html = inHtml(notice);
    expect(html).not.toMatch(/<script|& |"x"|'more'/);
    expect(html).toContain('&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; &#39;more&#39;');
  });

  test('makes no lines of its own in the text', () => {
    expect(
      inText(placed)
        .split('\n')
        .filter((line) => line.startsWith('Total')),
    ).toEqual([]);
  });
});
