import { z } from 'zod';

/** What the answers of all commands have in common. */

export const receipt = z.object({ position: z.string().nullable() });
export const rejection = z.object({
  __typename: z.string(),
  code: z.string(),
  message: z.string(),
  id: z.string().nullish(),
  fields: z.array(z.object({ path: z.array(z.string()) })).optional(),
});
export const amount = z.object({ amountMinor: z.number() });
export const money = z.object({ amountMinor: z.number(), currency: z.string() });

/** The business "no". */
export type Rejected = Readonly<{ outcome: 'rejected'; code: string; message: string; isNoProduct: boolean }>;

export function rejected({ code, message }: z.output<typeof rejection>, isNoProduct = false): Rejected {
  return { outcome: 'rejected', code, message, isNoProduct };
}
