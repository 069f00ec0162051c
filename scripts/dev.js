/**
 * Serves from the sources: builds and starts the server, and does both again when a file in src changes. A build that
 * fails leaves the last server running. The old server is gone before the new one starts, for it holds the data folder.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const QUIET_MS = 150;
const root = fileURLToPath(new URL('..', import.meta.url));

let server;
let timer;
let work = Promise.resolve();

function run(...args) {
  return spawn(process.execPath, args, { cwd: root, stdio: 'inherit' });
}

async function stop() {
  if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
  const gone = once(server, 'exit');
  server.kill('SIGTERM');
  await gone;
}

async function rebuild() {
  const [code] = await once(run('scripts/build.js'), 'exit');
  if (code !== 0) return;
  await stop();
  server = run('dist/main.js', 'serve', ...process.argv.slice(2));
}

function rebuildSoon() {
  clearTimeout(timer);
  timer = setTimeout(() => {
    work = work.then(rebuild);
  }, QUIET_MS);
}

watch(`${root}/src`, { recursive: true }, (_event, file) => {
  if (file?.startsWith('platform/prisma')) return; // made by the build itself
  rebuildSoon();
});
watch(`${root}/prisma/schema.prisma`, rebuildSoon);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => stop().then(() => process.exit()));
rebuildSoon();
