import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { type ExecutionArgs, GraphQLError } from 'graphql';
import { handleProtocols, type SubscribePayload } from 'graphql-ws';
import { type Extra, useServer } from 'graphql-ws/use/ws';
import { WebSocket, WebSocketServer } from 'ws';
import { z } from 'zod';
import type { RequestContext } from '../graphql/context.ts';
import type { Yoga } from './fast-path.ts';
import { GRAPHQL_PATH } from './graphql.ts';
import { LiveSocket } from './shared-payload.ts';

const MAX_MESSAGE_BYTES = 1024 * 1024;
const MAX_SOCKETS = 20_000;
const MAX_OPERATIONS_PER_SOCKET = 100;
const INIT_TIMEOUT_MS = 5_000;
const KEEP_ALIVE_MS = 12_000;
/** How long a socket may take to say goodbye when the server stops. */
const GOODBYE_MS = 3_000;

/** Reasons for closing, as graphql-ws clients understand them: they come back after the first, not after the second. */
const SERVICE_RESTART = 1012;
const FORBIDDEN = 4403;

interface Session {
  readonly context: RequestContext;
  readonly expiry: NodeJS.Timeout | undefined;
}

export interface WebSocketParts {
  readonly yoga: Yoga;
  /** @throws where the authorization is not valid */
  contextOf(authorization: string | undefined): Promise<{ context: RequestContext; expiresAt?: Date | undefined }>;
  isAllowed(request: IncomingMessage): boolean;
}

export interface WebSockets {
  /** How many sockets are open. */
  readonly count: number;
  close(): Promise<void>;
}

/** Serves graphql-transport-ws on the HTTP server's port. */
export function serveWebSockets(server: Server, { yoga, contextOf, isAllowed }: WebSocketParts): WebSockets {
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
    handleProtocols,
    WebSocket: LiveSocket,
  });
  const sessions = new WeakMap<object, Session>();
  const served = useServer(
    {
      connectionInitWaitTimeout: INIT_TIMEOUT_MS,
      onConnect: async ({ extra, connectionParams }) => {
        try {
          sessions.set(extra, await openSession(extra, connectionParams));
          return true;
        } catch {
          return false;
        }
      },
      onClose: ({ extra }) => clearTimeout(sessions.get(extra)?.expiry),
      onSubscribe: ({ extra, subscriptions }, _id, payload) =>
        argumentsOf(sessions.get(extra), Object.keys(subscriptions).length, payload),
      execute: (args) => enveloped(args).execute(args),
      subscribe: (args) => enveloped(args).subscribe(args),
      onError: (_socket, _id, _payload, errors) =>
        errors.map(({ message, extensions: { http: _, ...extensions }, path, locations }) => ({
          message,
          extensions: { code: 'BAD_REQUEST', ...extensions },
          ...(path && { path }),
          ...(locations && { locations }),
        })),
    },
    sockets,
    KEEP_ALIVE_MS,
  );
  const onUpgrade = (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    // Until the handshake is over nobody else listens for errors of the stream: one reset would end the process.
    stream.on('error', () => stream.destroy());
    if (request.url?.split('?', 1)[0] !== GRAPHQL_PATH) return refuse(stream, '404 Not Found');
    if (!isAllowed(request)) return refuse(stream, '403 Forbidden');
    if (sockets.clients.size >= MAX_SOCKETS) return refuse(stream, '503 Service Unavailable');
    sockets.handleUpgrade(request, stream, head, (socket) => sockets.emit('connection', socket, request));
  };
  server.on('upgrade', onUpgrade);

  async function openSession({ socket, request }: Extra, parameters: unknown): Promise<Session> {
    const authorization = connectionParameters.parse(parameters ?? {});
    const { context, expiresAt } = await contextOf(authorization ?? request.headers.authorization);
    if (socket.readyState !== WebSocket.OPEN) return { context, expiry: undefined };
    const left = expiresAt === undefined ? undefined : expiresAt.getTime() - Date.now();
    // Longer than a timer can wait (24 days).
    if (left === undefined || left > 2 ** 31 - 1) return { context, expiry: undefined };
    const expiry = setTimeout(() => socket.close(FORBIDDEN, 'The token has expired'), left);
    return { context, expiry };
  }

  /** Anything wrong with one operation ends that operation alone: thrown, it would end the socket with all others. */
  async function argumentsOf(
    session: Session | undefined,
    openOperations: number,
    payload: SubscribePayload,
  ): Promise<ExecutionArgs | readonly GraphQLError[]> {
    if (session === undefined) return [codedError('UNAUTHENTICATED', 'The connection was not initialised.')];
    if (openOperations > MAX_OPERATIONS_PER_SOCKET) {
      return [codedError('OVERLOADED', `A socket has at most ${MAX_OPERATIONS_PER_SOCKET} operations at a time.`)];
    }
    const tools = yoga.getEnveloped({ ...session.context });
    try {
      const document = tools.parse(payload.query);
      const errors: readonly GraphQLError[] = tools.validate(tools.schema, document);
      if (errors.length > 0) return errors;
      const args = {
        schema: tools.schema,
        operationName: payload.operationName,
        document,
        variableValues: payload.variables,
        contextValue: await tools.contextFactory(),
      };
      toolsOf.set(args.contextValue, tools);
      return args;
    } catch (error) {
      return [error instanceof GraphQLError ? error : codedError('BAD_REQUEST', 'The operation could not be read.')];
    }
  }

  return {
    get count() {
      return sockets.clients.size;
    },
    async close() {
      server.off('upgrade', onUpgrade);
      for (const socket of sockets.clients) socket.close(SERVICE_RESTART, 'The server restarts');
      const cut = setTimeout(() => {
        for (const socket of sockets.clients) socket.terminate();
      }, GOODBYE_MS);
      await served.dispose();
      clearTimeout(cut);
    },
  };
}

/** Clients write it as they like, as in a header. */
const connectionParameters = z
  .record(z.string(), z.unknown())
  .transform((it) => Object.entries(it).find(([name]) => name.toLowerCase() === 'authorization')?.[1])
  .pipe(z.string().optional());
const toolsOf = new WeakMap<object, ReturnType<Yoga['getEnveloped']>>();

function enveloped({ contextValue }: ExecutionArgs): ReturnType<Yoga['getEnveloped']> {
  const tools = toolsOf.get(z.custom<object>().parse(contextValue));
  if (tools === undefined) throw new Error('An operation was run that was not prepared.');
  return tools;
}

function codedError(code: string, message: string): GraphQLError {
  return new GraphQLError(message, { extensions: { code } });
}

function refuse(stream: Duplex, status: string): void {
  stream.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
