interface Waiter {
  readonly position: number;
  readonly done: (reached: boolean) => void;
}

/** Those who wait until a position was reached. */
export class PositionWaiters {
  #waiters: Waiter[] = [];

  /** @returns false if it was not, in time */
  wait(position: number, timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const done = (reached: boolean) => {
        clearTimeout(timer);
        resolve(reached);
      };
      const waiter = { position, done };
      const timer = setTimeout(() => {
        this.#waiters = this.#waiters.filter((it) => it !== waiter);
        resolve(false);
      }, timeoutMs);
      this.#waiters.push(waiter);
    });
  }

  reached(position: number): void {
    if (this.#waiters.length === 0) return;
    const reached = this.#waiters.filter((it) => it.position <= position);
    this.#waiters = this.#waiters.filter((it) => it.position > position);
    for (const { done } of reached) done(true);
  }

  giveUp(): void {
    for (const { done } of this.#waiters.splice(0)) done(false);
  }
}
