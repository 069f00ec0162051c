import type { z } from 'zod';

/** What is wrong with options, each by its name as it is typed. */
export function optionProblems({ issues }: z.ZodError): string {
  return issues.map(({ path, message }) => `--${path.map(kebabCase).join('.')} ${message}.`).join('\n');
}

function kebabCase(name: PropertyKey): string {
  return String(name).replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
