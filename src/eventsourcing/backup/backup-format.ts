import { basename } from 'node:path';
import { z } from 'zod';
import { BadFile, parsed, readLines } from './line-file.ts';
import { sequenceRow } from './stored-tables.ts';

/**
 * A backup is a file of lines: the header, and then for each table a line that names it and its columns, and its rows. A
 * row is an array of the texts that the database itself writes for each column, or null: so nothing is lost on the way,
 * however large a number or whatever the JSON in it.
 */
export const BACKUP_FORMAT = 'cartstream-backup';
export const BACKUP_VERSION = 1;

const header = z.object({
  format: z.literal(BACKUP_FORMAT),
  version: z.literal(BACKUP_VERSION),
  /** Of the store that it was made of. */
  epoch: z.string(),
  position: z.number(),
  recordedAt: z.string(),
  createdAt: z.string(),
  engine: z.string(),
  migrations: z.array(z.string()),
  rows: z.number(),
  sequences: z.array(sequenceRow),
});
export type BackupHeader = z.output<typeof header>;

const tableLine = z.object({ table: z.string(), columns: z.array(z.string()) });
export type TableLine = z.output<typeof tableLine>;

const anyHeader = z.object({ format: z.string(), version: z.number() });

/** What comes out of a backup, in order. Rows are lines as they were written. */
export type BackupItem = { readonly table: TableLine } | { readonly row: string };

export class BackupReader {
  readonly header: BackupHeader;
  readonly #lines: AsyncGenerator<string>;

  /** @throws {BadFile} it is no backup, or one that this version does not know */
  static async open(path: string, onRead?: (bytes: number) => void): Promise<BackupReader> {
    const lines = readLines(path, onRead);
    const first = parsed((await lines.next()).value ?? undefined);
    const known = header.safeParse(first).data;
    if (known !== undefined) return new BackupReader(known, lines);
    await lines.return(undefined);
    const other = anyHeader.safeParse(first).data;
    if (other?.format === BACKUP_FORMAT && other.version > BACKUP_VERSION) {
      throw new BadFile(`${basename(path)} was made by a newer version of cartstream: restore it with that one.`);
    }
    throw new BadFile(
      other?.format === 'cartstream-log'
        ? `${basename(path)} is an export of the log: npx cartstream import reads it.`
        : `${basename(path)} is no backup of cartstream.`,
    );
  }

  private constructor(known: BackupHeader, lines: AsyncGenerator<string>) {
    this.header = known;
    this.#lines = lines;
  }

  /** @throws {BadFile} at the end, where the file is not whole or was changed */
  async *items(): AsyncGenerator<BackupItem> {
    for await (const line of this.#lines) {
      if (line.startsWith('[')) yield { row: line };
      else yield { table: tableOf(line) };
    }
  }

  async close(): Promise<void> {
    await this.#lines.return(undefined);
  }
}

function tableOf(line: string): TableLine {
  const table = tableLine.safeParse(parsed(line)).data;
  if (table === undefined) throw new BadFile('There is a line in the file that is none of a backup.');
  return table;
}
