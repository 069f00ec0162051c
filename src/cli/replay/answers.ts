import { z } from 'zod';
import { Fault } from './graphql-client.ts';

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

/** @throws {Fault} the data has another shape */
export function parseAnswer<Schema extends z.ZodType>(schema: Schema, data: unknown): z.output<Schema> {
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  throw new Fault(
    'UNEXPECTED_ANSWER',
    `The answer has another shape than the API has: ${z.prettifyError(parsed.error)}`,
  );
}
