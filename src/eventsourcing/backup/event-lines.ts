import { ZodError } from 'zod';
import { type EventRow, parseStoredJson } from '../log/event-row.ts';
import { streamIdOf } from '../log/stream-id.ts';
import { BadFile, parsed } from './line-file.ts';

/** Where the numbers of an event are in its line: as text, or null, they would be taken for others. */
const NUMBERS = [0, 5, 7, 14];
const MAX_INTEGER = 2 ** 31 - 1;
/** Later ones the drivers do not read. */
const LAST_INSTANT = Date.UTC(9999, 11, 31);

/**
 * Looks at the lines of events, one after the other, as `STORED_LINE` makes them: each must be what a server can read, and
 * go on from the one before. Versions of streams are left to the database, which remembers them.
 */
export class EventLines {
  #position = 0;
  #recordedAt = 0;

  /** @param number of the line in its file @throws {BadFile} with that number, and what is wrong */
  check(line: string, number: number): void {
    const problem = this.#problemOf(line);
    if (problem !== undefined)
      throw new BadFile(`Line ${number} of the file is not as an event is stored: ${problem}.`);
  }

  /** Of the last line. */
  get position(): number {
    return this.#position;
  }

  #problemOf(line: string): string | undefined {
    const event = read(line);
    if (typeof event === 'string') return event;
    const { position, streamId, aggregateType, aggregateId } = event;
    if (position !== this.#position + 1) return `its position is ${position}, where ${this.#position + 1} follows`;
    if (streamId !== streamIdOf(aggregateType, aggregateId))
      return `its stream is ${streamId}, and its aggregate ${aggregateType} ${aggregateId}`;
    const { version, schemaVersion } = event;
    const isVersion = (it: number) => it >= 1 && it <= MAX_INTEGER;
    if (!isVersion(version) || !isVersion(schemaVersion)) return `there is no version ${version}, ${schemaVersion}`;
    const recordedAt = event.recordedAt.getTime();
    if (recordedAt > LAST_INSTANT) return 'it was recorded at no instant that can be read';
    if (recordedAt < this.#recordedAt) return 'it was recorded before the one that it follows';
    this.#position = position;
    this.#recordedAt = recordedAt;
    return undefined;
  }
}

/** @returns what is wrong, where it is no event */
function read(line: string): EventRow | string {
  const json = parsed(line);
  if (!Array.isArray(json)) return 'it is no JSON';
  if (!NUMBERS.every((at) => Number.isSafeInteger(json[at]))) return 'a number is missing, or is no whole one';
  try {
    return parseStoredJson(json);
  } catch (error) {
    if (!(error instanceof ZodError)) throw error;
    return error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
  }
}
