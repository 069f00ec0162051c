import {
  type Client,
  createClient,
  type ExecutionResult,
  GRAPHQL_TRANSPORT_WS_PROTOCOL,
  type SubscribePayload,
} from 'graphql-ws';
import { WebSocket } from 'ws';

/** What came over one subscription so far. */
export interface Watching<Data> {
  readonly results: ExecutionResult<Data>[];
  readonly ended: Promise<unknown>;
  /** What it ended with: undefined while it runs, and after it was completed. */
  error: unknown;
  stop(): void;
}

/** Subscribes, and keeps what comes. */
export function watch<Data>(client: Client, payload: SubscribePayload): Watching<Data> {
  const results: ExecutionResult<Data>[] = [];
  let stop = () => {};
  const watching: Watching<Data> = {
    results,
    error: undefined,
    ended: new Promise<void>((resolve) => {
      stop = client.subscribe<Data>(payload, {
        next: (result) => results.push(result as ExecutionResult<Data>),
        error: (error) => {
          watching.error = error;
          resolve();
        },
        complete: resolve,
      });
    }),
    stop: () => stop(),
  };
  return watching;
}

export function socketClient(url: string, authorization?: string): Client {
  return createClient({
    url,
    webSocketImpl: WebSocket,
    lazy: true,
    retryAttempts: 0,
    ...(authorization !== undefined && { connectionParams: { authorization } }),
  });
}

/** A message of the protocol, as it came. */
export interface Message {
  readonly type: string;
  readonly id?: string;
  readonly payload?: unknown;
}

const handSockets = new Set<HandSocket>();

/** Ends those that a test has left open, because it failed or does not care. */
export async function endHandSockets(): Promise<void> {
  const open = [...handSockets];
  for (const { socket } of open) socket.terminate();
  await Promise.all(open.map(({ closed }) => closed));
}

/** A socket whose protocol is spoken by hand. */
export class HandSocket {
  readonly socket: WebSocket;
  readonly messages: Message[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;

  constructor(url: string, headers: Readonly<Record<string, string>> = {}) {
    this.socket = new WebSocket(url, GRAPHQL_TRANSPORT_WS_PROTOCOL, { headers });
    this.socket.on('message', (data) => this.messages.push(JSON.parse(String(data))));
    // A refused handshake shows as a close.
    this.socket.on('error', () => {});
    handSockets.add(this);
    this.closed = new Promise((resolve) => {
      this.socket.on('close', (code, reason) => {
        handSockets.delete(this);
        resolve({ code, reason: String(reason) });
      });
    });
  }

  opened(): Promise<void> {
    return new Promise((resolve, reject) => this.socket.once('open', resolve).once('error', reject));
  }

  send(message: unknown): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** The first message that fits, which may be there already. */
  message(fits: (message: Message) => boolean): Promise<Message> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = this.messages.find(fits);
        if (found === undefined) return;
        this.socket.off('message', look);
        resolve(found);
      };
      this.socket.on('message', look);
      void this.closed.then(({ code }) => reject(new Error(`The socket was closed with ${code}.`)));
      look();
    });
  }

  /** Opens the socket and says hello. */
  async hello(payload?: unknown): Promise<this> {
    await this.opened();
    this.send({ type: 'connection_init', ...(payload !== undefined && { payload }) });
    await this.message(({ type }) => type === 'connection_ack');
    return this;
  }

  subscribe(id: string, query: string, variables?: unknown): void {
    this.send({ type: 'subscribe', id, payload: { query, variables } });
  }

  /** The first answer to an operation. */
  answer(id: string): Promise<Message> {
    return this.message((message) => message.id === id);
  }
}
