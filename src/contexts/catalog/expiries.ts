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
