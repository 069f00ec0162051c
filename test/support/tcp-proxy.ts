import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { z } from 'zod';

/** The end of every answer of PostgreSQL: it is ready for the next statement, and the one before is committed. */
const READY = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);

type Ambush = { readonly marker: Buffer; readonly sprung: () => void } & { readonly swallow: 'request' | 'answer' };

/** A wire between a client and PostgreSQL that tests can cut. */
export class TcpProxy {
  readonly #target: URL;
  readonly #sockets = new Set<Socket>();
  #server: Server;
  #port = 0;
  #ambush: Ambush | undefined;

  static async start(databaseUrl: string): Promise<TcpProxy> {
    const proxy = new TcpProxy(databaseUrl);
    await proxy.restore();
    return proxy;
  }

  private constructor(databaseUrl: string) {
    this.#target = new URL(databaseUrl);
    this.#server = this.#createServer();
  }

  /** The database, seen through this wire. */
  get url(): string {
    const url = new URL(this.#target);
    url.hostname = '127.0.0.1';
    url.port = String(this.#port);
    return url.href;
  }

  /** Cuts every connection, and refuses new ones. */
  async cut(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async restore(): Promise<void> {
    this.#server = this.#createServer();
    await once(this.#server.listen(this.#port, '127.0.0.1'), 'listening');
    this.#port = z.object({ port: z.number() }).parse(this.#server.address()).port;
  }

  /**
   * The next statement that has a text among its parameters is not delivered, or its answer is not; then its connection
   * is cut. @returns when that has happened
   */
  loseNext(swallow: Ambush['swallow'], marker: string): Promise<void> {
    return new Promise((sprung) => {
      this.#ambush = { swallow, marker: Buffer.from(marker), sprung };
    });
  }

  #createServer(): Server {
    return createServer((client) => {
      const server = connect(Number(this.#target.port || 5432), this.#target.hostname);
      let caught: Ambush | undefined;
      let sent = Buffer.alloc(0);
      const destroy = () => {
        client.destroy();
        server.destroy();
      };
      client.on('data', (chunk) => {
        sent = Buffer.concat([sent.subarray(-1_000), chunk]);
        if (caught === undefined && this.#ambush !== undefined && sent.includes(this.#ambush.marker)) {
          [caught, this.#ambush] = [this.#ambush, undefined];
          if (caught.swallow === 'request') {
            destroy();
            caught.sprung();
            return;
          }
        }
        server.write(chunk);
      });
      server.on('data', (chunk) => {
        if (caught === undefined) {
          client.write(chunk);
        } else if (chunk.includes(READY)) {
          destroy();
          caught.sprung();
        }
      });
      for (const socket of [client, server]) {
        this.#sockets.add(socket);
        socket.setNoDelay(true);
        socket.on('error', destroy);
        socket.on('close', () => {
          this.#sockets.delete(socket);
          destroy();
        });
      }
    });
  }
}
