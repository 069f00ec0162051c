/**
 * House rules that no other tool checks: settings are read in src/config.ts alone, a file does one thing, and no test
 * is left out by accident. Prints what breaks them, and fails.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const MAX_LINES = 300;
const READS_ENVIRONMENT =
  /\bprocess\??\.env\b|\bprocess(\?\.)?\[['"]env['"]\]|import\b[^;'"]*\{[^}]*\benv\b[^}]*\}\s*from\s*['"](node:)?process['"]/g;
/** `skipIf` is fine: it says why. */
const LEAVES_TESTS_OUT = /\b(test|it|describe|suite)(\.\w+)*\.(only|skip)\b|\.skip\(/g;

const root = fileURLToPath(new URL('..', import.meta.url));

const problems = [
  ...sources('src').flatMap((file) => [
    ...(file.path === 'src/config.ts' ? [] : matches(file, READS_ENVIRONMENT, 'read in src/config.ts alone')),
    ...tooLong(file),
  ]),
  ...sources('test').flatMap((file) => matches(file, LEAVES_TESTS_OUT, 'leaves tests out')),
];

for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);

function sources(folder) {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((item) => item.isFile() && /\.[cm]?[jt]s$/.test(item.name))
    .map((item) => relative(root, join(item.parentPath, item.name)).split(sep).join('/'))
    .filter((path) => !path.startsWith('src/platform/prisma/'))
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
}

function matches({ path, text }, pattern, complaint) {
  return [...text.matchAll(pattern)].map((match) => {
    const line = text.slice(0, match.index).split('\n').length;
    return `${path}:${line}  ${match[0].replace(/\s+/g, ' ')}: ${complaint}`;
  });
}

function tooLong({ path, text }) {
  const lines = text.trimEnd().split('\n').length;
  return lines > MAX_LINES ? [`${path}  ${lines} lines: more than ${MAX_LINES}`] : [];
}
