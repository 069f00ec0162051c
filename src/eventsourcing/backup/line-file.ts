import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream, rmSync } from 'node:fs';
import { open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { Readable, type Writable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { StringDecoder } from 'node:string_decoder';
import { createGunzip, createGzip } from 'node:zlib';
import { z } from 'zod';

/** A file cannot be written, or what is in it cannot be used. The message says why; nothing was changed. */
export class BadFile extends Error {
  override readonly name = 'BadFile';
}

/** Stands for standard output, or input. */
export const STANDARD = '-';
/** Little work for a shop that goes on beside it, for a file that is a little larger. */
const COMPRESSION = 3;
const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);

const footer = z.object({ end: z.literal(true), lines: z.number(), sha256: z.string() });

/** @throws {BadFile} what is there is not to be written over */
export async function expectNothingAt(path: string): Promise<void> {
  if (path === STANDARD || (await stat(path).catch(() => undefined)) === undefined) return;
  throw new BadFile(`${path} is there already: name another file, or remove that one.`);
}

/** What processes left behind that were killed while they wrote the same file. */
async function removeHalves(path: string): Promise<void> {
  const folder = dirname(path);
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter((it) => it.startsWith(`${basename(path)}.`))) {
    const [, pid] = HALF.exec(name.slice(basename(path).length)) ?? [];
    if (pid !== undefined && !isAlive(Number(pid))) await rm(join(folder, name), { force: true });
  }
}

const HALF = /^\.(\d+)\.[0-9a-f-]{36}\.part$/;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/**
 * Writes lines of text to a file that is there whole, with a last line that has their number and checksum, or not at all:
 * until then it has another name. One that is there already stays.
 */
export class LineWriter {
  readonly #path: string;
  readonly #aside: string;
  readonly #into: Writable;
  readonly #done: Promise<void>;
  readonly #hash = createHash('sha256');
  #lines = 0;

  /** @param isPacked with gzip @throws {BadFile} there is something at that path */
  static async create(path: string, isPacked: boolean): Promise<LineWriter> {
    await expectNothingAt(path);
    if (path !== STANDARD) await removeHalves(path);
    return new LineWriter(path, isPacked);
  }

  private constructor(path: string, isPacked: boolean) {
    this.#path = path;
    this.#aside = `${path}.${process.pid}.${randomUUID()}.part`;
    process.once('exit', this.#removeAside);
    const out = path === STANDARD ? process.stdout : createWriteStream(this.#aside, { flags: 'wx', mode: 0o600 });
    // Standard output is not ours to end.
    const end = path !== STANDARD;
    if (isPacked) {
      const gzip = createGzip({ level: COMPRESSION });
      this.#into = gzip;
      this.#done = pipeline(gzip, out, { end });
    } else {
      this.#into = out;
      this.#done = end ? finished(out) : Promise.resolve();
    }
    // Whoever writes next, or ends it, is told.
    this.#done.catch(() => {});
  }

  /** Also where the process is told to end. */
  readonly #removeAside = () => rmSync(this.#aside, { force: true });

  /** Lines without a line feed in them. @throws {BadFile} the file cannot be written */
  async write(lines: readonly string[]): Promise<void> {
    if (lines.length === 0) return;
    const text = `${lines.join('\n')}\n`;
    this.#hash.update(text);
    this.#lines += lines.length;
    await this.#send(text);
  }

  /** Writes the checksum, and gives the file its name once it is on the disk. @throws {BadFile} */
  async end(): Promise<void> {
    await this.#send(
      `${JSON.stringify({ end: true, lines: this.#lines, sha256: this.#hash.digest('hex') } satisfies Footer)}\n`,
    );
    if (this.#into !== process.stdout) this.#into.end();
    await this.#done.catch(cannotWrite(this.#path));
    if (this.#path === STANDARD) return;
    try {
      await flush(this.#aside);
      await rename(this.#aside, this.#path);
      await flush(dirname(this.#path)).catch(() => {});
      process.off('exit', this.#removeAside);
    } catch (error) {
      cannotWrite(this.#path)(error);
    }
  }

  /** Leaves nothing behind. */
  async abort(): Promise<void> {
    if (this.#path === STANDARD) return;
    this.#into.destroy();
    await this.#done.catch(() => {});
    this.#removeAside();
    process.off('exit', this.#removeAside);
  }

  async #send(text: string): Promise<void> {
    if (this.#into.write(text)) return;
    const drained = new Promise<void>((resolve) => this.#into.once('drain', resolve));
    // Where the disk is full, there is no drain.
    await Promise.race([drained, this.#done.then(() => drained)]).catch(cannotWrite(this.#path));
  }
}

type Footer = z.output<typeof footer>;

function cannotWrite(path: string): (error: unknown) => never {
  return (error) => {
    throw new BadFile(`${path} cannot be written: ${error instanceof Error ? error.message : String(error)}.`);
  };
}

async function flush(path: string): Promise<void> {
  const handle = await open(path);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * The lines that a `LineWriter` wrote, packed or not, in order; a failure at the end where the file is not whole or was
 * changed. So who has not come to the end does not know yet.
 * @param onRead how many bytes of the file were read
 * @throws {BadFile}
 */
export async function* readLines(path: string, onRead?: (bytes: number) => void): AsyncGenerator<string> {
  const hash = createHash('sha256');
  let last: string | undefined;
  let count = 0;
  for await (const line of rawLines(path, onRead)) {
    if (last !== undefined) {
      hash.update(`${last}\n`);
      count += 1;
      yield last;
    }
    last = line;
  }
  const end = footer.safeParse(parsed(last)).data;
  if (end === undefined) throw new BadFile(`${basename(path)} is not whole: its end is missing.`);
  if (end.lines !== count || end.sha256 !== hash.digest('hex')) {
    throw new BadFile(`${basename(path)} was changed since it was written, or is damaged: its checksum does not fit.`);
  }
}

/** Of something on the disk, in bytes. @throws {BadFile} it is not there */
export async function sizeOf(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() !== true) throw new BadFile(`There is no file ${path}.`);
  return found.size;
}

async function* rawLines(path: string, onRead: ((bytes: number) => void) | undefined): AsyncGenerator<string> {
  await sizeOf(path);
  const isPacked = await beginsWith(path, GZIP_MAGIC);
  const decoder = new StringDecoder('utf8');
  const pending: string[] = [];
  try {
    for await (const chunk of isPacked ? unpacked(path, onRead) : chunksOf(path, onRead)) {
      const [first = '', ...lines] = decoder.write(chunk).split('\n');
      pending.push(first);
      const rest = lines.pop();
      if (rest === undefined) continue;
      yield pending.splice(0).join('');
      yield* lines;
      pending.push(rest);
    }
  } catch (error) {
    throw new BadFile(
      `${basename(path)} is not whole, or is damaged: ${error instanceof Error ? error.message : String(error)}.`,
    );
  }
  if (pending.some((it) => it !== '')) {
    throw new BadFile(`${basename(path)} is not whole: it ends in the middle of a line.`);
  }
}

async function* chunksOf(path: string, onRead: ((bytes: number) => void) | undefined): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 18 })) {
    const read = z.instanceof(Buffer).parse(chunk);
    bytes += read.length;
    onRead?.(bytes);
    yield read;
  }
}

async function* unpacked(path: string, onRead: ((bytes: number) => void) | undefined): AsyncGenerator<Buffer> {
  const gunzip = createGunzip();
  // What breaks is told to whoever reads from it.
  pipeline(Readable.from(chunksOf(path, onRead)), gunzip).catch(() => {});
  try {
    for await (const chunk of gunzip) yield z.instanceof(Buffer).parse(chunk);
  } finally {
    gunzip.destroy();
  }
}

async function beginsWith(path: string, bytes: Buffer): Promise<boolean> {
  const handle = await open(path);
  try {
    const { buffer } = await handle.read(Buffer.alloc(bytes.length), 0, bytes.length, 0);
    return buffer.equals(bytes);
  } finally {
    await handle.close();
  }
}

/** @returns undefined where it is no JSON */
export function parsed(line: string | undefined): unknown {
  try {
    return line === undefined ? undefined : JSON.parse(line);
  } catch {
    return undefined;
  }
}
