/** When the reservation of an order is over. */
export interface Expiry {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly orderId: string;
}

interface Heap {
  readonly expiry: Expiry;
  /** How many steps it is to the right end: never more than to the left. */
  readonly rank: number;
  readonly left: Expiries;
  readonly right: Expiries;
}

/**
 * Expiries, the soonest first. Never changed, like all of a decider's state: adding and taking away give others.
 * A leftist heap, after Clark Crane (1972): both cost the logarithm of how many there are.
 */
export type Expiries = Heap | undefined;

/**
 * The heap as a list that `heapOf` makes the same heap of: also which of two that are over at the same instant comes first
 * stays as it is. `children`: 1 for a left one, 2 for a right one, 3 for both; those follow, the left one first.
 */
export function listOf(expiries: Expiries): ListedExpiry[] {
  const listed: ListedExpiry[] = [];
  const open = expiries === undefined ? [] : [expiries];
  for (let heap = open.pop(); heap !== undefined; heap = open.pop()) {
    const { expiry, left, right } = heap;
    listed.push({ ...expiry, children: (left === undefined ? 0 : 1) + (right === undefined ? 0 : 2) });
    if (right !== undefined) open.push(right);
    if (left !== undefined) open.push(left);
  }
  return listed;
}

export interface ListedExpiry extends Expiry {
  readonly children: number;
}

/** @throws where the list is not one that `listOf` made */
export function heapOf(listed: readonly ListedExpiry[]): Expiries {
  const made: Heap[] = [];
  // From the end, so that children are made before what they hang from: the left one last.
  for (const { at, orderId, children } of listed.toReversed()) {
    const left = (children & 1) === 0 ? undefined : made.pop();
    const right = (children & 2) === 0 ? undefined : made.pop();
    made.push({ expiry: { at, orderId }, rank: (right?.rank ?? 0) + 1, left, right });
  }
  if (made.length > 1) throw new Error('These are expiries of several heaps.');
  return made[0];
}

export function withExpiry(expiries: Expiries, expiry: Expiry): Expiries {
  return merged(expiries, { expiry, rank: 1, left: undefined, right: undefined });
}

export function withoutSoonest(expiries: Heap): Expiries {
  return merged(expiries.left, expiries.right);
}

function merged(one: Expiries, other: Expiries): Expiries {
  if (one === undefined) return other;
  if (other === undefined) return one;
  const [sooner, later] = one.expiry.at <= other.expiry.at ? [one, other] : [other, one];
  const rest = merged(sooner.right, later);
  const isDeeper = (rest?.rank ?? 0) > (sooner.left?.rank ?? 0);
  const [left, right] = isDeeper ? [rest, sooner.left] : [sooner.left, rest];
  return { expiry: sooner.expiry, rank: (right?.rank ?? 0) + 1, left, right };
}
