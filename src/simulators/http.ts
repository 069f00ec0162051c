import { timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { z } from 'zod';
import type { Logger } from '../platform/logger.ts';
import { SimulatorPortTaken } from './simulator.ts';

const MAX_BODY_BYTES = 256 * 1024;

export interface Call {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Answer {
  readonly status: number;
  /** Sent as JSON; text as HTML. */
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** `hang`: never answered, until the caller goes away. */
export type Handler = (call: Call) => Promise<Answer | 'hang'>;

/** What a simulator says no to. Rendered in the shape of the API that was called. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly code: string;
  /** Added to the answer's body. */
  readonly extra: Readonly<Record<string, unknown>>;

  constructor(status: number, code: string, message: string, extra: Readonly<Record<string, unknown>> = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.extra = extra;
  }
}

/** One thing that an API can be asked; the pattern's first group is an id in the path. */
export interface Route {
  readonly method: string;
  readonly pattern: RegExp;
  readonly run: (call: Call, id: string) => Answer | 'hang' | Promise<Answer | 'hang'>;
}

/** @throws {ApiError} there is no such route */
export async function routed(routes: readonly Route[], call: Call): Promise<Answer | 'hang'> {
  for (const { method, pattern, run } of routes) {
    const match = method === call.method ? pattern.exec(call.path) : null;
    if (match !== null) return run(call, match[1] ?? '');
  }
  throw new ApiError(404, 'not_found', 'There is nothing here.');
}

/** @throws {ApiError} */
export function parsed<Output>(schema: z.ZodType<Output>, given: unknown): Output {
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  // Names of members and rules alone: values may be personal data.
  const problems = result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
  throw new ApiError(400, 'invalid_request', problems);
}

/** The body as JSON; an empty one as `{}`. @throws {ApiError} */
export function jsonOf({ body }: Call): unknown {
  if (body.length === 0) return {};
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    throw new ApiError(400, 'invalid_request', 'The body is no JSON.');
  }
}

/** @throws {ApiError} */
export function requireKey(apiKey: string, { headers }: Call): void {
  const given = Buffer.from(headers.authorization ?? '');
  const wanted = Buffer.from(`Bearer ${apiKey}`);
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) {
    throw new ApiError(401, 'unauthorised', 'The key is missing or wrong.');
  }
}

export interface HttpServer {
  readonly url: string;
  stop(): Promise<void>;
}

export interface HttpOptions {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** The setting of the port, for whoever has to choose another. */
  readonly setting: string;
  readonly logger: Logger;
}

/** @throws {SimulatorPortTaken} */
export async function startHttp({ host, port, setting, logger }: HttpOptions, handle: Handler): Promise<HttpServer> {
  const server = createServer((request, response) => {
    void answer(request, response, handle, logger);
  });
  server.listen(port, host);
  await once(server, 'listening').catch((error: unknown) => {
    const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
    throw isTaken ? new SimulatorPortTaken(`Port ${port} is in use: set ${setting} to one that is free.`) : error;
  });
  const { port: actual } = z.object({ port: z.number() }).parse(server.address());
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${actual}`,
    async stop() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  handle: Handler,
  logger: Logger,
): Promise<void> {
  try {
    const { pathname: path, searchParams: query } = new URL(request.url ?? '/', 'http://simulator');
    const body = await bodyOf(request);
    const { method = 'GET', headers } = request;
    const result = await handle({ method, path, query, headers, body });
    if (result !== 'hang') send(response, result);
  } catch (error) {
    if (response.headersSent) return;
    if (!(error instanceof ApiError)) logger.error({ err: error }, 'the simulator broke');
    send(response, errorAnswer(error));
  }
}

/** The simulators' own shape of errors. */
export function errorAnswer(error: unknown): Answer {
  if (!(error instanceof ApiError)) {
    return { status: 500, body: { error: { code: 'internal', message: 'The simulator broke.' } } };
  }
  const { status, code, message, extra } = error;
  return { status, body: { error: { code, message }, ...extra } };
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > MAX_BODY_BYTES) throw new ApiError(413, 'too_large', `A body has at most ${MAX_BODY_BYTES} bytes.`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

function send(response: ServerResponse, { status, body, headers }: Answer): void {
  if (response.destroyed) return;
  const isPage = typeof body === 'string';
  const text = isPage ? body : JSON.stringify(body);
  response.writeHead(status, {
    'content-type': isPage ? 'text/html; charset=utf-8' : 'application/json',
    'content-length': Buffer.byteLength(text),
    ...headers,
  });
  response.end(text);
}
