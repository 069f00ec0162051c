import { connect, type Socket } from 'node:net';
import { Latencies, type Measurement, measurement, sharedNow } from './measuring.ts';

export interface Address {
  host: string;
  port: number;
}

type Done = (status: number, body: Buffer) => void;

const HEAD_END = Buffer.from('\r\n\r\n');
const LINE_END = Buffer.from('\r\n');

/** One keep-alive connection, one request at a time: as little work per request as a client can do. */
export class HttpConnection {
  readonly #socket: Socket;
  readonly #head: string;
  #received: Buffer = Buffer.alloc(0);
  #done: Done | undefined;
  #failed: ((error: Error) => void) | undefined;

  private constructor(socket: Socket, { host, port }: Address) {
    this.#socket = socket;
    this.#head =
      `POST /graphql HTTP/1.1\r\nHost: ${host}:${port}\r\nContent-Type: application/json\r\n` +
      'Accept: application/json\r\nContent-Length: ';
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#take(chunk));
    const fail = (error?: Error) => this.#fail(error ?? new Error('The server closed the connection.'));
    socket.on('error', fail);
    socket.on('close', () => fail());
  }

  static open(address: Address): Promise<HttpConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect(address, () => resolve(new HttpConnection(socket, address)));
      socket.once('error', reject);
    });
  }

  /** @param body JSON in ASCII */
  send(body: string, done: Done, failed: (error: Error) => void): void {
    this.#done = done;
    this.#failed = failed;
    if (this.#socket.destroyed) this.#fail(new Error('The connection was closed while nothing was asked.'));
    else this.#socket.write(`${this.#head}${body.length}\r\n\r\n${body}`, 'latin1');
  }

  post(body: string): Promise<string> {
    return new Promise((resolve, reject) =>
      this.send(
        body,
        (status, answer) =>
          status === 200 ? resolve(answer.toString()) : reject(new Error(`${status}: ${answer.toString()}`)),
        reject,
      ),
    );
  }

  close(): void {
    this.#done = undefined;
    this.#failed = undefined;
    this.#socket.destroy();
  }

  #fail(error: Error): void {
    const failed = this.#failed;
    this.#done = undefined;
    this.#failed = undefined;
    failed?.(error);
  }

  #take(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const headEnd = this.#received.indexOf(HEAD_END);
    if (headEnd === -1) return;
    const head = this.#received.toString('latin1', 0, headEnd).toLowerCase();
    const rest = this.#received.subarray(headEnd + 4);
    const body = head.includes('transfer-encoding: chunked') ? unchunk(rest) : sized(rest, head);
    if (body === undefined) return;
    this.#received = Buffer.alloc(0);
    const done = this.#done;
    this.#done = undefined;
    done?.(Number(head.slice(9, 12)), body);
  }
}

function sized(rest: Buffer, head: string): Buffer | undefined {
  const at = head.indexOf('content-length: ');
  const length = at === -1 ? 0 : Number.parseInt(head.slice(at + 16, at + 32), 10);
  return rest.length < length ? undefined : rest.subarray(0, length);
}

function unchunk(rest: Buffer): Buffer | undefined {
  const parts: Buffer[] = [];
  for (let offset = 0; ; ) {
    const lineEnd = rest.indexOf(LINE_END, offset);
    if (lineEnd === -1) return undefined;
    const size = Number.parseInt(rest.toString('latin1', offset, lineEnd), 16);
    const next = lineEnd + 2 + size + 2;
    if (rest.length < next) return undefined;
    if (size === 0) return Buffer.concat(parts);
    parts.push(rest.subarray(lineEnd + 2, next - 2));
    offset = next;
  }
}

export interface Load {
  connections: number;
  durationMs: number;
  /** The next request of a connection, as JSON in ASCII. */
  next: (connection: number) => string;
  /** What an answer must contain to count as a success, and what it must not. */
  success: Buffer;
}

const ERRORS = Buffer.from('"errors":');
const TOO_MANY = 1000;

/** Each connection sends its next request when the one before is answered. */
export async function drive(address: Address, { connections, durationMs, next, success }: Load): Promise<Measurement> {
  const sockets = await Promise.all(Array.from({ length: connections }, () => HttpConnection.open(address)));
  const latencies = new Latencies();
  const samples = new Set<string>();
  let errors = 0;
  const start = sharedNow();
  const end = start + durationMs;
  await Promise.all(
    sockets.map(
      (socket, connection) =>
        new Promise<void>((resolve, reject) => {
          let begun = 0;
          const begin = () => {
            begun = sharedNow();
            if (begun >= end || errors > TOO_MANY) resolve();
            else socket.send(next(connection), done, reject);
          };
          const done = (status: number, body: Buffer) => {
            latencies.record(sharedNow() - begun);
            if (status !== 200 || !body.includes(success) || body.includes(ERRORS)) {
              errors += 1;
              if (samples.size < 5) samples.add(`${status} ${body.toString().slice(0, 300)}`);
            }
            begin();
          };
          begin();
        }),
    ),
  );
  const elapsed = sharedNow() - start;
  for (const socket of sockets) socket.close();
  return measurement(latencies, elapsed, errors, samples);
}

/** Sends all, several at a time. @returns the answers, in order */
export async function sendAll(address: Address, bodies: readonly string[], atOnce = 32): Promise<string[]> {
  const answers: string[] = [];
  let next = 0;
  const lane = async () => {
    const connection = await HttpConnection.open(address);
    for (let index = next++; index < bodies.length; index = next++) {
      answers[index] = await connection.post(bodies[index] ?? '');
    }
    connection.close();
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, bodies.length) }, lane));
  return answers;
}
