import type { Client } from 'graphql-ws';
import { z } from 'zod';
import { systemClock } from '../../src/platform/clock.ts';
import { createLogger } from '../../src/platform/logger.ts';
import { createOutsideParties, type OutsideParties } from '../../src/server/outside-parties.ts';
import type { ServerSettings } from '../../src/server/server.ts';
import { WEBHOOK_PATHS } from '../../src/server/webhooks.ts';
import type { Pace } from '../../src/simulators/carrier/shipment.ts';
import { Buyer, onlyOne } from './buyer.ts';
import { eventually, rawId } from './operator.ts';
import type { Order } from './order-views.ts';
import { RunningClock } from './running-clock.ts';
import { type LocalServer, startLocalServer } from './servers.ts';
import { API_KEY, Cleanup, SimulatorClient, startCarrier, startPayments, WEBHOOK_SECRET } from './simulators.ts';
import { socketClient } from './sockets.ts';
import type { StoreKind } from './stores.ts';

/** Within so long an order has to be paid. */
export const PAYMENT_LIMIT_MS = 900_000;
/** When `tok_late` takes the money; until then a test has to let the limit pass. */
const LATE_AFTER_MS = 2_500;

interface TradingOptions {
  readonly settings?: Partial<ServerSettings>;
  /** How fast shipments move by themselves; without one, a test moves them. */
  readonly pace?: Pace;
}

/**
 * A server over a store of its own that sells: with a payment provider and a carrier, simulated, that it calls and that
 * call back over real sockets. Its clock can be put forward; theirs goes on as it does.
 */
export class TradingShop {
  readonly server: LocalServer;
  /** The ways to all whom it deals with, for another server of the same store. */
  readonly outside: OutsideParties;
  readonly buyer: Buyer;
  readonly client: Client;
  readonly clock: RunningClock;
  readonly provider: SimulatorClient;
  readonly carrier: SimulatorClient;
  readonly #cleanup: Cleanup;

  static async open(kind: StoreKind, { settings = {}, pace }: TradingOptions = {}): Promise<TradingShop> {
    const cleanup = new Cleanup();
    try {
      const store = await kind.create();
      cleanup.add(store.remove);
      const payments = await startPayments(cleanup, { lateAfterMs: LATE_AFTER_MS, disorderMs: 100 });
      const carrier = await startCarrier(cleanup, pace === undefined ? {} : { pace });
      const access = { apiKey: API_KEY, webhookSecret: WEBHOOK_SECRET };
      const outside = createOutsideParties(
        {
          payment: { kind: 'simulated', url: payments.url, ...access },
          carrier: { url: carrier.url, ...access },
          smtpUrl: undefined,
          mailFrom: 'Shop <shop@example.com>',
          timeoutMs: 3_000,
        },
        systemClock,
        createLogger('silent'),
      );
      cleanup.add(() => outside.close());
      const clock = new RunningClock();
      const patient = { paymentLimitMs: PAYMENT_LIMIT_MS, readWaitMs: 20_000 };
      const server = await startLocalServer(store, { ...patient, ...settings }, outside, clock);
      cleanup.add(server.stop);
      const shop = new TradingShop(server, outside, clock, [payments.url, carrier.url], cleanup);
      await shop.#announceWebhooks();
      return shop;
    } catch (error) {
      await cleanup.run();
      throw error;
    }
  }

  private constructor(
    server: LocalServer,
    outside: OutsideParties,
    clock: RunningClock,
    simulators: readonly [string, string],
    rest: Cleanup,
  ) {
    this.server = server;
    this.outside = outside;
    this.clock = clock;
    this.#cleanup = rest;
    this.buyer = new Buyer(server.url);
    this.client = socketClient(server.webSocketUrl);
    this.provider = new SimulatorClient(simulators[0]);
    this.carrier = new SimulatorClient(simulators[1]);
    rest.add(() => this.client.dispose());
  }

  close(): Promise<void> {
    return this.#cleanup.run();
  }

  /** The carrier moves the goods of an order one step on, and says so. */
  async carry(order: Order): Promise<void> {
    const { body } = await this.carrier.send('GET', `/v1/shipments?reference=${rawId(onlyOne(order.shipments).id)}`);
    const { id } = onlyOne(carried.parse(body).shipments);
    await this.carrier.send('POST', `/v1/shipments/${id}/advance`);
  }

  /** The goods of an order that is prepared arrive. */
  async deliver(order: Order): Promise<Order> {
    await this.carry(order);
    await this.buyer.untilOrder(order.id, { status: 'SHIPPED' });
    await this.carry(order);
    return this.buyer.untilOrder(order.id, { status: 'DELIVERED' });
  }

  /** The time to pay what was ordered until now passes. */
  letPaymentsTimeOut(): void {
    this.clock.advance(PAYMENT_LIMIT_MS + 1_000);
  }

  /** A payment as it stands at the provider. */
  async atProvider({ id }: { readonly id: string }) {
    return this.provider.find(rawId(id));
  }

  /** Everything that the provider has to tell was told, and taken. */
  async untilProviderIsSilent(): Promise<void> {
    await eventually(async () => {
      if ((await this.provider.ledger()).unsentWebhooks > 0) throw new Error('There are webhooks under way.');
    });
  }

  async #announceWebhooks(): Promise<void> {
    const at = (path: string) => ({ body: { url: new URL(path, this.server.url).href } });
    await this.provider.send('POST', '/v1/webhook_endpoints', at(WEBHOOK_PATHS.payment));
    await this.carrier.send('POST', '/v1/webhook_endpoints', at(WEBHOOK_PATHS.carrier));
  }
}

const carried = z.object({ shipments: z.array(z.object({ id: z.string() })) });
