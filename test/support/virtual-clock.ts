import type { Clock } from '../../src/platform/clock.ts';

/** A clock that stands still until it is moved. */
export class VirtualClock implements Clock {
  #now: number;
  #waiting: { readonly at: number; readonly wake: () => void }[] = [];

  constructor(start = '2030-01-31T12:00:00Z') {
    this.#now = Date.parse(start);
  }

  now(): Date {
    return new Date(this.#now);
  }

  wakeAt(instant: Date, wake: () => void): () => void {
    const waiting = { at: instant.getTime(), wake };
    this.#waiting.push(waiting);
    if (waiting.at <= this.#now) queueMicrotask(() => this.#ring());
    return () => {
      this.#waiting = this.#waiting.filter((it) => it !== waiting);
    };
  }

  /** Moves on by so many milliseconds; back, if negative. */
  advance(milliseconds: number): void {
    this.#now += milliseconds;
    this.#ring();
  }

  #ring(): void {
    const due = this.#waiting.filter(({ at }) => at <= this.#now);
    this.#waiting = this.#waiting.filter(({ at }) => at > this.#now);
    for (const { wake } of due) wake();
  }
}
