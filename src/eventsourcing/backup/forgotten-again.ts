import { z } from 'zod';
import type { Forgotten } from './forgotten-list.ts';
import type { Queries } from './stored-tables.ts';

const FORGET = 'SELECT forget_subjects($1::text[], $2::timestamptz)::text';
// Their rows were restored without a key already: what tells is whether anything was sealed for them.
const KNOWN = 'SELECT count(DISTINCT subject_id)::int AS count FROM subject_keys WHERE subject_id = ANY ($1::text[])';

const counted = z.tuple([z.object({ count: z.number() })]);

/**
 * Destroys the keys of those who were forgotten after a backup was made: also of who had none then, so that they never get one.
 * @returns how many of them had one
 */
export async function forgetAgain(client: Queries, forgotten: readonly Forgotten[]): Promise<number> {
  const subjects = forgotten.map(({ subject }) => subject);
  if (subjects.length === 0) return 0;
  const [{ count }] = counted.parse(await client.query(KNOWN, subjects));
  // A statement for each instant that there is: few are forgotten together.
  for (const { subject, at } of forgotten) await client.query(FORGET, [subject], at);
  return count;
}
