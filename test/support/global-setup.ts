import { execFileSync } from 'node:child_process';
import process from 'node:process';
import type { TestProject } from 'vitest/node';
import { makeStoreTemplates } from './store-templates.ts';

/**
 * Tests that start the server as a process start dist/main.js: it must be that of the sources under test. And stores are
 * copies of templates, which it makes.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  execFileSync(process.execPath, ['scripts/build.js'], { stdio: 'inherit' });
  const { templates, remove } = await makeStoreTemplates();
  project.provide('storeTemplates', templates);
  return remove;
}
