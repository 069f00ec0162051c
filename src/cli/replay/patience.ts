/** Knows when nobody answers any more, so that a server that went away is not asked for hours. */
export class Patience {
  readonly #limit: number;
  #faultsInARow = 0;

  /** @param limit how many requests may fail with no answer in between */
  constructor(limit: number) {
    this.#limit = limit;
  }

  answered(): void {
    this.#faultsInARow = 0;
  }

  failed(): void {
    this.#faultsInARow += 1;
  }

  get isOver(): boolean {
    return this.#faultsInARow >= this.#limit;
  }
}
