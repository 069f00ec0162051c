import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

// docs/context-map.md says who knows whom: as the code's imports say.

const root = fileURLToPath(new URL('..', import.meta.url));
const map = readFileSync(join(root, 'docs/context-map.md'), 'utf8');

/** The cells of a table, found by its first column's name. */
function table(firstColumn: string): string[][] {
  const lines = map.split('\n');
  const head = lines.findIndex((line) => line.startsWith(`| ${firstColumn} |`));
  const rows = lines.slice(head + 2);
  const end = rows.findIndex((line) => !line.startsWith('|'));
  return rows.slice(0, end).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** The contexts whose messages a file, or all files of a folder, import. */
function messagesKnownTo(path: string): string[] {
  const full = join(root, path);
  const files = path.endsWith('.ts')
    ? [full]
    : readdirSync(full, { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.ts'))
        .map((file) => join(full, file));
  const imports = files.flatMap((file) => [
    ...readFileSync(file, 'utf8').matchAll(/from '[./]+\/(?:contexts\/)?(\w+)\/messages\.ts'/g),
  ]);
  return [...new Set(imports.map(([, context = '']) => context))].sort();
}

/** A process with the files that it is made of: what it imports from its own folder. */
function processFiles(entry: string): string[] {
  const found = new Set<string>();
  const visit = (file: string) => {
    if (found.has(file)) return;
    found.add(file);
    const source = readFileSync(join(root, 'src/processes', file), 'utf8');
    for (const [, next = ''] of source.matchAll(/from '\.\/([\w-]+\.ts)'/g)) visit(next);
  };
  visit(entry);
  return [...found];
}

const contexts = readdirSync(join(root, 'src/contexts'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

test('every context that follows another is on the map, and none besides', () => {
  const known = contexts.flatMap((context) =>
    messagesKnownTo(`src/contexts/${context}`)
      .filter((other) => other !== context)
      .map((other) => `${context} follows ${other}`),
  );
  const shown = table('downstream').map(([downstream, upstream]) => `${downstream} follows ${upstream}`);
  expect(shown.sort()).toEqual(known.sort());
});

test('every process is on the map, with the contexts that it knows', () => {
  const index = readFileSync(join(root, 'src/processes/index.ts'), 'utf8');
  const entries = [...index.matchAll(/from '\.\/([\w-]+)\.ts'/g)].map(([, name = '']) => name);
  const known = entries.map((name) => {
    const all = processFiles(`${name}.ts`).flatMap((file) => messagesKnownTo(`src/processes/${file}`));
    return `${name}: ${[...new Set(all)].sort().join(', ')}`;
  });
  const shown = table('process').map(([name, knows]) => `${name}: ${knows}`);
  expect(shown.sort()).toEqual(known.sort());
});

test('every context is named, and every kind of relation is explained', () => {
  for (const context of contexts) expect(map).toMatch(new RegExp(`\\b${context}\\b`));
  const kinds = table('downstream').flatMap(([, , kind = '']) => kind.split(', '));
  for (const kind of kinds) expect(map.toLowerCase()).toContain(`**${kind}**`);
});

test('every adapter to the world outside is on the map', () => {
  const shown = table('party').flatMap(([, context = '', , adapters = '']) =>
    [...adapters.matchAll(/`([^`]+)`/g)].map(([, path = '']) => `src/contexts/${context}/${path}`),
  );
  expect(shown.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  const there = contexts.flatMap((context) =>
    ['providers', 'carriers']
      .map((folder) => `src/contexts/${context}/${folder}`)
      .filter((folder) => existsSync(join(root, folder)))
      .flatMap((folder) => readdirSync(join(root, folder)).map((file) => `${folder}/${file}`)),
  );
  const ports = there.filter((path) => /export function create\w+\(/.test(readFileSync(join(root, path), 'utf8')));
  expect(shown.sort()).toEqual(ports.sort());
});
