import type { Notice } from './commands.ts';

/** A part of a letter. Plain text: whatever it is shown in escapes it. */
export type Block =
  | { readonly kind: 'paragraph'; readonly text: string }
  /** Amounts below each other. */
  | { readonly kind: 'bill'; readonly rows: readonly BillRow[] };

export interface BillRow {
  readonly label: string;
  readonly amount: string;
}

/** What a mail says, whether it is shown as text or as HTML. It greets nobody by name: so it holds no personal data. */
export interface Letter {
  readonly subject: string;
  readonly blocks: readonly Block[];
}

type Amount = { readonly amountMinor: number; readonly currency: string };
type NoticeOf<Template extends Notice['template']> = Extract<Notice, { template: Template }>;

/** Writes the letter that tells of something. */
export function letterOf(notice: Notice): Letter {
  switch (notice.template) {
    case 'ORDER_PLACED':
      return placed(notice);
    case 'PAYMENT_FAILED':
      return letter(
        `The payment of your order ${notice.number} did not work`,
        'The payment of your order did not work, and nothing was charged.',
        `We keep the goods for you until ${instant(notice.payUntil)}: until then you can pay in another way.`,
      );
    case 'PAYMENT_TIMED_OUT':
      return letter(
        `Your order ${notice.number} was cancelled: it was not paid in time`,
        'We did not hear of a payment of your order in time, so we cancelled it.',
        'Should a payment arrive after all, it is paid back in full.',
      );
    case 'ORDER_CANCELLED':
      return letter(
        `Your order ${notice.number} was cancelled`,
        'Your order was cancelled. What was paid for it is paid back in full.',
      );
    case 'ORDER_SHIPPED':
      return letter(
        `Your order ${notice.number} is on its way`,
        `We handed your order over to ${notice.carrier}.`,
        `Its tracking code is ${notice.trackingCode}.`,
      );
    case 'ORDER_DELIVERED':
      return letter(
        `Your order ${notice.number} was delivered`,
        'Your order was delivered. We hope that you enjoy it.',
      );
    case 'ORDER_REFUNDED':
      return letter(
        `Money back for your order ${notice.number}`,
        `We paid ${money(notice.amount)} back to you, the way that you paid. Your bank may need some days to show it.`,
      );
    default:
      return notice satisfies never;
  }
}

function placed({ number, lines, discounts, total, payUntil }: NoticeOf<'ORDER_PLACED'>): Letter {
  const rows = [
    ...lines.map((line) => ({ label: `${line.quantity} × ${line.name}`, amount: money(line.total) })),
    ...discounts.map(({ label, amount }) => ({ label, amount: `−${money(amount)}` })),
    { label: 'Total', amount: money(total) },
  ];
  return {
    subject: `We have your order ${number}`,
    blocks: [
      paragraph('Thank you for your order. This is in it:'),
      { kind: 'bill', rows },
      paragraph(`We keep it for you until ${instant(payUntil)}. Please pay until then; otherwise it is cancelled.`),
    ],
  };
}

function letter(subject: string, ...paragraphs: string[]): Letter {
  return { subject, blocks: paragraphs.map(paragraph) };
}

function paragraph(text: string): Block {
  return { kind: 'paragraph', text };
}

/** As it is written where English is: £12.99, ¥1,299. Every currency has the minor units that it has. */
function money({ amountMinor, currency }: Amount): string {
  const format = new Intl.NumberFormat('en-GB', { style: 'currency', currency });
  const { maximumFractionDigits: digits = 2 } = format.resolvedOptions();
  return format.format(amountMinor / 10 ** digits);
}

function instant(iso: string): string {
  return `${WHEN.format(new Date(iso))} (UTC)`;
}

const WHEN = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' });
