import type { Settings } from '../config.ts';
import { systemClock } from '../platform/clock.ts';
import type { Logger } from '../platform/logger.ts';
import { createOutsideParties, type OutsideParties, type OutsideSettings } from '../server/outside-parties.ts';
import { WEBHOOK_PATHS } from '../server/webhooks.ts';
import { announceWebhooks } from '../simulators/announce.ts';
import { type RunningSimulators, simulatorSecrets, startSimulators } from '../simulators/start.ts';

/** The outside parties that the settings name, with the simulators that stand in for those that they do not. */
export interface Outside {
  readonly parties: OutsideParties;
  /** Tells simulators where this server takes their calls. */
  announce(serverUrl: string): void;
  stop(): Promise<void>;
}

/** Simulators speak to this machine alone. */
const SIMULATOR_HOST = '127.0.0.1';

/**
 * Opens the ways to all outside parties.
 * @param mayStart whether simulators are started for those that no setting names; otherwise they are looked for where
 *   another process of the same settings has started them
 * @throws {SimulatorPortTaken}
 */
export async function openOutside(
  settings: Settings,
  logger: Logger,
  { mayStart }: { readonly mayStart: boolean },
): Promise<Outside> {
  const { PAYMENT_PROVIDER, PAYMENT_PROVIDER_URL, CARRIER_URL } = settings;
  const secrets = simulatorSecrets(settings.SIMULATOR_SECRET);
  const isPaymentNamed = PAYMENT_PROVIDER === 'stripe' || PAYMENT_PROVIDER_URL !== undefined;
  const isNeeded = mayStart && !(isPaymentNamed && CARRIER_URL !== undefined);
  const simulators = isNeeded ? await simulatorsFor(settings, logger) : undefined;
  const at = (port: number) => `http://${SIMULATOR_HOST}:${port}`;
  const paymentUrl = PAYMENT_PROVIDER_URL ?? simulators?.paymentUrl ?? at(settings.PAYMENT_SIMULATOR_PORT);
  const carrierUrl = CARRIER_URL ?? simulators?.carrierUrl ?? at(settings.CARRIER_SIMULATOR_PORT);
  const parties = createOutsideParties(
    {
      payment:
        PAYMENT_PROVIDER === 'stripe' ? stripeAccess(settings) : { kind: 'simulated', url: paymentUrl, ...secrets },
      carrier: { url: carrierUrl, ...secrets },
      smtpUrl: settings.SMTP_URL,
      mailFrom: settings.MAIL_FROM,
      timeoutMs: settings.PROVIDER_TIMEOUT_MS,
    },
    systemClock,
    logger,
  );
  let callOff = () => {};
  return {
    parties,
    announce(serverUrl) {
      const urls = { payment: serverUrl + WEBHOOK_PATHS.payment, carrier: serverUrl + WEBHOOK_PATHS.carrier };
      callOff = announceWebhooks({ paymentUrl, carrierUrl }, secrets.apiKey, urls, logger);
    },
    async stop() {
      callOff();
      parties.close();
      await simulators?.stop();
    },
  };
}

function simulatorsFor(settings: Settings, logger: Logger): Promise<RunningSimulators> {
  return startSimulators({
    host: SIMULATOR_HOST,
    paymentPort: settings.PAYMENT_SIMULATOR_PORT,
    carrierPort: settings.CARRIER_SIMULATOR_PORT,
    dataDir: settings.DATA_DIR,
    secrets: simulatorSecrets(settings.SIMULATOR_SECRET),
    // Money that comes after the limit: that is what tok_late is for.
    lateAfterMs: (settings.PAYMENT_LIMIT_S + 30) * 1_000,
    logger,
  });
}

function stripeAccess(settings: Settings): OutsideSettings['payment'] {
  const { STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRET, STRIPE_API_URL, STRIPE_RETURN_URL } = settings;
  return {
    kind: 'stripe',
    // Both are there: readSettings asks for them.
    secretKey: STRIPE_SECRET_KEY ?? '',
    webhookSecret: STRIPE_WEBHOOK_SECRET ?? '',
    ...(STRIPE_API_URL !== undefined && { apiUrl: STRIPE_API_URL }),
    ...(STRIPE_RETURN_URL !== undefined && { returnUrl: STRIPE_RETURN_URL }),
  };
}
