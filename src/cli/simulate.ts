import process from 'node:process';
import { z } from 'zod';
import { InvalidSettings, readSettings } from '../config.ts';
import { createLogger } from '../platform/logger.ts';
import { startCarrierSimulator } from '../simulators/carrier/server.ts';
import { startPaymentSimulator } from '../simulators/payment-provider/server.ts';
import { simulatorLedgers, simulatorSecrets } from '../simulators/start.ts';
import { optionProblems } from './option-problems.ts';
import { stopOnSignal } from './stop-on-signal.ts';

const SECONDS = 'must be a number of seconds, up to a year';
const seconds = z.coerce
  .number(SECONDS)
  .min(0, SECONDS)
  .max(31_536_000, SECONDS)
  .transform((it) => it * 1_000);
const options = z.object({ lateAfter: seconds, prepared: seconds, inTransit: seconds, move: z.boolean() });

/** The outside parties in a process of their own, which may be killed and started again: their ledgers are on disk. */
export async function simulate(given: unknown): Promise<void> {
  const parsed = options.safeParse(given);
  if (!parsed.success) throw new InvalidSettings(optionProblems(parsed.error));
  const { lateAfter: lateAfterMs, prepared: preparedMs, inTransit: inTransitMs, move } = parsed.data;
  const settings = readSettings();
  const logger = createLogger(settings.LOG_LEVEL);
  const ledgers = simulatorLedgers(settings.DATA_DIR);
  const common = { host: settings.HOST, logger, ...simulatorSecrets(settings.SIMULATOR_SECRET) };
  const payment = await startPaymentSimulator({
    ...common,
    port: settings.PAYMENT_SIMULATOR_PORT,
    ledgerFile: ledgers.payment,
    lateAfterMs,
  });
  const carrier = await startCarrierSimulator({
    ...common,
    port: settings.CARRIER_SIMULATOR_PORT,
    ledgerFile: ledgers.carrier,
    pace: move ? { preparedMs, inTransitMs } : null,
  });
  process.stdout.write(`The simulators are ready: payment ${payment.url} carrier ${carrier.url}\n`);
  stopOnSignal(logger, async () => {
    await Promise.all([payment.stop(), carrier.stop()]);
  });
}
