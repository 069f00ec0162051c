import { z } from 'zod';
import { type OutsideParty, OutsidePartyFailed, OutsidePartyRefused } from './outside-party.ts';

export interface ApiRequest {
  /** For messages: `capture`. */
  readonly operation: string;
  readonly method: 'GET' | 'POST';
  /** With its query. */
  readonly path: string;
  /** The same key again does nothing twice. */
  readonly idempotencyKey?: string;
  readonly body?: unknown;
}

export interface ApiAnswer {
  readonly status: number;
  readonly body: unknown;
}

const TOO_MANY_REQUESTS = 429;
const problem = z.object({ error: z.object({ code: z.string().regex(/^\w{1,60}$/) }) });

/** An outside party that speaks JSON over HTTP, with a bearer key. */
export class JsonApi {
  readonly #party: OutsideParty;
  readonly #url: string;
  readonly #apiKey: string;

  constructor(party: OutsideParty, url: string, apiKey: string) {
    this.#party = party;
    this.#url = url.replace(/\/+$/, '');
    this.#apiKey = apiKey;
  }

  /**
   * Asks, and reads the answer.
   * @param read takes an answer below 500 apart; what it throws counts as a failure of the party, but for a refusal
   * @throws {OutsidePartyError}
   */
  ask<Result>(request: ApiRequest, read: (answer: ApiAnswer) => Result): Promise<Result> {
    const { operation, method, path, idempotencyKey, body } = request;
    return this.#party.call(operation, async (signal) => {
      const response = await fetch(`${this.#url}${path}`, {
        method,
        signal,
        headers: {
          authorization: `Bearer ${this.#apiKey}`,
          'content-type': 'application/json',
          ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      if (response.status >= 500 || response.status === TOO_MANY_REQUESTS) {
        throw new OutsidePartyFailed(this.#party.name, operation, `was answered with ${response.status}`);
      }
      return read({ status: response.status, body: JSON.parse(text) });
    });
  }

  /** What to throw for an answer that is a no. */
  refusal({ operation }: Pick<ApiRequest, 'operation'>, { status, body }: ApiAnswer): OutsidePartyRefused {
    return new OutsidePartyRefused(
      this.#party.name,
      operation,
      problem.safeParse(body).data?.error.code ?? String(status),
    );
  }
}
