import type { RecordedEvent } from './event.ts';
import type { EventLog } from './event-log.ts';

const KEPT_EVENTS = 8_192;

/**
 * The newest part of the log in memory, and the bell for those who follow it. What this process appends is handed on
 * without being read again; positions without gaps show whether anything is missing, which is then read from the log.
 */
export class LogTail {
  readonly #log: EventLog;
  #head: number;
  /** Events without a gap up to the head. */
  #recent: RecordedEvent[] = [];
  /** Appends that begin after a gap. */
  #ahead: (readonly RecordedEvent[])[] = [];
  readonly #followers = new Set<() => void>();

  constructor(log: EventLog, head: number) {
    this.#log = log;
    this.#head = head;
  }

  /** The highest position that is known to be committed. */
  get head(): number {
    return this.#head;
  }

  /**
   * Takes what this process has just appended.
   * @param isLast nothing else of this process is being appended: what is missing before these events is of others.
   *   Otherwise it may just not have been heard of yet, and is waited for.
   */
  publish(events: readonly RecordedEvent[], isLast: boolean): void {
    if (events.length > 0) this.#ahead = [...this.#ahead, events].sort((a, b) => firstOf(a) - firstOf(b));
    for (;;) {
      const [next] = this.#ahead;
      if (next === undefined || (firstOf(next) > this.#head + 1 && !isLast)) return;
      this.#ahead = this.#ahead.slice(1);
      this.#take(next);
    }
  }

  #take(events: readonly RecordedEvent[]): void {
    const last = events.at(-1);
    if (last === undefined || last.position <= this.#head) return;
    if (firstOf(events) === this.#head + 1) {
      this.#recent.push(...events);
      if (this.#recent.length > 2 * KEPT_EVENTS) this.#recent = this.#recent.slice(-KEPT_EVENTS);
    } else {
      this.#recent = [];
    }
    this.advance(last.position);
  }

  /** Learns that the log has grown to a position, by whomever. */
  advance(head: number): void {
    if (head <= this.#head) return;
    if (this.#recent.at(-1)?.position !== head) this.#recent = [];
    this.#head = head;
    for (const wake of this.#followers) wake();
  }

  /** Looks into the log itself, where other processes may have appended. */
  async refresh(): Promise<number> {
    this.advance((await this.#log.head()).position);
    return this.#head;
  }

  async read(after: number, limit: number): Promise<readonly RecordedEvent[]> {
    const first = this.#recent[0]?.position;
    if (first === undefined || after + 1 < first) return this.#log.readAfter(after, limit);
    const start = after + 1 - first;
    return this.#recent.slice(start, start + limit);
  }

  /** Rings whenever the head has moved. @returns stops it */
  follow(wake: () => void): () => void {
    this.#followers.add(wake);
    return () => this.#followers.delete(wake);
  }
}

function firstOf(events: readonly RecordedEvent[]): number {
  return events[0]?.position ?? 0;
}
