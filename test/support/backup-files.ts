import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { z } from 'zod';
import { knownMigrations } from '../../src/platform/migrations.ts';

/** The lines of a backup, without its checksum. */
export function linesOfBackup(path: string): readonly string[] {
  return gunzipSync(readFileSync(path)).toString().trimEnd().split('\n').slice(0, -1);
}

/** The same lines, with the checksum that belongs to them. */
export function signed(lines: readonly string[]): string {
  const text = lines.map((line) => `${line}\n`).join('');
  const sha256 = createHash('sha256').update(text).digest('hex');
  return `${text}${JSON.stringify({ end: true, lines: lines.length, sha256 })}\n`;
}

const header = z.record(z.string(), z.unknown());
const tableLine = z.object({ table: z.string(), columns: z.array(z.string()) });
const rowLine = z.array(z.unknown());

/** The same backup as an earlier version would have made it, which kept no record of reads, nor which commands were queued. */
export function ofEarlierVersion([first = '', ...rest]: readonly string[]): { migrations: string[]; content: string } {
  const migrations = knownMigrations().filter((name) => name < '20261123090300');
  let isKnown = true;
  let left = -1;
  const kept = rest.flatMap((line) => {
    const parsed: unknown = JSON.parse(line);
    const begun = tableLine.safeParse(parsed).data;
    if (begun !== undefined) {
      isKnown = begun.table !== 'read_audit';
      left = begun.table === 'commands' ? begun.columns.indexOf('was_queued') : -1;
    }
    if (!isKnown) return [];
    if (left === -1) return [line];
    const without = (members: readonly unknown[]) => members.filter((_, at) => at !== left);
    return [
      JSON.stringify(
        begun === undefined ? without(rowLine.parse(parsed)) : { ...begun, columns: without(begun.columns) },
      ),
    ];
  });
  return { migrations, content: signed([JSON.stringify({ ...header.parse(JSON.parse(first)), migrations }), ...kept]) };
}
