import pino from 'pino';
import { withoutMailAddresses } from './redaction.ts';

export type Logger = pino.Logger;
export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Members that hold what somebody sent or what is stored of them: never logged, wherever they are. */
const CONTENTS = ['data', 'input', 'payload', 'email', 'address', 'shippingAddress'];

/**
 * One JSON object a line on standard error, so that what a command prints can be piped. Without personal data: whoever
 * logs leaves it out, and this is the net below.
 */
export function createLogger(
  level: LogLevel,
  to: pino.DestinationStream = pino.destination({ fd: 2, sync: false }),
): Logger {
  return pino(
    {
      level,
      base: null,
      redact: { paths: CONTENTS.flatMap((it) => [it, `*.${it}`]), censor: '[not logged]' },
      hooks: { streamWrite: withoutMailAddresses },
    },
    to,
  );
}
