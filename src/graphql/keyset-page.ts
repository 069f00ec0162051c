import { resolveCursorConnection } from '@pothos/plugin-relay';
import { z } from 'zod';
import type { Keyset, KeysetPage } from '../platform/keyset.ts';
import { DEFAULT_PAGE, MAX_PAGE } from './builder.ts';
import { fault } from './faults.ts';

/** A sorted list that clients read page by page. */
export interface KeysetList<Row, Key extends Keyset> {
  /** What its cursors are marked with: one of another list, or of another order, is refused. */
  readonly name: string;
  /** A key as it is read back from a cursor. */
  readonly key: z.ZodType<Key>;
  keyOf(row: Row): Key;
  find(page: KeysetPage<Key>): Promise<Row[]>;
  /** How many there are in all; null where counting would cost too much. */
  count(): Promise<number | null>;
}

interface PageArguments {
  readonly first?: number | null | undefined;
  readonly last?: number | null | undefined;
  readonly after?: string | null | undefined;
  readonly before?: string | null | undefined;
}

/** What a connection says of its total. */
export const TOTAL_COUNT = {
  nullable: true,
  audience: 'public',
  description: 'How many there are in all; null where counting would cost too much.',
  resolve: (page: { count(): Promise<number | null> }) => page.count(),
} as const;

/** The cursor of a place in a list, by the list's name. */
export function cursorAt(name: string, key: Keyset): string {
  return Buffer.from(JSON.stringify([name, ...key])).toString('base64url');
}

/** One page of a list, with the way to its total. @throws the fault BAD_USER_INPUT */
export async function keysetPage<Row, Key extends Keyset>(args: PageArguments, list: KeysetList<Row, Key>) {
  if ((args.first ?? 0) < 0 || (args.last ?? 0) < 0) {
    throw fault('BAD_USER_INPUT', 'first and last must not be negative.');
  }
  if (args.first != null && args.last != null) {
    throw fault('BAD_USER_INPUT', 'Either first or last: a page is counted from one end.');
  }
  const toCursor = (row: Row) => cursorAt(list.name, list.keyOf(row));
  const page = await resolveCursorConnection<Promise<Row[]>>(
    { args, defaultSize: DEFAULT_PAGE, maxSize: MAX_PAGE, toCursor },
    ({ after, before, limit, inverted }) =>
      list.find({ after: keyIn(after, list), before: keyIn(before, list), limit, inverted }),
  );
  const { startCursor, endCursor } = page.pageInfo;
  // Pothos gives an empty page empty cursors, which are no cursors.
  const pageInfo = { ...page.pageInfo, startCursor: startCursor || null, endCursor: endCursor || null };
  return { ...page, pageInfo, count: () => list.count() };
}

function keyIn<Key extends Keyset>(
  cursor: string | undefined,
  { name, key }: { readonly name: string; readonly key: z.ZodType<Key> },
): Key | undefined {
  if (cursor === undefined) return undefined;
  try {
    const [mark, ...values] = cursorContent.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')));
    if (mark === name) return key.parse(values);
  } catch {
    // The text is no cursor at all.
  }
  throw fault('BAD_USER_INPUT', 'after and before must be cursors that this very list gave, in the same order.');
}

const cursorContent = z.tuple([z.string()]).rest(z.unknown());
/** An instant in a cursor. */
export const cursorInstant = z.iso.datetime().transform((text) => new Date(text));
