import { type Clock, systemClock } from '../../src/platform/clock.ts';

/** A clock that runs, and can be put forward. */
export class RunningClock implements Clock {
  #aheadMs = 0;
  readonly #waiting = new Set<() => void>();

  now(): Date {
    return new Date(Date.now() + this.#aheadMs);
  }

  wakeAt(instant: Date, wake: () => void): () => void {
    const ring = () => {
      callOff();
      wake();
    };
    const stop = systemClock.wakeAt(new Date(instant.getTime() - this.#aheadMs), ring);
    const callOff = () => {
      stop();
      this.#waiting.delete(ring);
    };
    this.#waiting.add(ring);
    return callOff;
  }

  /** Whoever waits looks whether it is time now. */
  advance(milliseconds: number): void {
    this.#aheadMs += milliseconds;
    for (const ring of [...this.#waiting]) ring();
  }

  /** So many milliseconds from now, as clients send it. */
  inMs(milliseconds: number): string {
    return new Date(this.now().getTime() + milliseconds).toISOString();
  }
}
