import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Logger } from '../../platform/logger.ts';
import { Faults, faultPlan } from '../faults.ts';
import {
  type Answer,
  type Call,
  errorAnswer,
  jsonOf,
  parsed,
  type Route,
  requireKey,
  routed,
  startHttp,
} from '../http.ts';
import { ledgerMark, type Simulator } from '../simulator.ts';
import type { WebhookPatience } from '../webhook-sender.ts';
import { CarrierLedger } from './ledger.ts';
import { calledOff, movedOn, type Pace, registered, type SimulatedShipment, shipmentBody } from './shipment.ts';

export interface CarrierSimulatorOptions {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** Its folder is taken for this process alone. */
  readonly ledgerFile: string;
  readonly apiKey: string;
  readonly webhookSecret: string;
  /** Where webhooks go, beside what is registered by `POST /v1/webhook_endpoints`. */
  readonly webhookUrl?: string;
  /** How fast shipments move by themselves; null: not at all, only by `POST /v1/shipments/<id>/advance`. */
  readonly pace?: Pace | null;
  readonly webhookPausesMs?: WebhookPatience;
  readonly logger: Logger;
}

/** Says whose port it is: to those who would start another one there. */
export const CARRIER_SIMULATOR = 'cartstream carrier';

const DEFAULT_PACE: Pace = { preparedMs: 4_000, inTransitMs: 6_000 };
const DEFAULT_PAUSES_MS = { first: 200, longest: 60_000 };

const line = z.string().min(1).max(300);
const register = z.object({
  reference: z.string().min(1).max(200),
  /** Read, and not kept. */
  address: z.object({ name: line, street: line, city: line, postalCode: line, country: line }),
});
const endpoint = z.object({ url: z.url({ protocol: /^https?$/ }) });

/**
 * A carrier that carries nothing: an HTTP server with a ledger on disk.
 * @throws {FolderInUse} another process has the ledger open
 */
export async function startCarrierSimulator(options: CarrierSimulatorOptions): Promise<Simulator> {
  const { host, port, apiKey, webhookSecret: secret, logger, webhookUrl, pace = DEFAULT_PACE } = options;
  const faults = new Faults();
  const webhookPausesMs = options.webhookPausesMs ?? DEFAULT_PAUSES_MS;
  const ledger = new CarrierLedger({ file: options.ledgerFile, secret, faults, logger, pace, webhookPausesMs });
  const routes = routesOf(ledger, faults, pace);

  const ledgerId = ledgerMark(options.ledgerFile);

  async function handle(call: Call): Promise<Answer | 'hang'> {
    if (call.path === '/health') return { status: 200, body: { simulator: CARRIER_SIMULATOR, ledger: ledgerId } };
    try {
      requireKey(apiKey, call);
      return await routed(routes, call);
    } catch (error) {
      const answer = errorAnswer(error);
      if (answer.status === 500) logger.debug({ err: error, path: call.path }, 'the carrier failed');
      return answer;
    }
  }

  try {
    const server = await startHttp({ host, port, setting: 'CARRIER_SIMULATOR_PORT', logger }, handle);
    if (webhookUrl !== undefined) ledger.webhooks.register(webhookUrl, 'plain');
    ledger.start();
    return {
      url: server.url,
      async stop() {
        await server.stop();
        await ledger.stop();
      },
    };
  } catch (error) {
    await ledger.stop();
    throw error;
  }
}

function routesOf(ledger: CarrierLedger, faults: Faults, pace: Pace | null): Route[] {
  const keyed = (call: Call, operation: string, subject: string, step: () => SimulatedShipment) =>
    ledger.calls.run(call, { operation, subject }, () => {
      const shipment = step();
      return { about: shipment.id, status: 200, body: shipmentBody(shipment), entries: ledger.entriesOf(shipment) };
    });
  const one = (shipment: SimulatedShipment): Answer => ({ status: 200, body: shipmentBody(shipment) });
  return [
    {
      method: 'POST',
      pattern: /^\/v1\/shipments$/,
      run(call) {
        const { reference } = parsed(register, jsonOf(call));
        return keyed(call, 'register', reference, () => {
          // The same goods are fetched once, whatever they are asked for with.
          const known = ledger.shipments().find((it) => it.reference === reference);
          return known ?? registered({ id: `ship_${randomUUID()}`, reference }, pace, new Date());
        });
      },
    },
    {
      method: 'GET',
      pattern: /^\/v1\/shipments$/,
      run: ({ query }) =>
        faults.around(() => {
          const found = ledger.shipments().filter(({ reference }) => reference === query.get('reference'));
          return { status: 200, body: { shipments: found.map(shipmentBody) } };
        }),
    },
    {
      method: 'GET',
      pattern: /^\/v1\/shipments\/([^/]+)$/,
      run: (_, id) => faults.around(() => one(ledger.shipment(id))),
    },
    {
      method: 'POST',
      pattern: /^\/v1\/shipments\/([^/]+)\/cancel$/,
      run: (call, id) => keyed(call, 'cancel', ledger.shipment(id).reference, () => calledOff(ledger.shipment(id))),
    },
    {
      method: 'POST',
      pattern: /^\/v1\/shipments\/([^/]+)\/advance$/,
      run(_, id) {
        ledger.record(ledger.entriesOf(movedOn(ledger.shipment(id), pace, new Date())));
        return one(ledger.shipment(id));
      },
    },
    {
      method: 'POST',
      pattern: /^\/v1\/webhook_endpoints$/,
      run(call) {
        const { url } = parsed(endpoint, jsonOf(call));
        ledger.webhooks.register(url, 'plain');
        return { status: 200, body: { url } };
      },
    },
    {
      method: 'POST',
      pattern: /^\/v1\/faults$/,
      run(call) {
        const plan = parsed(faultPlan, jsonOf(call));
        faults.set(plan);
        return { status: 200, body: plan };
      },
    },
    { method: 'GET', pattern: /^\/v1\/ledger$/, run: () => ({ status: 200, body: ledger.report() }) },
  ];
}
