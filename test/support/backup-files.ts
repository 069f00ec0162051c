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

/** The same backup as an earlier version would have made it, which kept no record of reads. */
export function ofEarlierVersion([first = '', ...rows]: readonly string[]): { migrations: string[]; content: string } {
  const migrations = knownMigrations().filter((name) => !name.endsWith('_read_audit'));
  let isKnown = true;
  const kept = rows.filter((line) => {
    if (line.startsWith('{')) isKnown = !line.includes('"table":"read_audit"');
    return isKnown;
  });
  return { migrations, content: signed([JSON.stringify({ ...header.parse(JSON.parse(first)), migrations }), ...kept]) };
}
