import { setTimeout as delay } from 'node:timers/promises';
import { isDatabaseAway } from '../platform/failures.ts';
import { OutcomeUnknown } from './commands/command.ts';

/** How long a database that went away is waited for before the callers are told. */
const RECOVERY_MS = 10_000;

/**
 * Runs something again, with growing pauses, while the database is away.
 * @throws {OutcomeUnknown} it was away for too long
 */
export async function retryWhileAway<T>(run: () => Promise<T>): Promise<T> {
  const giveUpAt = performance.now() + RECOVERY_MS;
  for (let pause = 50; ; pause = Math.min(pause * 2, 1_000)) {
    try {
      return await run();
    } catch (error) {
      if (!isDatabaseAway(error)) throw error;
      if (performance.now() + pause > giveUpAt) throw outcomeUnknown(error);
      await delay(pause);
    }
  }
}

export function outcomeUnknown(cause: unknown): OutcomeUnknown {
  return new OutcomeUnknown('The database is away. Send the command again with the same commandId.', { cause });
}
