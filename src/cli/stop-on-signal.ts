import process from 'node:process';
import type { Logger } from '../platform/logger.ts';

/** Ends the process on SIGTERM and SIGINT, once it has stopped what it does. */
export function stopOnSignal(logger: Logger, stop: () => Promise<void>): void {
  const end = async (signal: string) => {
    logger.info({ signal }, 'stopping');
    await stop();
    process.exit(0);
  };
  process.once('SIGTERM', (signal) => void end(signal));
  process.once('SIGINT', (signal) => void end(signal));
}
