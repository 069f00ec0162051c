import { z } from 'zod';

/** Values that every context speaks of in the same way. */

const CURRENCIES: ReadonlySet<string> = new Set(Intl.supportedValuesOf('currency'));
/** So that 500 lines of 10,000 pieces still add up exactly: 5 * 10^15 is below 2^53. */
export const MAX_AMOUNT_MINOR = 1_000_000_000;

export const currency = z
  .string()
  .refine((code) => CURRENCIES.has(code), 'is not an ISO 4217 currency code')
  .meta({ description: 'An ISO 4217 code.', graphql: 'Currency' });

/** An amount in the currency's smallest unit; never a float. */
export const money = z
  .object({
    amountMinor: z
      .number()
      .int('must be a whole number')
      .min(0, 'must not be negative')
      .max(MAX_AMOUNT_MINOR, `must be at most ${MAX_AMOUNT_MINOR}`),
    currency,
  })
  .meta({ description: 'An amount in the smallest unit of a currency.', graphql: 'Money' });

export type Money = z.output<typeof money>;

/** Text that every part of the system can store and show: no U+0000, no half characters. */
export function text(maxLength: number) {
  return z
    .string()
    .max(maxLength, `must have at most ${maxLength} characters`)
    .refine((it) => !it.includes('\u0000') && it.isWellFormed(), 'must not contain U+0000 or unpaired surrogates');
}

export const sku = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be 1 to 64 letters, digits, dots, dashes or underscores')
  .describe('The stock keeping unit: the id of a product.');

/** Pieces of one product at a price. */
const pricedLine = z.object({
  sku,
  name: z.string(),
  quantity: z.number().int().min(1, 'must be at least 1'),
  unitPrice: money,
});

/** The pieces of one product on their way from one cart into another. */
export const movedLine = pricedLine.meta({
  description: 'The pieces of one product on their way between carts.',
  graphql: 'MovedLine',
});

export type MovedLine = Readonly<z.output<typeof movedLine>>;

/** The pieces of one product in an order. */
export const orderedLine = pricedLine.meta({
  description: 'The pieces of one product in an order.',
  graphql: 'OrderedLine',
});
export type OrderedLine = Readonly<z.output<typeof orderedLine>>;

/** What is taken off, and why. */
export const discount = z
  .object({
    code: z.string().describe('The code of the coupon.'),
    label: z.string().describe('What it is called.'),
    amount: money,
  })
  .meta({ description: 'What is taken off, and why.', graphql: 'Discount' });
export type Discount = Readonly<z.output<typeof discount>>;

const addressText = (maxLength: number) =>
  text(maxLength)
    .transform((it) => it.trim())
    .refine((it) => it !== '', 'must not be empty');

/** Where somebody lives: personal data. */
export const address = z
  .object({
    name: addressText(200),
    street: addressText(200),
    city: addressText(100),
    postalCode: addressText(20),
    country: addressText(60),
  })
  .meta({ description: 'A postal address.', graphql: 'Address' });
export type Address = Readonly<z.output<typeof address>>;

/** An address that mail can be sent to: personal data. As it was typed, for some servers tell letters apart by case. */
export const emailAddress = z
  .string()
  .max(254, 'must have at most 254 characters')
  .refine((it) => z.email().safeParse(it).success, 'must be an e-mail address');

/** The largest number that GraphQL's Int holds. */
export const MAX_INT = 2_147_483_647;
