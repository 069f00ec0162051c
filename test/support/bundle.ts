import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A script for processes of their own, with the sources under test built in. */
export interface ScriptFile {
  readonly path: string;
  remove(): void;
}

/** @param source TypeScript; imports are relative to the package's folder, as `./src/platform/folder-lock.ts` */
export async function bundleScript(source: string): Promise<ScriptFile> {
  // Within the package, so that its dependencies are found.
  const folder = mkdtempSync(join(ROOT, 'node_modules', '.test-script-'));
  const path = join(folder, 'script.mjs');
  await build({
    stdin: { contents: source, resolveDir: ROOT, loader: 'ts' },
    outfile: path,
    bundle: true,
    packages: 'external',
    platform: 'node',
    target: 'node20',
    format: 'esm',
    logLevel: 'silent',
  });
  return { path, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
