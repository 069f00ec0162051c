import {
  appendFileSync,
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  truncateSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { lockFolder } from '../platform/folder-lock.ts';

const NEWLINE = 0x0a;

/**
 * A file of JSON lines that only grows. What `append` has returned from survives `kill -9` of the process (not of the
 * machine: nothing is forced to the disk). A line is there whole or not at all: one that was cut off is dropped when the
 * file is opened again.
 */
export class Journal {
  readonly #file: number;
  #size: number;
  readonly #unlock: () => void;

  /**
   * The file's folder belongs to this process until it is closed: two writers would not know of each other's lines.
   * @param replay called with each line, oldest first
   * @throws {FolderInUse}
   */
  static open(path: string, replay: (line: unknown) => void): Journal {
    const folder = dirname(path);
    mkdirSync(folder, { recursive: true });
    const unlock = lockFolder(folder);
    try {
      const bytes = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
      const end = bytes.lastIndexOf(NEWLINE) + 1;
      for (const line of bytes.toString('utf8', 0, end).split('\n')) {
        if (line !== '') replay(JSON.parse(line));
      }
      if (end < bytes.length) truncateSync(path, end);
      return new Journal(openSync(path, 'a'), end, unlock);
    } catch (error) {
      unlock();
      throw error;
    }
  }

  private constructor(file: number, size: number, unlock: () => void) {
    this.#file = file;
    this.#size = size;
    this.#unlock = unlock;
  }

  append(line: unknown): void {
    const text = `${JSON.stringify(line)}\n`;
    try {
      appendFileSync(this.#file, text);
      this.#size += Buffer.byteLength(text);
    } catch (error) {
      // The disk is full, say: the next line must not be glued to a half one.
      ftruncateSync(this.#file, this.#size);
      throw error;
    }
  }

  close(): void {
    closeSync(this.#file);
    this.#unlock();
  }
}
