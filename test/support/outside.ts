import { systemClock } from '../../src/platform/clock.ts';
import { createLogger } from '../../src/platform/logger.ts';
import { createOutsideParties, type OutsideParties } from '../../src/server/outside-parties.ts';

/** The port of no one: whatever is asked of them fails at once. */
const NOBODY = { url: 'http://127.0.0.1:9', apiKey: 'none', webhookSecret: 'none' };

/** Outside parties that cannot be reached, and mails that are kept: for shops that sell nothing. */
export function unreachableParties(): OutsideParties {
  return createOutsideParties(
    {
      payment: { kind: 'simulated', ...NOBODY },
      carrier: NOBODY,
      smtpUrl: undefined,
      mailFrom: 'Shop <shop@example.com>',
      timeoutMs: 1_000,
    },
    systemClock,
    createLogger('silent'),
  );
}
