import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

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
