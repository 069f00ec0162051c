import type { ServerResponse } from 'node:http';

/** A timer cannot wait for longer. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Answers that go on (SSE). They are cut, not completed, when their token expires or the server stops: so that a client
 * comes back, instead of taking it for the end.
 */
export class OpenStreams {
  readonly #open = new Set<ServerResponse>();

  add(response: ServerResponse, expiresAt: Date | undefined): void {
    const left = expiresAt === undefined ? undefined : expiresAt.getTime() - Date.now();
    const expiry =
      left === undefined || left > LONGEST_TIMER_MS ? undefined : setTimeout(() => response.destroy(), left);
    this.#open.add(response);
    response.once('close', () => {
      clearTimeout(expiry);
      this.#open.delete(response);
    });
  }

  /** Answers that have not begun are no streams, and are finished. */
  cut(): void {
    for (const response of this.#open) if (response.headersSent) response.destroy();
  }
}
