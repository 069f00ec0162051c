import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import { z } from 'zod';
import { createLogger } from '../../src/platform/logger.ts';
import { type CarrierSimulatorOptions, startCarrierSimulator } from '../../src/simulators/carrier/server.ts';
import { type PaymentSimulatorOptions, startPaymentSimulator } from '../../src/simulators/payment-provider/server.ts';
import type { Simulator } from '../../src/simulators/simulator.ts';

export const API_KEY = 'sk_test_key';
export const WEBHOOK_SECRET = 'whsec_test_secret';

const COMMON = {
  host: '127.0.0.1',
  port: 0,
  apiKey: API_KEY,
  webhookSecret: WEBHOOK_SECRET,
  webhookPausesMs: { first: 5, longest: 20 },
  logger: createLogger('silent'),
};

/** Waits until a check holds, also on a machine that is busy. */
export function eventually<Result>(check: () => Result | Promise<Result>): Promise<Result> {
  return vi.waitFor(check, { timeout: 40_000, interval: 5 });
}

/** Gives back what tests have opened, newest first. */
export class Cleanup {
  readonly #steps: (() => unknown)[] = [];

  add(step: () => unknown): void {
    this.#steps.push(step);
  }

  async run(): Promise<void> {
    for (const step of this.#steps.splice(0).reverse()) await step();
  }
}

/** A folder that is removed in the end. */
export function temporaryFolder(cleanup: Cleanup): string {
  const folder = mkdtempSync(join(tmpdir(), 'cartstream-simulator-'));
  cleanup.add(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export async function startPayments(
  cleanup: Cleanup,
  options: Partial<PaymentSimulatorOptions> = {},
): Promise<Simulator> {
  const ledgerFile = options.ledgerFile ?? join(temporaryFolder(cleanup), 'ledger.jsonl');
  return stoppedOnce(
    cleanup,
    await startPaymentSimulator({ ...COMMON, lateAfterMs: 10, disorderMs: 1_000, ...options, ledgerFile }),
  );
}

export async function startCarrier(
  cleanup: Cleanup,
  options: Partial<CarrierSimulatorOptions> = {},
): Promise<Simulator> {
  const ledgerFile = options.ledgerFile ?? join(temporaryFolder(cleanup), 'ledger.jsonl');
  return stoppedOnce(cleanup, await startCarrierSimulator({ ...COMMON, pace: null, ...options, ledgerFile }));
}

function stoppedOnce(cleanup: Cleanup, { url, stop }: Simulator): Simulator {
  let stopped: Promise<void> | undefined;
  const once = () => {
    stopped ??= stop();
    return stopped;
  };
  cleanup.add(once);
  return { url, stop: once };
}

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: z.output<typeof anyBody>;
}

const anyPayment = z.looseObject({
  id: z.string(),
  reference: z.string(),
  status: z.string(),
  capturedMinor: z.number(),
  refundedMinor: z.number(),
  refunds: z.array(z.looseObject({ reference: z.string(), amountMinor: z.number(), status: z.string() })),
});
const anyBody = z.looseObject({
  id: z.string().optional(),
  status: z.string().optional(),
  error: z.looseObject({ code: z.string() }).optional(),
  payments: z.array(anyPayment.partial().required({ reference: true, status: true })).optional(),
});

/** Speaks to a simulator as a shop does, in its own shape. */
export class SimulatorClient {
  readonly #url: string;
  readonly #apiKey: string;

  constructor(url: string, apiKey = API_KEY) {
    this.#url = url;
    this.#apiKey = apiKey;
  }

  async send(
    method: string,
    path: string,
    {
      body,
      key,
      apiKey = this.#apiKey,
      signal,
    }: { body?: unknown; key?: string; apiKey?: string; signal?: AbortSignal } = {},
  ): Promise<ApiAnswer> {
    const response = await fetch(`${this.#url}${path}`, {
      method,
      headers: { authorization: `Bearer ${apiKey}`, ...(key !== undefined && { 'idempotency-key': key }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(signal !== undefined && { signal }),
    });
    return { status: response.status, headers: response.headers, body: anyBody.parse(await response.json()) };
  }

  create(reference: string, token: string, more: { amountMinor?: number; key?: string; signal?: AbortSignal } = {}) {
    const { amountMinor = 1_000, key = `${reference}:authorise`, signal } = more;
    const body = { reference, amountMinor, currency: 'GBP', token };
    return this.send('POST', '/v1/payments', { key, body, ...(signal !== undefined && { signal }) });
  }

  capture(id: string | undefined, key = `${id}:capture`) {
    return this.send('POST', `/v1/payments/${id}/capture`, { key, body: {} });
  }

  refund(id: string | undefined, reference: string, amountMinor: number, key = `${id}:refund:${reference}`) {
    return this.send('POST', `/v1/payments/${id}/refunds`, { key, body: { reference, amountMinor } });
  }

  /** The payment with a reference; there must be one. */
  async find(reference: string) {
    const { body } = await this.send('GET', `/v1/payments?reference=${reference}`);
    const [payment] = body.payments ?? [];
    if (payment === undefined || body.payments?.length !== 1) throw new Error(`Not one payment of ${reference}.`);
    return anyPayment.parse(payment);
  }

  async ledger() {
    return ledger.parse((await this.send('GET', '/v1/ledger')).body);
  }
}

const ledger = z.object({
  payments: z
    .array(
      z.object({
        reference: z.string(),
        status: z.string(),
        authorisedMinor: z.number(),
        capturedMinor: z.number(),
        refundedMinor: z.number(),
      }),
    )
    .default([]),
  shipments: z.array(z.object({ reference: z.string(), status: z.string() })).default([]),
  calls: z.array(
    z.object({ key: z.string(), operation: z.string(), subject: z.string(), seen: z.number(), bodies: z.number() }),
  ),
  unsentWebhooks: z.number(),
});

/** One webhook as it came in. */
export interface ReceivedWebhook {
  readonly headers: IncomingHttpHeaders;
  readonly raw: Buffer;
  readonly body: { readonly id: string; readonly type: string };
}

export interface WebhookReceiver {
  readonly url: string;
  readonly received: readonly ReceivedWebhook[];
  /** Their types, in the order in which they came. */
  types(): string[];
  /** What it answers from now on. */
  answer(status: number): void;
  stop(): Promise<void>;
}

const event = z.looseObject({ id: z.string(), type: z.string() });

/** A shop as far as webhooks go: takes them down, and answers. @param port 0: any that is free */
export async function receiveWebhooks(cleanup: Cleanup, port = 0): Promise<WebhookReceiver> {
  const received: ReceivedWebhook[] = [];
  let status = 200;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const raw = Buffer.concat(chunks);
      received.push({ headers: request.headers, raw, body: event.parse(JSON.parse(raw.toString())) });
      response.writeHead(status).end();
    });
  });
  await once(server.listen(port, '127.0.0.1'), 'listening');
  const { port: actual } = z.object({ port: z.number() }).parse(server.address());
  const stop = async () => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  cleanup.add(stop);
  return {
    url: `http://127.0.0.1:${actual}/webhooks`,
    received,
    types: () => received.map(({ body }) => body.type),
    answer: (next) => {
      status = next;
    },
    stop,
  };
}
