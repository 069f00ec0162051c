/** How a payment behaves: what its token told. */
export const BEHAVIOURS = [
  'ok',
  'decline',
  'action',
  'silent',
  'late',
  'twice',
  'error',
  'hang',
  'disorder',
  'refund_fails',
  'unknown',
] as const;
export type Behaviour = (typeof BEHAVIOURS)[number];

/**
 * What a token stands for; `tok_ok_<anything>` is one of its own that behaves like `tok_ok`.
 * The token itself is not kept: it is a secret of whoever pays.
 */
export function behaviourOf(token: string): Behaviour {
  const found = BEHAVIOURS.find((it) => it !== 'unknown' && (token === `tok_${it}` || token.startsWith(`tok_${it}_`)));
  return found ?? 'unknown';
}
