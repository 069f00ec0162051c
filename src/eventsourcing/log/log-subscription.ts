import { retryWhileAway } from '../database-away.ts';
import type { RecordedEvent } from './event.ts';
import type { EventFilter } from './event-filter.ts';
import type { EventHistory } from './event-history.ts';
import type { LogTail } from './log-tail.ts';

/** What a subscriber of the log is given. */
export interface EventsAppended {
  /** Those that pass its filter since what it was given before, in order; at most 500. */
  readonly events: readonly RecordedEvent[];
  /** So far the log was read for it: it goes on after this. */
  readonly position: number;
}

export interface LogSubscriptionParts {
  readonly tail: LogTail;
  readonly history: EventHistory;
  readonly filter: EventFilter;
  /** Events after this position. */
  readonly after: number;
}

const MAX_EVENTS = 500;
/** Who is not further behind than this is most likely given what is in memory. */
const NEAR = 8_192;
/** Between payloads that say nothing but how far the log was read. */
const PROGRESS_MS = 1_000;

/**
 * One reader of the log, from a position on and then live. It pulls: what it was given last is all that is kept of it, so
 * a reader that is slow, or never reads, costs nothing while it waits, and nothing is lost to it. Where nothing passes
 * its filter it is told how far the log was read, at most once a second: from there it may resume.
 *
 * The first payload comes at once. By hand and not an async generator, for the reason that Watcher has.
 */
export class LogSubscription implements AsyncIterableIterator<EventsAppended> {
  readonly #parts: LogSubscriptionParts;
  readonly #unfollow: () => void;
  /** So far the log was read. */
  #read: number;
  /** The position of the last payload; undefined before the first. */
  #given: number | undefined;
  #givenAt = performance.now();
  #isOver = false;
  #wake: (() => void) | undefined;
  /** Calls are answered one after the other, also if they are made at once. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: LogSubscriptionParts) {
    this.#parts = parts;
    this.#read = parts.after;
    this.#unfollow = parts.tail.follow(() => this.#wake?.());
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<EventsAppended, undefined>> {
    const answer = this.#last.then(() => this.#next());
    this.#last = answer.catch(() => {});
    return answer;
  }

  async return(): Promise<IteratorResult<EventsAppended, undefined>> {
    if (!this.#isOver) {
      this.#isOver = true;
      this.#unfollow();
      this.#wake?.();
    }
    return { done: true, value: undefined };
  }

  async throw(): Promise<IteratorResult<EventsAppended, undefined>> {
    return this.return();
  }

  async #next(): Promise<IteratorResult<EventsAppended, undefined>> {
    while (!this.#isOver) {
      const { head } = this.#parts.tail;
      if (this.#read < head) {
        const { events, position } = await this.#readOn(head);
        const isFurther = position > this.#read;
        this.#read = position;
        if (events.length > 0) return this.#give(events);
        // What was said to be there cannot be read, as after a restore: asked for again and again, it would take all time.
        if (!isFurther) await this.#news(PROGRESS_MS);
      }
      const isAtEnd = this.#read >= this.#parts.tail.head;
      const isNews = this.#given === undefined || this.#read > this.#given;
      const pause = this.#givenAt + PROGRESS_MS - performance.now();
      // Where it begins is said as soon as there is nothing more to look through.
      if (isNews && (pause <= 0 || (isAtEnd && this.#given === undefined))) return this.#give([]);
      if (isAtEnd) await this.#news(isNews ? pause : undefined);
    }
    return { done: true, value: undefined };
  }

  #give(events: readonly RecordedEvent[]): IteratorResult<EventsAppended, undefined> {
    if (this.#isOver) return { done: true, value: undefined };
    this.#given = this.#read;
    this.#givenAt = performance.now();
    return { done: false, value: { events, position: this.#read } };
  }

  /** The next events that pass, and how far the log was read for them. */
  async #readOn(head: number): Promise<EventsAppended> {
    try {
      return await retryWhileAway(() => (head - this.#read <= NEAR ? this.#fromTail() : this.#fromHistory(head)));
    } catch (error) {
      // An iterator that threw is over: nobody calls return() on it.
      await this.return();
      throw error;
    }
  }

  async #fromTail(): Promise<EventsAppended> {
    const { tail, history, filter } = this.#parts;
    const events = await tail.read(this.#read, MAX_EVENTS);
    const position = events.at(-1)?.position ?? this.#read;
    return { events: events.filter((event) => history.passes(event, filter)), position };
  }

  async #fromHistory(head: number): Promise<EventsAppended> {
    const { history, filter } = this.#parts;
    const page = { after: [this.#read], before: [head + 1], limit: MAX_EVENTS, inverted: false } as const;
    const { events, stoppedAt } = await history.page(filter, page);
    const isFull = events.length >= MAX_EVENTS;
    return { events, position: (isFull ? events.at(-1)?.position : stoppedAt) ?? head };
  }

  /** Waits until the log has grown, or so many milliseconds have passed. */
  async #news(timeoutMs: number | undefined): Promise<void> {
    if (this.#isOver) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (timeoutMs !== undefined) timer = setTimeout(resolve, timeoutMs);
    });
    clearTimeout(timer);
    this.#wake = undefined;
  }
}
