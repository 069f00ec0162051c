import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { forgottenFor } from '../../src/cli/refilled-store.ts';
import { readSettings } from '../../src/config.ts';

const folder = mkdtempSync(join(tmpdir(), 'cartstream-lists-'));
afterAll(() => rmSync(folder, { recursive: true }));

const settings = readSettings({ DATA_DIR: folder });
const list = (name: string, ...subjects: string[]) => {
  const path = join(folder, name);
  writeFileSync(
    path,
    subjects.map((subject) => `${JSON.stringify({ subject, at: '2026-11-21T10:00:00.000Z' })}\n`).join(''),
  );
  return path;
};

it('is nothing where nobody was ever forgotten', () => {
  expect(forgottenFor(undefined, settings)).toBeUndefined();
});

it('has whoever is on either list, for the one that is named may be the older one', () => {
  const own = list('forgotten.jsonl', 'anna', 'bob');
  const older = list('older.jsonl', 'anna');
  const both = forgottenFor(older, settings);
  expect(both?.forgotten.map(({ subject }) => subject).sort()).toEqual(['anna', 'bob']);
  expect(both?.paths).toEqual([older, own]);
  expect(() => forgottenFor(join(folder, 'none.jsonl'), settings)).toThrow('There is no file');
});
