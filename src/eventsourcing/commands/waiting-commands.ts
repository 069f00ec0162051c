/** What the queue must know of a command. */
export interface StreamBound {
  /** The streams that it is decided on. */
  readonly streamIds: readonly string[];
}

/**
 * Commands that wait, first in first out for each stream. Several batches may be under way at once, as long as they
 * touch different streams: a command whose stream is in one of them waits, and so do those for it that come later.
 */
export class WaitingCommands<Command extends StreamBound> {
  #waiting: Command[] = [];
  readonly #busy = new Set<string>();

  get length(): number {
    return this.#waiting.length;
  }

  add(command: Command): void {
    this.#waiting.push(command);
  }

  /** Puts commands of an ended batch back, before all others. */
  putBack(commands: readonly Command[]): void {
    if (commands.length > 0) this.#waiting = [...commands, ...this.#waiting];
  }

  /**
   * Takes a batch; its streams are busy until it is released.
   * @param maxStreams where a second batch shall go beside this one: what is left to it are commands of other streams
   */
  take(maxCommands: number, maxStreams: number): Command[] {
    const taken: Command[] = [];
    const left: Command[] = [];
    const streams = new Set<string>();
    const passed = new Set<string>();
    for (const command of this.#waiting) {
      const { streamIds } = command;
      const hasRoom =
        taken.length < maxCommands && (streams.size < maxStreams || streamIds.every((it) => streams.has(it)));
      if (hasRoom && !streamIds.some((it) => this.#busy.has(it) || passed.has(it))) {
        taken.push(command);
        for (const streamId of streamIds) streams.add(streamId);
      } else {
        left.push(command);
        for (const streamId of streamIds) passed.add(streamId);
      }
    }
    this.#waiting = left;
    for (const streamId of streams) this.#busy.add(streamId);
    return taken;
  }

  release(batch: readonly Command[]): void {
    for (const { streamIds } of batch) for (const streamId of streamIds) this.#busy.delete(streamId);
  }
}
