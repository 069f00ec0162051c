import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { z } from 'zod';
import { contexts } from '../contexts/index.ts';
import type { Engine } from '../eventsourcing/engine.ts';
import { ReadAudit } from '../eventsourcing/reads/read-audit.ts';
import { ReadRecords } from '../eventsourcing/reads/read-records.ts';
import type { RequestContext } from '../graphql/context.ts';
import { Authenticator, type AuthMode } from './authentication.ts';
import { acceptsAnswer, acceptsStream, answerPlain } from './fast-path.ts';
import { createGraphQL, GRAPHQL_PATH } from './graphql.ts';
import { health } from './health.ts';
import { BadBody, readBody, sendError } from './http-body.ts';
import { OpenStreams } from './open-streams.ts';
import { OriginPolicy } from './origins.ts';
import { createSchema } from './schema.ts';
import { type ShopEngineParts, type ShopEngineSettings, startShopEngine } from './shop-engine.ts';
import { isWebhookPath, takeWebhook } from './webhooks.ts';
import { serveWebSockets } from './websocket.ts';

export interface ServerSettings extends ShopEngineSettings {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly authMode: AuthMode;
  readonly jwtSecret?: string | undefined;
  /** Origins of web pages that may call this server from another host. */
  readonly corsOrigins: readonly string[];
  readonly readWaitMs: number;
  readonly defaultCurrency: string;
  /** Whether it is recorded who reads what. */
  readonly auditReads: boolean;
  /** For so many days that is kept, also what was recorded before. */
  readonly auditReadsDays: number;
}

export interface ServerParts extends ShopEngineParts {
  /** What must be done before the first request is answered. */
  prepare?(engine: Engine): Promise<void>;
}

export interface RunningServer {
  readonly port: number;
  readonly engine: Engine;
  readonly readAudit: ReadAudit;
  /** Finishes what is in flight, tells sockets to come back, and stops. */
  stop(): Promise<void>;
}

const UUID = z.uuid();
const DRAIN_MS = 10_000;

/** Starts the engine over a migrated database, and serves it. Where it cannot be served, it is stopped again. */
export async function startServer(settings: ServerSettings, parts: ServerParts): Promise<RunningServer> {
  const engine = await startShopEngine(settings, parts);
  try {
    await parts.prepare?.(engine);
    return await listen(engine, settings, parts);
  } catch (error) {
    await engine.stop();
    throw error;
  }
}

async function listen(engine: Engine, settings: ServerSettings, parts: ServerParts): Promise<RunningServer> {
  const { logger, ids, clock, database } = parts;
  const authenticator = new Authenticator(settings.authMode, settings.jwtSecret);
  const origins = new OriginPolicy(settings.corsOrigins, settings.authMode === 'open');
  const { readWaitMs, defaultCurrency, auditReads, auditReadsDays: keptDays } = settings;
  const yoga = createGraphQL(createSchema(contexts, { auditReads }), logger);
  const records = new ReadRecords(database.derived);
  const readAudit = new ReadAudit({ records, isOn: auditReads, keptDays, clock, ids, logger });

  const streams = new OpenStreams();

  async function contextOf(authorization: string | undefined, correlation?: string) {
    const { actor, expiresAt } = await authenticator.authenticate(authorization);
    const correlationId = correlation === undefined ? undefined : UUID.safeParse(correlation).data;
    const context: RequestContext = { actor, engine, ids, readAudit, readWaitMs, defaultCurrency, correlationId };
    return { context, expiresAt };
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method, headers, url = '/' } = request;
    const path = url.split('?', 1)[0];
    const { outside } = parts;
    if (path?.startsWith('/health/')) return health(path, response, { engine, database, outside, readAudit });
    if (isWebhookPath(path)) {
      if (method !== 'POST') return sendError(response, 405, 'METHOD_NOT_ALLOWED', 'Webhooks are sent by POST.');
      return takeWebhook(path, headers, await readBody(request), response, { engine, outside, logger });
    }
    if (path === '/' && method === 'GET') {
      response.writeHead(302, { location: GRAPHQL_PATH }).end();
      return;
    }
    if (path !== GRAPHQL_PATH) return sendError(response, 404, 'NOT_FOUND', `The API is at ${GRAPHQL_PATH}.`);
    if (!origins.allows(headers))
      return sendError(response, 403, 'FORBIDDEN', 'Pages of this origin may not call this server: see CORS_ORIGINS.');
    if (headers.origin !== undefined) allowOrigin(response, headers.origin);
    if (method === 'OPTIONS') {
      response.writeHead(204).end();
      return;
    }
    const { context, expiresAt } = await contextOf(headers.authorization, headerText(headers['x-correlation-id']));
    if (method === 'POST') {
      if (!isJsonRequest(headers['content-type'])) {
        return sendError(response, 415, 'UNSUPPORTED_MEDIA_TYPE', 'Send the operation as application/json.');
      }
      if (!acceptsAnswer(headers)) {
        return sendError(response, 406, 'NOT_ACCEPTABLE', 'Answers are application/json or text/event-stream.');
      }
      const body = await readBody(request);
      if (url === GRAPHQL_PATH && (await answerPlain(yoga, request, response, body, context))) return;
      // Yoga takes what was read already from here, as from a body parser; an empty body would make it read again.
      Object.assign(request, { body: body.length === 0 ? Buffer.from(' ') : body });
    }
    if (method === 'GET' && !hasReadableParameters(url)) {
      return sendError(response, 400, 'BAD_REQUEST', 'variables and extensions must be JSON.');
    }
    if (acceptsStream(headers)) streams.add(response, expiresAt);
    await yoga(request, response, { ...context });
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      if (error instanceof BadBody) return sendError(response, error.status, error.code, error.message);
      const known = z
        .object({ message: z.string(), extensions: z.object({ code: z.literal('UNAUTHENTICATED') }) })
        .safeParse(error).data;
      if (known !== undefined) return sendError(response, 401, known.extensions.code, known.message);
      logger.error({ err: error }, 'request failed');
      sendError(response, 500, 'INTERNAL_SERVER_ERROR', 'Something broke inside.');
    });
  });
  const sockets = serveWebSockets(server, { yoga, contextOf, isAllowed: ({ headers }) => origins.allows(headers) });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(settings.port, settings.host, resolve);
  });
  readAudit.start();
  const { port } = z.object({ port: z.number() }).parse(server.address());
  return {
    port,
    engine,
    readAudit,
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      await sockets.close();
      streams.cut();
      server.closeIdleConnections();
      const cut = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
      await closed;
      clearTimeout(cut);
      await readAudit.stop();
      await engine.stop();
    },
  };
}

/** Web pages cannot send JSON to another site without asking first: so no page can act through a visitor's browser. */
function isJsonRequest(contentType = ''): boolean {
  return /^application\/(graphql\+)?json\s*(;|$)/i.test(contentType);
}

/** What a GET carries as JSON can be parsed. */
function hasReadableParameters(url: string): boolean {
  const { searchParams } = new URL(url, 'http://localhost');
  return ['variables', 'extensions'].every((name) => {
    try {
      JSON.parse(searchParams.get(name) || 'null');
      return true;
    } catch {
      return false;
    }
  });
}

function allowOrigin(response: ServerResponse, origin: string): void {
  response.setHeader('access-control-allow-origin', origin);
  response.setHeader('vary', 'Origin');
  response.setHeader('access-control-allow-headers', 'authorization, content-type, x-correlation-id');
  response.setHeader('access-control-allow-methods', 'GET, POST, OPTIONS');
  response.setHeader('access-control-max-age', '600');
}

function headerText(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.[0];
}
