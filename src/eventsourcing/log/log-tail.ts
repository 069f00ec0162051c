import type { RecordedEvent } from './event.ts';
import type { EventLog } from './event-log.ts';

const KEPT_EVENTS = 8_192;
/** It does no harm to be told twice that somebody is forgotten. */
const MAX_HEARD = 10_000;

interface Ahead {
  readonly events: readonly RecordedEvent[];
  /** Appends that may still turn out to be what is missing before these events. */
  readonly after: Set<symbol>;
}

/**
 * The newest part of the log in memory, and the bell for those who follow it. What this process appends is handed on
 * without being read again; positions without gaps show whether anything is missing, which is then read from the log.
 */
export class LogTail {
  readonly #log: EventLog;
  #head: number;
  /** Events without a gap up to the head. */
  #recent: RecordedEvent[] = [];
  /** Appends that begin after a gap, in order. */
  #ahead: Ahead[] = [];
  readonly #followers = new Set<() => void>();
  /** Appends of this process that are under way. */
  readonly #appending = new Set<symbol>();
  /** Where events were seen that somebody is forgotten with. */
  readonly #heard = new Set<number>();
  readonly #onForgotten: ((subjects: readonly string[]) => void) | undefined;
  /** Positions that another process spoke of. */
  #announced: { readonly position: number; readonly after: Set<symbol> }[] = [];

  /**
   * @param onForgotten called when it is seen that somebody is forgotten, before anybody is given that event: whatever of
   *   them is in memory has to go
   */
  constructor(log: EventLog, head: number, onForgotten?: (subjects: readonly string[]) => void) {
    this.#log = log;
    this.#head = head;
    this.#onForgotten = onForgotten;
  }

  /** The highest position that is known to be committed. */
  get head(): number {
    return this.#head;
  }

  /**
   * This process begins to append.
   * @returns takes what was appended; to be called in any case. What is missing before these events may just not have
   *   been heard of yet: appends of this process that are under way by then are waited for, and no later ones
   */
  beginAppend(): (events: readonly RecordedEvent[]) => void {
    const append = Symbol();
    this.#appending.add(append);
    return (events) => {
      this.#appending.delete(append);
      for (const { after } of [...this.#ahead, ...this.#announced]) after.delete(append);
      if (events.length > 0) {
        this.#ahead.push({ events, after: new Set(this.#appending) });
        this.#ahead.sort((a, b) => firstOf(a.events) - firstOf(b.events));
      }
      this.#publish();
    };
  }

  /** Another process says how far the log has grown. It may be this one's own append, whose answer is on its way. */
  announce(position: number): void {
    if (position <= this.#head) return;
    if (this.#appending.size === 0) this.advance(position);
    else this.#announced.push({ position, after: new Set(this.#appending) });
  }

  #publish(): void {
    for (;;) {
      const [next] = this.#ahead;
      if (next === undefined || (firstOf(next.events) > this.#head + 1 && next.after.size > 0)) break;
      this.#ahead.shift();
      this.#take(next.events);
    }
    for (const { position, after } of this.#announced) if (after.size === 0) this.advance(position);
    this.#announced = this.#announced.filter(({ position }) => position > this.#head);
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
    // What they said is among these, perhaps, as it was before it was sealed.
    if (this.#hasForgotten(events)) this.#recent = [];
    this.advance(last.position);
  }

  /** @returns whether it is seen for the first time that somebody is forgotten with one of these */
  #hasForgotten(events: readonly RecordedEvent[]): boolean {
    if (this.#onForgotten === undefined) return false;
    const { forgetting } = this.#log;
    const news = events.filter(({ type, position }) => forgetting.has(type) && !this.#heard.has(position));
    if (news.length === 0) return false;
    for (const { position } of news) this.#heard.add(position);
    for (const position of this.#heard) {
      if (this.#heard.size <= MAX_HEARD) break;
      this.#heard.delete(position);
    }
    this.#onForgotten(this.#log.forgottenBy(news));
    return true;
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
    if (first === undefined || after + 1 < first) {
      const events = await this.#log.readAfter(after, limit);
      // These were opened before this process knew of it.
      return this.#hasForgotten(events) ? this.#log.readAfter(after, limit) : events;
    }
    const start = after + 1 - first;
    return this.#recent.slice(start, start + limit);
  }

  /** The events at these positions, in order: those that are not in memory are asked of the log. */
  async readAt(positions: readonly number[]): Promise<readonly RecordedEvent[]> {
    const first = this.#recent[0]?.position ?? this.#head + 1;
    const known = positions.flatMap((position) => this.#recent[position - first] ?? []);
    const missing = positions.filter((position) => this.#recent[position - first] === undefined);
    return missing.length === 0 ? inOrder(known) : inOrder([...known, ...(await this.#log.readAt(missing))]);
  }

  /** How many follow it. */
  get followerCount(): number {
    return this.#followers.size;
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

function inOrder(events: readonly RecordedEvent[]): RecordedEvent[] {
  return events.toSorted((a, b) => a.position - b.position);
}
