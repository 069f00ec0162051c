import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { KnownCheckpoint } from '../../../src/eventsourcing/seals/known-checkpoint.ts';
import { type Checkpoint, checkpointToken } from '../../../src/eventsourcing/seals/log-seal.ts';
import { CheckpointFile } from '../../../src/platform/checkpoint-file.ts';
import { createLogger } from '../../../src/platform/logger.ts';

const silent = createLogger('silent');

function checkpoint(position: number): Checkpoint {
  const [hash, digest, signature] = [Buffer.alloc(32, position), Buffer.alloc(32), Buffer.alloc(64)];
  return { epoch: '01a2007365aa', position, hash, digest, sealedAt: new Date(position), keyId: 'ca09cb16', signature };
}

test('What was seen last is kept when the server stops, and not over a file that cannot be understood', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cartstream-known-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = new CheckpointFile(folder, undefined);
  const other = new CheckpointFile(folder, 'postgresql://db.example/shop');
  await other.write(checkpointToken(checkpoint(7)));
  const known = new KnownCheckpoint(file, silent);
  await known.see(checkpoint(1), true);
  // Soon after that: it is written later.
  await known.see(checkpoint(2), false);
  expect(await file.read()).toBe(checkpointToken(checkpoint(1)));

  const whole = readFileSync(file.name, 'utf8');
  const cut = whole.slice(0, -4);
  writeFileSync(file.name, cut);
  await known.keep();
  await known.refuse();
  expect(readFileSync(file.name, 'utf8')).toBe(cut);

  writeFileSync(file.name, whole);
  await known.all();
  await known.see(checkpoint(2), true);
  expect([await file.read(), await other.read()]).toEqual(
    [checkpoint(2), checkpoint(7)].map((it) => checkpointToken(it)),
  );
});
