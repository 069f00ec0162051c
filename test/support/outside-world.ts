import { join } from 'node:path';
import { systemClock } from '../../src/platform/clock.ts';
import { createLogger } from '../../src/platform/logger.ts';
import { createOutsideParties, type OutsideParties, type OutsideSettings } from '../../src/server/outside-parties.ts';
import { WEBHOOK_PATHS } from '../../src/server/webhooks.ts';
import type { Pace } from '../../src/simulators/carrier/shipment.ts';
import type { Simulator } from '../../src/simulators/simulator.ts';
import { simulatorSecrets } from '../../src/simulators/start.ts';
import { type MailServer, startMailServer } from './mail-server.ts';
import { type Cleanup, SimulatorClient, startCarrier, startPayments, temporaryFolder } from './simulators.ts';

const SECRET = 'outside';
const secrets = simulatorSecrets(SECRET);
const portOf = (url: string) => Number(new URL(url).port);

interface Ledgers {
  readonly payments: string;
  readonly carrier: string;
}

export interface OutsideOptions {
  /** When `tok_late` takes the money. */
  readonly lateAfterMs?: number;
  readonly disorderMs?: number;
}

/**
 * Everybody whom a shop deals with, each a server of its own that lives on when the shop is killed: a payment provider, a
 * carrier whose goods arrive at once, and a mail server. Each can be shut, and comes back with all that it knew.
 */
export class OutsideWorld {
  readonly provider: SimulatorClient;
  readonly carrier: SimulatorClient;
  readonly #cleanup: Cleanup;
  readonly #ledgers: Ledgers;
  readonly #options: OutsideOptions;
  readonly #ports: { readonly payments: number; readonly carrier: number; readonly mail: number };
  #payments: Simulator;
  #carrier: Simulator;
  #mail: MailServer;
  #mailBefore: MailServer['mails'] = [];

  static async open(cleanup: Cleanup, options: OutsideOptions = {}): Promise<OutsideWorld> {
    const folder = temporaryFolder(cleanup);
    const ledgers = { payments: join(folder, 'payments', 'it.jsonl'), carrier: join(folder, 'carrier', 'it.jsonl') };
    const payments = await startPayments(cleanup, { ...secrets, ...options, ledgerFile: ledgers.payments });
    const carrier = await startCarrier(cleanup, { ...secrets, pace: AT_ONCE, ledgerFile: ledgers.carrier });
    const world = new OutsideWorld(cleanup, options, ledgers, payments, carrier, await startMailServer());
    cleanup.add(() => world.#mail.close());
    return world;
  }

  private constructor(
    cleanup: Cleanup,
    options: OutsideOptions,
    ledgers: Ledgers,
    payments: Simulator,
    carrier: Simulator,
    mail: MailServer,
  ) {
    this.#cleanup = cleanup;
    this.#options = options;
    this.#ledgers = ledgers;
    this.#payments = payments;
    this.#carrier = carrier;
    this.#mail = mail;
    this.#ports = { payments: portOf(payments.url), carrier: portOf(carrier.url), mail: portOf(mail.url) };
    this.provider = new SimulatorClient(payments.url, secrets.apiKey);
    this.carrier = new SimulatorClient(carrier.url, secrets.apiKey);
  }

  /** What a server process is told of all of them. */
  get environment(): Readonly<Record<string, string>> {
    return {
      PAYMENT_PROVIDER_URL: this.#payments.url,
      CARRIER_URL: this.#carrier.url,
      SIMULATOR_SECRET: SECRET,
      SMTP_URL: this.#mail.url,
    };
  }

  /** All mails that came in. */
  get mails(): MailServer['mails'] {
    return [...this.#mailBefore, ...this.#mail.mails];
  }

  get mailServer(): MailServer {
    return this.#mail;
  }

  /** The ways to them, for a server in this process: with breakers that close again soon. */
  parties(): OutsideParties {
    const settings: OutsideSettings = {
      payment: { kind: 'simulated', url: this.#payments.url, ...secrets },
      carrier: { url: this.#carrier.url, ...secrets },
      smtpUrl: this.#mail.url,
      mailFrom: 'Shop <shop@example.com>',
      timeoutMs: 2_000,
      openForMs: 200,
    };
    return createOutsideParties(settings, systemClock, createLogger('silent'));
  }

  /** Tells them where a shop takes their calls. */
  async announce(serverUrl: string): Promise<void> {
    const at = (path: string) => ({ body: { url: new URL(path, serverUrl).href } });
    await this.provider.send('POST', '/v1/webhook_endpoints', at(WEBHOOK_PATHS.payment));
    await this.carrier.send('POST', '/v1/webhook_endpoints', at(WEBHOOK_PATHS.carrier));
  }

  /** Nobody answers there any more. */
  async shut(party: Party): Promise<void> {
    if (party === 'payment provider') await this.#payments.stop();
    if (party === 'carrier') await this.#carrier.stop();
    if (party !== 'mail server') return;
    this.#mailBefore = this.mails;
    await this.#mail.close();
  }

  /**
   * It is back, at the same place, and knows what it knew.
   * @param pace of the carrier's shipments from now on; null: they stay where they are
   */
  async reopen(party: Party, pace: Pace | null = AT_ONCE): Promise<void> {
    const { payments, carrier, mail } = this.#ports;
    if (party === 'payment provider') {
      const place = { port: payments, ledgerFile: this.#ledgers.payments };
      this.#payments = await startPayments(this.#cleanup, { ...secrets, ...this.#options, ...place });
    }
    if (party === 'carrier') {
      const place = { port: carrier, ledgerFile: this.#ledgers.carrier };
      this.#carrier = await startCarrier(this.#cleanup, { ...secrets, pace, ...place });
    }
    if (party === 'mail server') this.#mail = await startMailServer(mail);
  }
}

export type Party = 'payment provider' | 'carrier' | 'mail server';

const AT_ONCE = { preparedMs: 50, inTransitMs: 50 };
