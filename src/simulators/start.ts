import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Logger } from '../platform/logger.ts';
import { announceWebhooks, type WebhookUrls } from './announce.ts';
import { CARRIER_SIMULATOR, startCarrierSimulator } from './carrier/server.ts';
import type { Pace } from './carrier/shipment.ts';
import { PAYMENT_SIMULATOR, startPaymentSimulator } from './payment-provider/server.ts';
import { SharedSimulator } from './shared-simulator.ts';

/** What the shop and the simulators have in common. */
export interface SimulatorSecrets {
  readonly apiKey: string;
  readonly webhookSecret: string;
}

/** Both from the one that is set. */
export function simulatorSecrets(secret: string): SimulatorSecrets {
  const derived = (use: string) => createHash('sha256').update(`${use}\n${secret}`).digest('base64url');
  return { apiKey: `sk_simulated_${derived('key')}`, webhookSecret: `whsec_${derived('webhook')}` };
}

/** Where the ledgers of a data folder are. */
export function simulatorLedgers(dataDir: string): { readonly payment: string; readonly carrier: string } {
  const of = (name: string) => join(dataDir, 'simulators', name, 'ledger.jsonl');
  return { payment: of('payment-provider'), carrier: of('carrier') };
}

export interface SimulatorsOptions {
  readonly host: string;
  /** 0: any that is free. */
  readonly paymentPort: number;
  readonly carrierPort: number;
  readonly dataDir: string;
  readonly secrets: SimulatorSecrets;
  readonly webhookUrls?: WebhookUrls;
  /** When `tok_late` takes the money: after the payment limit. */
  readonly lateAfterMs?: number;
  /** How fast shipments move by themselves; null: not at all. */
  readonly pace?: Pace | null;
  readonly logger: Logger;
}

export interface RunningSimulators {
  readonly paymentUrl: string;
  readonly carrierUrl: string;
  stop(): Promise<void>;
}

/**
 * Both simulators in this process; or, where another process serves them on these ports already, those. When that process
 * ends, this one goes on with its ledgers, if they are in the same data folder.
 * @throws {SimulatorPortTaken}
 * @throws {FolderInUse} another process has the ledgers open, and serves them on other ports
 */
export async function startSimulators(options: SimulatorsOptions): Promise<RunningSimulators> {
  const { host, paymentPort, carrierPort, dataDir, secrets, webhookUrls, lateAfterMs, pace, logger } = options;
  const ledgers = simulatorLedgers(dataDir);
  const payment = await SharedSimulator.start({
    simulator: PAYMENT_SIMULATOR,
    host,
    port: paymentPort,
    ledgerFile: ledgers.payment,
    logger,
    begin: () =>
      startPaymentSimulator({
        ...{ host, port: paymentPort, ledgerFile: ledgers.payment, ...secrets, logger },
        ...(lateAfterMs !== undefined && { lateAfterMs }),
      }),
  });
  try {
    const carrier = await SharedSimulator.start({
      simulator: CARRIER_SIMULATOR,
      host,
      port: carrierPort,
      ledgerFile: ledgers.carrier,
      logger,
      begin: () =>
        startCarrierSimulator({
          ...{ host, port: carrierPort, ledgerFile: ledgers.carrier, ...secrets, logger },
          ...(pace !== undefined && { pace }),
        }),
    });
    const running = { paymentUrl: payment.url, carrierUrl: carrier.url };
    const stopAnnouncing = webhookUrls && announceWebhooks(running, secrets.apiKey, webhookUrls, logger);
    return {
      ...running,
      async stop() {
        stopAnnouncing?.();
        await Promise.all([payment.stop(), carrier.stop()]);
      },
    };
  } catch (error) {
    await payment.stop();
    throw error;
  }
}
