/** How something that broke is tried again. */
export interface RetryPolicy {
  /** How often it is tried in all, until it fails for good. */
  readonly maxAttempts: number;
  /** The pause after the first attempt, in milliseconds; it doubles with each. */
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
}

export const COMMAND_RETRIES: RetryPolicy = { maxAttempts: 8, firstPauseMs: 200, longestPauseMs: 60_000 };

/**
 * The pause after an attempt: exponential, with "equal jitter", so that what broke together does not come back together.
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter
 */
export function pauseAfter(
  attempt: number,
  { firstPauseMs, longestPauseMs }: Pick<RetryPolicy, 'firstPauseMs' | 'longestPauseMs'>,
): number {
  const longest = Math.min(longestPauseMs, firstPauseMs * 2 ** (attempt - 1));
  return longest / 2 + (Math.random() * longest) / 2;
}
