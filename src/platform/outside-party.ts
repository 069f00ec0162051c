import {
  type BulkheadPolicy,
  bulkhead,
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  handleAll,
  isBrokenCircuitError,
  isBulkheadRejectedError,
  TaskCancelledError,
  type TimeoutPolicy,
  TimeoutStrategy,
  timeout,
} from 'cockatiel';
import { type Clock, systemClock } from './clock.ts';

/** A call to an outside party came to nothing. Messages name the party and the operation, never what was sent. */
export abstract class OutsidePartyError extends Error {
  readonly party: string;
  readonly operation: string;

  constructor(party: string, operation: string, problem: string, options?: ErrorOptions) {
    super(`${party}: ${operation} ${problem}`, options);
    this.party = party;
    this.operation = operation;
  }
}

/** It did not answer in time: what became of the call is unknown. */
export class OutsidePartyTimedOut extends OutsidePartyError {
  override readonly name = 'OutsidePartyTimedOut';
}

/** It was not asked: it has failed too often, and is left alone for a while. */
export class OutsidePartyUnavailable extends OutsidePartyError {
  override readonly name = 'OutsidePartyUnavailable';
  readonly wasTried = false;
}

/** It was not asked: too many calls to it are under way, and too many wait. */
export class OutsidePartyBusy extends OutsidePartyError {
  override readonly name = 'OutsidePartyBusy';
  readonly wasTried = false;
}

/** It could not be reached, broke (5xx), or answered what makes no sense: what became of the call is unknown. */
export class OutsidePartyFailed extends OutsidePartyError {
  override readonly name = 'OutsidePartyFailed';
}

/** It is well, understood, and said no (4xx). The same call will be refused again. */
export class OutsidePartyRefused extends OutsidePartyError {
  override readonly name = 'OutsidePartyRefused';
  /** The party's own name of the cause. */
  readonly code: string;

  constructor(party: string, operation: string, code: string) {
    super(party, operation, `was refused (${code})`);
    this.code = code;
  }
}

export interface OutsidePartySettings {
  /** For people and for `state`: `payment provider`. */
  readonly name: string;
  /** How long one call may take, in milliseconds. */
  readonly timeoutMs: number;
  /** How many calls are under way at a time. */
  readonly atOnce?: number;
  /** How many more may wait for their turn. */
  readonly waiting?: number;
  /** So many failures in a row, and it is not asked any more. */
  readonly failuresToOpen?: number;
  /** For so long; then one call tries whether it is back. */
  readonly openForMs?: number | undefined;
  readonly clock?: Clock;
}

/** How things stand with an outside party. */
export interface OutsidePartyState {
  readonly name: string;
  /** `open`: it is not asked. `half-open`: one call tries whether it is back. */
  readonly breaker: 'closed' | 'open' | 'half-open';
  readonly running: number;
  readonly waiting: number;
  /** The newest call that failed, if any has; refusals are no failures. */
  readonly lastFailure: { readonly at: Date; readonly error: string; readonly message: string } | null;
}

/**
 * The only way to a party outside: each call has a time limit, no more than so many run at once, and a party that fails
 * again and again is left alone for a while. Nothing is tried again in here: what calls is queued, and the queue does that.
 */
export class OutsideParty {
  readonly name: string;
  readonly timeoutMs: number;
  readonly #atOnce: number;
  readonly #waiting: number;
  readonly #clock: Clock;
  readonly #bulkhead: BulkheadPolicy;
  readonly #breaker: CircuitBreakerPolicy;
  readonly #timeout: TimeoutPolicy;
  #lastFailure: OutsidePartyState['lastFailure'] = null;

  constructor({
    name,
    timeoutMs,
    atOnce = 32,
    waiting = 1_000,
    failuresToOpen = 5,
    openForMs = 5_000,
    clock = systemClock,
  }: OutsidePartySettings) {
    this.name = name;
    this.timeoutMs = timeoutMs;
    this.#atOnce = atOnce;
    this.#waiting = waiting;
    this.#clock = clock;
    this.#bulkhead = bulkhead(atOnce, waiting);
    this.#breaker = circuitBreaker(handleAll, {
      halfOpenAfter: openForMs,
      breaker: new ConsecutiveBreaker(failuresToOpen),
    });
    this.#timeout = timeout(timeoutMs, TimeoutStrategy.Aggressive);
  }

  /**
   * @param work throws `OutsidePartyRefused` for a no; whatever else it throws counts as a failure
   * @throws {OutsidePartyError} one of the kinds above, whatever `work` has thrown
   */
  async call<Result>(operation: string, work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    // A refusal goes through as a result: who refuses is there.
    const outcome = await this.#bulkhead
      .execute(() => this.#breaker.execute(() => this.#timeout.execute(({ signal }) => told(work(signal)))))
      .catch((error: unknown) => {
        throw this.#named(operation, error);
      });
    if ('refusal' in outcome) throw outcome.refusal;
    return outcome.result;
  }

  state(): OutsidePartyState {
    return {
      name: this.name,
      breaker: breakerStates[this.#breaker.state],
      running: this.#atOnce - this.#bulkhead.executionSlots,
      waiting: this.#waiting - this.#bulkhead.queueSlots,
      lastFailure: this.#lastFailure,
    };
  }

  #named(operation: string, error: unknown): OutsidePartyError {
    if (isBrokenCircuitError(error)) {
      return new OutsidePartyUnavailable(this.name, operation, 'was not tried: it has failed too often just now');
    }
    if (isBulkheadRejectedError(error)) {
      return new OutsidePartyBusy(this.name, operation, 'was not tried: too many calls wait');
    }
    const named = this.#failure(operation, error);
    this.#lastFailure = { at: this.#clock.now(), error: named.name, message: named.message };
    return named;
  }

  #failure(operation: string, error: unknown): OutsidePartyError {
    if (error instanceof OutsidePartyError) return error;
    // Not by cockatiel's isTaskCancelledError: that of 3.2.1 looks for another error's mark.
    if (error instanceof TaskCancelledError || isAbort(error)) {
      return new OutsidePartyTimedOut(this.name, operation, `took longer than ${this.timeoutMs} ms`);
    }
    // Only the kind of what was thrown: its words may be those of the party, and hold what was sent.
    return new OutsidePartyFailed(this.name, operation, `failed (${kindOf(error)})`);
  }
}

type Told<Result> = { readonly result: Result } | { readonly refusal: OutsidePartyRefused };

async function told<Result>(work: Promise<Result>): Promise<Told<Result>> {
  try {
    return { result: await work };
  } catch (error) {
    if (error instanceof OutsidePartyRefused) return { refusal: error };
    throw error;
  }
}

const breakerStates = {
  [CircuitState.Closed]: 'closed',
  [CircuitState.Open]: 'open',
  [CircuitState.HalfOpen]: 'half-open',
  [CircuitState.Isolated]: 'open',
} as const;

function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError');
}

function kindOf(error: unknown, depth = 0): string {
  if (!(error instanceof Error)) return 'unknown';
  if ('code' in error && typeof error.code === 'string') return error.code;
  return error.cause === undefined || depth > 4 ? error.name : kindOf(error.cause, depth + 1);
}
