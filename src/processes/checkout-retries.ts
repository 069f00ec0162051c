/** When what has to be done, and was not, is asked for again: later and later, for what cannot be will not be soon. */

const FIRST_PAUSE_MS = 60_000;
const LONGEST_PAUSE_MS = 86_400_000;

/** @param failures how often it has failed before */
export function retryTime(now: Date, failures: number): string {
  const pause = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(failures, 20), LONGEST_PAUSE_MS);
  return new Date(now.getTime() + pause).toISOString();
}

/** How many refunds were tried and failed before the one of this id. */
export function attemptOf(refundId: string): number {
  return Number(/#(\d+)$/.exec(refundId)?.[1] ?? 1) - 1;
}

/** The id of the refund that is tried after this one has failed. */
export function nextRefundId(refundId: string): string {
  return `${refundId.replace(/#\d+$/, '')}#${attemptOf(refundId) + 2}`;
}
