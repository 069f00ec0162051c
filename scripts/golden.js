/**
 * Writes the golden files of events that have none yet, and changes none that is there: see test/golden/events.test.ts.
 */
import './generate-prisma.js';
import { mkdtempSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
// Within the package, so that its dependencies are found.
const folder = mkdtempSync(join(root, 'node_modules', '.golden-'));
const outfile = join(folder, 'golden.mjs');
try {
  await build({
    absWorkingDir: root,
    entryPoints: ['test/support/golden-events.ts'],
    outfile,
    bundle: true,
    packages: 'external',
    platform: 'node',
    target: 'node20',
    format: 'esm',
    logLevel: 'warning',
  });
  const { eventDefinitions, writeMissing } = await import(outfile);
  const written = writeMissing(join(root, 'test', 'golden', 'events'), eventDefinitions);
  for (const path of written) console.log(relative(root, path));
  console.log(written.length === 0 ? 'Every version of every event has its file.' : `${written.length} written.`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
