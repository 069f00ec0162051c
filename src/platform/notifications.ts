import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';

const LONGEST_PAUSE_MS = 2_000;
const CONNECT_TIMEOUT_MS = 5_000;

/** What PostgreSQL is told with NOTIFY, as long as there is a connection; what was said meanwhile is lost. */
export interface Notifications {
  /** Whether the connection stands. */
  readonly isListening: boolean;
  stop(): Promise<void>;
}

/**
 * Listens on a channel over a connection of its own, and comes back when that is lost. Prisma has no LISTEN: this is the
 * driver that its adapter uses.
 * @param onNotification called with the payload of each
 * @param onListening called whenever the connection stands anew: whatever was said before may have been missed
 */
export function listen(
  connectionString: string,
  channel: string,
  onNotification: (payload: string) => void,
  onListening: () => void,
): Notifications {
  const stopped = new AbortController();
  const { signal } = stopped;
  let isListening = false;

  async function listenOnce(): Promise<void> {
    const client = new pg.Client({
      connectionString,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
      application_name: 'cartstream listener',
    });
    const lost = new Promise<void>((resolve) => {
      client.once('error', () => resolve());
      client.once('end', () => resolve());
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    client.on('error', () => {});
    client.on('notification', ({ payload }) => onNotification(payload ?? ''));
    try {
      await client.connect();
      await client.query(`LISTEN ${pg.escapeIdentifier(channel)}`);
      isListening = true;
      onListening();
      await lost;
    } finally {
      isListening = false;
      await Promise.race([client.end().catch(() => {}), delay(1_000)]);
    }
  }

  async function keepListening(): Promise<void> {
    for (let pause = 50; !signal.aborted; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      const begun = performance.now();
      await listenOnce().catch(() => {});
      if (performance.now() - begun > LONGEST_PAUSE_MS) pause = 50;
      await delay(pause, undefined, { signal }).catch(() => {});
    }
  }

  const running = keepListening();
  return {
    get isListening() {
      return isListening;
    },
    async stop() {
      stopped.abort();
      await running;
    },
  };
}
