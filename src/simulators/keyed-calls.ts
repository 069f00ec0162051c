import { createHmac } from 'node:crypto';
import { z } from 'zod';
import type { Faults } from './faults.ts';
import { type Answer, ApiError, type Call } from './http.ts';

/** That a call came in; written before anything else, also for those that fail. */
const callEntry = z.object({
  kind: z.literal('call'),
  key: z.string(),
  operation: z.string(),
  /** The caller's own reference of what it is about. */
  subject: z.string(),
  fingerprint: z.string(),
});
/** What was answered the first time. */
const answerEntry = z.object({
  kind: z.literal('answer'),
  key: z.string(),
  fingerprint: z.string(),
  /** The simulator's id of what the call made or changed; null where it did nothing. */
  about: z.string().nullable(),
  status: z.number(),
  body: z.unknown(),
  hangs: z.boolean(),
});
export const keyedCallEntry = z.discriminatedUnion('kind', [callEntry, answerEntry]);
export type KeyedCallEntry = z.output<typeof keyedCallEntry>;

/** What a call did: its answer, and what is to be written in one line together with it. */
export interface Performed<Entry> {
  readonly about: string;
  readonly status: number;
  readonly body: unknown;
  readonly entries: readonly Entry[];
  readonly hangs?: boolean;
}

/** One idempotency key, and what came with it. */
export interface CallReport {
  readonly key: string;
  readonly operation: string;
  readonly subject: string;
  readonly seen: number;
  /** Different bodies with this key: more than one is a mistake of the caller. */
  readonly bodies: number;
}

interface SeenCall {
  readonly operation: string;
  readonly subject: string;
  readonly fingerprints: Set<string>;
  seen: number;
}

const KEY = /^[\x21-\x7e]{1,255}$/;

/**
 * Calls with idempotency keys: the same again gets the same answer, also after a restart. Two at once with one key need
 * no lock: looking, doing and writing happen without a pause in between, so one of them finds the other's answer.
 */
export class KeyedCalls<Entry> {
  readonly #seen = new Map<string, SeenCall>();
  readonly #answers = new Map<string, Extract<KeyedCallEntry, { kind: 'answer' }>>();
  readonly #secret: string;
  readonly #faults: Faults;
  readonly #record: (entries: readonly (Entry | KeyedCallEntry)[]) => void;

  constructor(secret: string, faults: Faults, record: (entries: readonly (Entry | KeyedCallEntry)[]) => void) {
    this.#secret = secret;
    this.#faults = faults;
    this.#record = record;
  }

  apply(entry: KeyedCallEntry): void {
    if (entry.kind === 'answer') {
      this.#answers.set(entry.key, entry);
      return;
    }
    const { key, operation, subject, fingerprint } = entry;
    const call = this.#seen.get(key) ?? { operation, subject, fingerprints: new Set<string>(), seen: 0 };
    call.seen += 1;
    call.fingerprints.add(fingerprint);
    this.#seen.set(key, call);
  }

  /**
   * @param perform does it, or throws an `ApiError` where it does nothing: that may go better next time, unless it is kept
   * @param kept what is answered to an error, and kept: the same again gets it again
   * @throws {ApiError}
   */
  async run(
    call: Call,
    { operation, subject }: { operation: string; subject: string },
    perform: () => Performed<Entry>,
    kept?: (error: unknown) => Answer,
  ): Promise<Answer | 'hang'> {
    const key = keyOf(call);
    // Keyed, for a body may hold an address or a token, and a bare hash of it could be guessed.
    const fingerprint = createHmac('sha256', this.#secret)
      .update(`${call.path}\n`)
      .update(call.body)
      .digest('base64url');
    this.#record([{ kind: 'call', key, operation, subject, fingerprint }]);
    const running = this.#faults.around(() => {
      const stored = this.#answers.get(key);
      if (stored !== undefined) return again(stored, fingerprint);
      const { about, status, body, entries, hangs = false } = perform();
      this.#record([...entries, { kind: 'answer', key, fingerprint, about, status, body, hangs }]);
      return hangs ? 'hang' : { status, body };
    });
    return running.catch((error: unknown) => {
      if (kept === undefined || this.#answers.has(key)) throw error;
      const { status, body } = kept(error);
      this.#record([{ kind: 'answer', key, fingerprint, about: null, status, body, hangs: false }]);
      return { status, body };
    });
  }

  /** The simulator's id of what was done with a key. */
  aboutOf(key: string): string | undefined {
    return this.#answers.get(key)?.about ?? undefined;
  }

  report(): CallReport[] {
    return [...this.#seen].map(([key, { fingerprints, ...rest }]) => ({ key, ...rest, bodies: fingerprints.size }));
  }
}

function again(stored: Extract<KeyedCallEntry, { kind: 'answer' }>, fingerprint: string): Answer | 'hang' {
  if (stored.fingerprint !== fingerprint) {
    throw new ApiError(409, 'idempotency_conflict', 'This idempotency key came with another request before.');
  }
  const { status, body, hangs } = stored;
  return hangs ? 'hang' : { status, body, headers: { 'idempotent-replayed': 'true' } };
}

function keyOf({ headers }: Call): string {
  const key = headers['idempotency-key'];
  if (typeof key !== 'string' || !KEY.test(key)) {
    throw new ApiError(400, 'invalid_request', 'Idempotency-Key must be there: 1 to 255 visible characters.');
  }
  return key;
}
