import { basename } from 'node:path';
import { z } from 'zod';
import type { Database } from '../../platform/database.ts';
import { StoredEvents } from '../log/stored-events.ts';
import { column } from '../projections/read-table.ts';
import type { BackupProgress } from './backup.ts';
import { BACKUP_FORMAT } from './backup-format.ts';
import { BadFile, LineWriter, parsed, readLines } from './line-file.ts';

/**
 * An export is a file of lines: the header; the events as they are stored, each an array (`STORED_LINE`); and, where they
 * were asked for, the keys of subjects as objects.
 */
export const EXPORT_FORMAT = 'cartstream-log';

const header = z.object({
  format: z.literal(EXPORT_FORMAT),
  version: z.literal(1),
  epoch: z.string(),
  position: z.number(),
  createdAt: z.string(),
  hasKeys: z.boolean(),
});
export type ExportHeader = z.output<typeof header>;

const headRow = z.tuple([z.object({ epoch: z.string(), position: column.safeInt() })]);
const lineRows = z.array(z.object({ line: z.string() }));

const HEAD = 'SELECT epoch, position FROM log_head WHERE id = 1';
const KEYS = `
  SELECT json_build_object('subject', subject_id, 'version', version, 'wrapped', wrapped_key, 'masterKeyId', master_key_id,
           'createdAt', created_at, 'destroyedAt', destroyed_at)::text AS line
  FROM subject_keys ORDER BY subject_id, version`;
const BATCH_EVENTS = 1_000;

/**
 * Writes the log to a file, as it is stored, up to where it ended when this began. What is personal is encrypted.
 * @param path or `-` for standard output; packed with gzip if it ends with .gz
 * @param withKeys with the keys of subjects, as they are stored: wrapped with the master key
 * @throws {BadFile} it cannot be written
 */
export async function exportLog(
  { log }: Database,
  path: string,
  withKeys: boolean,
  onProgress: (progress: BackupProgress) => void = () => {},
): Promise<ExportHeader> {
  const writer = await LineWriter.create(path, path.endsWith('.gz'));
  try {
    const [{ epoch, position: total }] = headRow.parse(await log.query(HEAD));
    const about: ExportHeader = {
      ...{ format: EXPORT_FORMAT, version: 1, epoch, position: total },
      ...{ createdAt: new Date().toISOString(), hasKeys: withKeys },
    };
    await writer.write([JSON.stringify(about)]);
    const stored = new StoredEvents(log);
    for (let done = 0; done < total; ) {
      const events = await stored.readAfter(done, Math.min(BATCH_EVENTS, total - done));
      const last = events.at(-1);
      if (last === undefined || last.position > total) throw new BadFile('The log has a gap: npx cartstream verify.');
      await writer.write(events.map(({ line }) => line));
      done = last.position;
      onProgress({ done, total });
    }
    if (withKeys) await writer.write(lineRows.parse(await log.query(KEYS)).map(({ line }) => line));
    await writer.end();
    return about;
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

/** What comes out of an export, in order: lines as they were written. */
export type ExportItem = { readonly event: string } | { readonly key: string };

export class ExportReader {
  readonly header: ExportHeader;
  readonly #lines: AsyncGenerator<string>;

  /** @throws {BadFile} it is no export, or one that this version does not know */
  static async open(path: string, onRead?: (bytes: number) => void): Promise<ExportReader> {
    const lines = readLines(path, onRead);
    const first = parsed((await lines.next()).value ?? undefined);
    const known = header.safeParse(first).data;
    if (known !== undefined) return new ExportReader(known, lines);
    await lines.return(undefined);
    const { format } = z.object({ format: z.string() }).catch({ format: '' }).parse(first);
    if (format === EXPORT_FORMAT)
      throw new BadFile(`${basename(path)} was made by a newer version of cartstream: import it with that one.`);
    throw new BadFile(
      format === BACKUP_FORMAT
        ? `${basename(path)} is a backup: npx cartstream restore reads it.`
        : `${basename(path)} is no export of cartstream.`,
    );
  }

  private constructor(known: ExportHeader, lines: AsyncGenerator<string>) {
    this.header = known;
    this.#lines = lines;
  }

  /** @throws {BadFile} at the end, where the file is not whole or was changed */
  async *items(): AsyncGenerator<ExportItem> {
    for await (const line of this.#lines) yield line.startsWith('[') ? { event: line } : { key: line };
  }

  async close(): Promise<void> {
    await this.#lines.return(undefined);
  }
}
