/**
 * Builds dist/main.js, and the chunks that it loads, out of src. Needs no other step before it: `npm start`, the tests
 * and the package's bin all call this.
 *
 * Two builds at once do each other no harm: every file is written aside and renamed into place, chunks (named by
 * their content) before the entry that names them. Old chunks stay a while, for a server that may still load them.
 */
import './generate-prisma.js';
import { mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const STALE_AFTER_MS = 10 * 60_000;

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');

const { outputFiles } = await build({
  absWorkingDir: root,
  entryPoints: { main: 'src/main.ts' },
  outdir: 'dist',
  bundle: true,
  packages: 'external',
  platform: 'node',
  target: 'node20',
  format: 'esm',
  splitting: true,
  sourcemap: 'linked',
  logLevel: 'warning',
  write: false,
}).catch(() => process.exit(1)); // esbuild has said why

const isEntry = (file) => basename(file.path) === 'main.js';

mkdirSync(dist, { recursive: true });
for (const file of [...outputFiles].sort((a, b) => Number(isEntry(a)) - Number(isEntry(b)))) {
  const aside = `${file.path}.${process.pid}`;
  writeFileSync(aside, file.contents);
  renameSync(aside, file.path);
}

const built = new Set(outputFiles.map((file) => basename(file.path)));
for (const item of readdirSync(dist, { withFileTypes: true })) {
  if (built.has(item.name)) continue;
  const path = join(dist, item.name);
  const changedAt = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (changedAt < Date.now() - STALE_AFTER_MS) rmSync(path, { recursive: true, force: true });
}
