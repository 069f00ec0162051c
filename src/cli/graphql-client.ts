import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';

/** A request without a usable answer. */
export class Fault extends Error {
  override readonly name = 'Fault';
  /** `ECONNREFUSED`, `TIMEOUT`, `HTTP_502`, or the `extensions.code` of a GraphQL error. */
  readonly code: string;
  /** The same request may well succeed later. */
  readonly passing: boolean;

  constructor(code: string, message: string, passing = false) {
    super(message);
    this.code = code;
    this.passing = passing;
  }
}

const TIMEOUT_MS = 30_000;
/** Before each time that a request is sent again: 11 seconds together, so that a restart of the server is survived. */
const BACKOFF_MS = [50, 100, 200, 400, 800, 1_600, 3_200, 5_000];
const PASSING_CODES = new Set(['UNAVAILABLE', 'OVERLOADED', 'CONTENDED', 'STALE_READ']);

const graphqlAnswer = z.object({
  data: z.unknown().optional(),
  errors: z
    .array(z.object({ message: z.string(), extensions: z.object({ code: z.string().optional() }).optional() }))
    .min(1)
    .optional(),
});
const failedFetch = z.object({
  name: z.string(),
  message: z.string(),
  cause: z.object({ code: z.string(), message: z.string() }).optional().catch(undefined),
});

/** Speaks GraphQL over HTTP, and sends again what got lost. */
export class GraphQLClient {
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #onResend: () => void;
  readonly #timeoutMs: number;

  constructor(url: string, token: string | undefined, onResend: () => void, timeoutMs = TIMEOUT_MS) {
    this.#url = url;
    this.#timeoutMs = timeoutMs;
    this.#headers = {
      'content-type': 'application/json',
      accept: 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    };
    this.#onResend = onResend;
  }

  /**
   * Sends an operation, and the very same again where the way or the server failed: what it does must be safe to repeat.
   * @param read makes the result of `data`, or throws a Fault
   * @throws {Fault} the last one
   */
  async send<Result>(query: string, variables: object, read: (data: unknown) => Result): Promise<Result> {
    for (const delay of BACKOFF_MS) {
      try {
        return read(await this.sendOnce(query, variables));
      } catch (error) {
        if (!(error instanceof Fault) || !error.passing) throw error;
      }
      await sleep(delay * (0.5 + Math.random()));
      this.#onResend();
    }
    return read(await this.sendOnce(query, variables));
  }

  /** @returns `data` @throws {Fault} */
  async sendOnce(query: string, variables: object = {}): Promise<unknown> {
    const { status, text } = await this.#post(JSON.stringify({ query, variables }));
    const parsed = graphqlAnswer.safeParse(parseJson(text)).data;
    const isServerFailure = status >= 500;
    const [error] = parsed?.errors ?? [];
    if (error !== undefined) {
      const code = error.extensions?.code ?? `HTTP_${status}`;
      throw new Fault(code, error.message, isServerFailure || PASSING_CODES.has(code));
    }
    if (parsed === undefined || parsed.data === undefined || isServerFailure) {
      throw new Fault(`HTTP_${status}`, `The answer is not one of a GraphQL API (HTTP ${status}).`, isServerFailure);
    }
    return parsed.data;
  }

  async #post(body: string): Promise<{ status: number; text: string }> {
    try {
      const signal = AbortSignal.timeout(this.#timeoutMs);
      // A redirection would turn the POST into a GET.
      const response = await fetch(this.#url, {
        method: 'POST',
        redirect: 'manual',
        headers: this.#headers,
        body,
        signal,
      });
      return { status: response.status, text: await response.text() };
    } catch (error) {
      const { name, message, cause } = failedFetch.parse(error);
      if (name === 'TimeoutError') throw new Fault('TIMEOUT', `No answer within ${this.#timeoutMs / 1_000} s.`, true);
      throw new Fault(cause?.code ?? 'NETWORK', cause?.message || cause?.code || message, true);
    }
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @throws {Fault} the data has another shape */
export function parseAnswer<Schema extends z.ZodType>(schema: Schema, data: unknown): z.output<Schema> {
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  throw new Fault(
    'UNEXPECTED_ANSWER',
    `The answer has another shape than the API has: ${z.prettifyError(parsed.error)}`,
  );
}
