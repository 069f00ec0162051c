import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

// What the pages on the inside say is there is there.

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const files = (folder: string, ending: string) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith(ending))
    .map((path) => join(folder, path));

const sources = [...files('src', '.ts'), ...files('prisma', '.sql'), 'schema.graphql', 'src/config.ts']
  .filter((path) => !path.startsWith('src/platform/prisma'))
  .map(read)
  .join('\n');

test.each(['docs/engine.md', 'docs/architecture.md'])('%s names nothing that is no longer there', (page) => {
  const names = [...read(page).matchAll(/`([A-Za-z_]\w*)`/g)].map(([, name = '']) => name);
  const gone = names.filter((name) => !new RegExp(`\\b${name}\\b`).test(sources));
  expect(gone).toEqual([]);
  expect(names.length).toBeGreaterThan(5);
});

test.each(['README.md', ...files('docs', '.md')])('%s links to nothing that is no longer there', (page) => {
  const links = [...read(page).matchAll(/\]\((?!https?:)([^)#]+)(#[^)]*)?\)/g)].map(([, path = '']) => path);
  const folder = page.includes('/') ? page.slice(0, page.lastIndexOf('/')) : '.';
  const gone = links.filter((path) => !existsSync(join(root, folder, path)));
  expect(gone).toEqual([]);
});
