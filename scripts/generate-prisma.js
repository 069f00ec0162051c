/**
 * Makes the Prisma client (src/platform/prisma) where it is missing, or older than the schema or than Prisma itself.
 *
 * Several processes may do so at once: each generates into a folder of its own, from a copy of the schema, and then
 * moves the files over the old ones, each in one step, `client.ts` last. So a reader always finds whole files.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const schema = join(root, 'prisma/schema.prisma');
const client = join(root, 'src/platform/prisma');
const entry = 'client.ts';

const changedAt = (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
const newestSource = Math.max(changedAt(schema), changedAt(join(root, 'node_modules/prisma/package.json')));

if (changedAt(join(client, entry)) < newestSource) {
  const workshop = join(root, `dist/.prisma-${process.pid}`);
  try {
    cpSync(schema, join(workshop, 'prisma/schema.prisma'));
    generate(join(workshop, 'prisma/schema.prisma'));
    publish(join(workshop, 'src/platform/prisma'));
  } finally {
    rmSync(workshop, { recursive: true, force: true });
  }
}

/** The schema's output folder is relative to the schema, so the client of a copy lands beside the copy. */
function generate(schemaCopy) {
  const prisma = join(root, 'node_modules/prisma/build/index.js');
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [prisma, 'generate', '--no-hints', '--schema', schemaCopy],
    { cwd: root, encoding: 'utf8', env: { ...process.env, CHECKPOINT_DISABLE: '1' } },
  );
  if (status !== 0) throw new Error(`prisma generate failed\n${stdout}${stderr}`);
}

function publish(made) {
  const files = filesOf(made);
  for (const file of [...files.filter((name) => name !== entry), entry]) {
    mkdirSync(dirname(join(client, file)), { recursive: true });
    renameSync(join(made, file), join(client, file));
  }
  for (const file of filesOf(client)) if (!files.includes(file)) rmSync(join(client, file), { force: true });
  const now = new Date();
  utimesSync(join(client, entry), now, now);
}

function filesOf(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((item) => item.isFile())
    .map((item) => join(item.parentPath, item.name).slice(folder.length + 1));
}
