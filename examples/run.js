/**
 * Runs an example: `node examples/run.js apollo [URL of the GraphQL API]`. Types and bundles it first, for Node 20 runs
 * no TypeScript.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const EXAMPLES = ['apollo', 'urql', 'plain'];

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [example, url = 'http://127.0.0.1:4000/graphql'] = process.argv.slice(2);

if (!EXAMPLES.includes(example) || !URL.canParse(url)) {
  console.error(`Usage: node examples/run.js ${EXAMPLES.join('|')} [URL]`);
  process.exit(2);
}

// Takes seconds, so only where something has changed. Writes nothing if all is as it was, so two examples may start at once.
const changedAt = (path) => statSync(join(root, path), { throwIfNoEntry: false })?.mtimeMs ?? 0;
const typedAt = Math.min(changedAt('generated/graphql.ts'), changedAt('generated/possible-types.ts'));
const examples = readdirSync(join(root, 'examples'), { recursive: true }).map((name) => join('examples', name));
if (['codegen.ts', 'schema.graphql', ...examples].some((path) => changedAt(path) >= typedAt)) {
  execFileSync(process.execPath, [join(root, 'node_modules/@graphql-codegen/cli/esm/bin.js'), '--errors-only'], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

const outfile = join(root, `dist/examples/${example}.${process.pid}.js`);
await build({
  absWorkingDir: root,
  entryPoints: [`examples/${example}/main.ts`],
  outfile,
  bundle: true,
  packages: 'external',
  platform: 'node',
  target: 'node20',
  format: 'esm',
  logLevel: 'warning',
});

try {
  const { run } = await import(pathToFileURL(outfile).href);
  await run(url);
} catch (error) {
  console.error(`The example failed at ${url}: ${[error.message, error.cause?.message].filter(Boolean).join(': ')}`);
  process.exitCode = 1;
} finally {
  rmSync(outfile);
}
