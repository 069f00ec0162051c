import { randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';

/** The file of checkpoints cannot be understood. Its message says what to do. */
export class BrokenCheckpointFile extends Error {
  override readonly name = 'BrokenCheckpointFile';
}

const content = z.object({ checkpoints: z.record(z.string(), z.string()) });

/**
 * The file `checkpoint.json` in the data folder: for each store that this machine works with, by its address, a line of text
 * that is not in its database. Whoever can change the database, but not this file, cannot take back what it says.
 */
export class CheckpointFile {
  /** Its path. */
  readonly name: string;
  readonly #store: string;

  /** @param databaseUrl of the store; undefined for the embedded one in the same folder */
  constructor(dataDir: string, databaseUrl: string | undefined) {
    this.name = join(dataDir, 'checkpoint.json');
    this.#store = databaseUrl === undefined ? 'embedded' : addressOf(databaseUrl);
  }

  /** @throws {BrokenCheckpointFile} */
  async read(): Promise<string | undefined> {
    return (await this.#readAll())[this.#store];
  }

  /**
   * The file is there whole, with what it had or with what it has now, whenever the machine stops.
   * @throws {BrokenCheckpointFile} it stays as it is: what it keeps of other stores may still be read from it
   */
  async write(line: string | undefined): Promise<void> {
    await this.#put(line, await this.#readAll());
  }

  /** The same, for an operator: one that cannot be understood is made anew, with this line alone. */
  async writeAnew(line: string | undefined): Promise<void> {
    const before = this.#readAll().catch((error: unknown) => {
      if (error instanceof BrokenCheckpointFile) return {};
      throw error;
    });
    await this.#put(line, await before);
  }

  async #put(line: string | undefined, before: Record<string, string>): Promise<void> {
    const { [this.#store]: _, ...others } = before;
    const checkpoints = line === undefined ? others : { ...others, [this.#store]: line };
    await mkdir(dirname(this.name), { recursive: true });
    const aside = `${this.name}.${randomUUID()}.new`;
    try {
      const file = await open(aside, 'wx', 0o600);
      try {
        await file.writeFile(`${JSON.stringify({ checkpoints }, null, 2)}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(aside, this.name);
    } finally {
      await rm(aside, { force: true });
    }
  }

  async #readAll(): Promise<Record<string, string>> {
    let text: string;
    try {
      text = await readFile(this.name, 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return {};
      throw error;
    }
    try {
      return content.parse(JSON.parse(text)).checkpoints;
    } catch (cause) {
      const message = `${this.name} cannot be understood: put the file back as it was. If it is lost, run \`cartstream verify --accept\`, which makes a new one once the log was walked and is whole.`;
      throw new BrokenCheckpointFile(message, { cause });
    }
  }
}

/** Without name and password: of whoever connects, the store is the same. */
function addressOf(databaseUrl: string): string {
  const { host, pathname, searchParams } = new URL(databaseUrl);
  return `${host || (searchParams.get('host') ?? '')}${pathname}`;
}
