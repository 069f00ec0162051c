import type { StoredEvent } from '../log/stored-events.ts';
import { eventNamed, type Finding, movedTo } from './findings.ts';
import { chained, hashAt, type LogSeal } from './log-seal.ts';

/** Events under one seal, each compared with its own signed hash: so one that was changed does not hide the next. */
export class StretchCheck {
  readonly #seal: LogSeal;
  readonly #lines: ReadonlyMap<number, string>;
  readonly #first: number;
  readonly #before: Buffer;

  /**
   * @param first of the events to compare
   * @param before the hash of the event before that
   */
  constructor(seal: LogSeal, events: readonly StoredEvent[], first: number, before: Buffer) {
    this.#seal = seal;
    this.#lines = new Map(events.map(({ position, line }) => [position, line]));
    this.#first = first;
    this.#before = before;
  }

  /** Positions where the log has not what was sealed. */
  broken(): number[] {
    const broken: number[] = [];
    for (let position = this.#first; position <= this.#seal.position; position += 1) {
      const line = this.#lines.get(position);
      if (line === undefined || !this.#fits(line, position)) broken.push(position);
    }
    return broken;
  }

  /** What became of events that are not as they were sealed, in order. Those in a row that are simply gone are one finding. */
  *findings(broken: readonly number[]): Generator<Finding> {
    for (let at = 0; at < broken.length; at += 1) {
      const first = broken[at] ?? 0;
      let last = first;
      while (!this.#lines.has(last) && broken[at + 1] === last + 1 && !this.#lines.has(last + 1)) {
        at += 1;
        last += 1;
      }
      if (last === first) yield this.#finding(first, broken);
      else
        yield {
          kind: 'MISSING',
          position: first,
          message: `Events ${first} to ${last} are missing in the log, which had them sealed.`,
        };
    }
  }

  #finding(position: number, broken: readonly number[]): Finding {
    const line = this.#lines.get(position);
    const sealed = `as it was sealed at ${this.#seal.sealedAt.toISOString()}`;
    const from = broken.find((at) => at !== position && this.#belongs(at, position));
    if (line === undefined) {
      const found = from === undefined ? '' : `: what it was stands at ${from}`;
      return {
        kind: 'MISSING',
        position,
        message: `Event ${position} is missing in the log, which had it sealed${found}.`,
      };
    }
    const to = broken.find((at) => at !== position && this.#belongs(position, at));
    const named = eventNamed(line).replace(/^e/, 'E');
    if (to !== undefined && to === from)
      return { kind: 'MOVED', position, message: `${named} is not ${sealed}: it has changed places with event ${to}.` };
    if (to !== undefined)
      return { kind: 'MOVED', position, message: `${named} is not ${sealed}: it was sealed as event ${to}.` };
    return { kind: 'CHANGED', position, message: `${named} is not ${sealed}: it was changed.` };
  }

  /** Whether what stands at one place was sealed at another. */
  #belongs(position: number, at: number): boolean {
    const line = this.#lines.get(position);
    return line !== undefined && this.#fits(movedTo(line, at), at);
  }

  #fits(line: string, position: number): boolean {
    const before = position === this.#first ? this.#before : hashAt(this.#seal, position - 1);
    return chained(before, line).equals(hashAt(this.#seal, position));
  }
}
