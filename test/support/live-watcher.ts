import { setTimeout as delay } from 'node:timers/promises';
import { type Client, createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { z } from 'zod';

const DOCUMENT = `subscription ($id: ID!, $after: Position) {
  cartChanged(id: $id, after: $after) { position cart { position version } events { position version type commandId } }
}`;

const payload = z.object({
  cartChanged: z.object({
    position: z.string(),
    cart: z.object({ position: z.string(), version: z.number() }),
    events: z.array(z.object({ position: z.string(), version: z.number() })),
  }),
});

/** A subscriber of one cart that comes back whenever it is thrown out, and resumes after what it saw last. */
export class LiveWatcher {
  /** Versions of the events, in the order in which they were seen. */
  readonly seen: number[] = [];
  connections = 0;
  readonly #id: string;
  readonly #url: () => string;
  #position: string | undefined;
  #isOver = false;
  #client: Client | undefined;
  readonly #running: Promise<void>;

  /** @param after a position before the cart began */
  constructor(url: () => string, cartId: string, after: string) {
    this.#url = url;
    this.#id = Buffer.from(`Cart:${cartId}`).toString('base64url');
    this.#position = after;
    this.#running = this.#run();
  }

  /** Waits until the event of a version was seen. */
  async until(version: number): Promise<void> {
    while ((this.seen.at(-1) ?? 0) < version) await delay(10);
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await this.#client?.dispose();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      this.connections += 1;
      const client = createClient({ url: this.#url(), webSocketImpl: WebSocket, retryAttempts: 0, lazy: true });
      this.#client = client;
      try {
        const variables = { id: this.#id, after: this.#position };
        for await (const { data } of client.iterate({ query: DOCUMENT, variables })) {
          const parsed = payload.safeParse(data);
          if (!parsed.success) break;
          const { position, events } = parsed.data.cartChanged;
          this.#position = position;
          this.seen.push(...events.map(({ version }) => version));
        }
      } catch {
        // Thrown out: it comes back.
      }
      await client.dispose();
      await delay(20);
    }
  }
}
