// Bundles the bench into a cache folder and runs it: each of its processes is an entry of its own.
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const bench = dirname(fileURLToPath(import.meta.url));
const outdir = join(bench, '..', 'node_modules', '.cache', 'cartstream-bench');
rmSync(outdir, { recursive: true, force: true });
await build({
  entryPoints: [
    'main.ts',
    'workers/append.ts',
    'workers/fill.ts',
    'workers/long-stream.ts',
    'workers/rebuild.ts',
    'workers/subscribers.ts',
    'workers/work.ts',
    'references/yoga.ts',
  ].map((entry) => join(bench, entry)),
  outdir,
  entryNames: '[name]',
  bundle: true,
  packages: 'external',
  platform: 'node',
  target: 'node20',
  format: 'esm',
  sourcemap: 'linked',
  logLevel: 'warning',
});

const child = spawn(process.execPath, [join(outdir, 'main.js'), ...process.argv.slice(2)], { stdio: 'inherit' });
// A signal from the terminal reaches the child too; wait for it to tidy up.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
