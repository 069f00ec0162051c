import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { BrokenCheckpointFile, CheckpointFile } from '../../src/platform/checkpoint-file.ts';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'cartstream-checkpoint-'));
  folders.push(made);
  return made;
}

test('Checkpoints of stores are kept apart, by their addresses and not by who connects', async () => {
  const data = join(folder(), 'not', 'there', 'yet');
  const embedded = new CheckpointFile(data, undefined);
  expect(await embedded.read()).toBeUndefined();
  await embedded.write('cp1.a');
  const one = new CheckpointFile(data, 'postgresql://anna:secret@db.example:5432/shop');
  await one.write('cp1.b');
  const sameStore = new CheckpointFile(data, 'postgresql://root@db.example:5432/shop?sslmode=require');
  expect([await embedded.read(), await sameStore.read()]).toEqual(['cp1.a', 'cp1.b']);
  expect(await new CheckpointFile(data, 'postgresql://root@db.example:5432/other').read()).toBeUndefined();
  expect(readFileSync(one.name, 'utf8')).not.toContain('secret');
  await one.write(undefined);
  expect([await embedded.read(), await one.read()]).toEqual(['cp1.a', undefined]);
  expect(readdirSync(data)).toEqual(['checkpoint.json']);
});

test('A file that cannot be understood is said to be so, and is made anew only where an operator wants that', async () => {
  const file = new CheckpointFile(folder(), undefined);
  for (const text of ['', '{', '[]', '{"checkpoints":{"embedded":7}}', '{"checkpoints":{"db.example/shop":"cp1.b"}']) {
    writeFileSync(file.name, text);
    await expect(file.read()).rejects.toThrow(BrokenCheckpointFile);
    await expect(file.write('cp1.a')).rejects.toThrow(BrokenCheckpointFile);
    expect(readFileSync(file.name, 'utf8')).toBe(text);
  }
  await file.writeAnew('cp1.a');
  expect(await file.read()).toBe('cp1.a');
});

test('What can be understood keeps the checkpoints of other stores, also where it is made anew', async () => {
  const data = folder();
  const [embedded, other] = [
    new CheckpointFile(data, undefined),
    new CheckpointFile(data, 'postgresql://db.example/b'),
  ];
  await other.writeAnew('cp1.b');
  await embedded.writeAnew('cp1.a');
  expect([await embedded.read(), await other.read()]).toEqual(['cp1.a', 'cp1.b']);
  // One that cannot be read at all is not one that cannot be understood.
  rmSync(embedded.name);
  mkdirSync(embedded.name);
  await expect(embedded.writeAnew('cp1.a')).rejects.toThrow('EISDIR');
});
