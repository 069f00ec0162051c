import process from 'node:process';
import { SingleBar } from 'cli-progress';

/** A bar on the terminal, or nothing where there is none. */
export interface Progress {
  reach(value: number, counts: Readonly<Record<string, number>>): void;
  end(): void;
}

/**
 * @param total the value at which all is done
 * @param counted what is shown of the counts, by name
 */
export function showProgress(title: string, total: number, counted: readonly string[], isShown: boolean): Progress {
  if (!isShown || !process.stderr.isTTY) return { reach: () => {}, end: () => {} };
  const bar = new SingleBar({
    format: `${title} {bar} {percentage}% | ${counted.map((name) => `{${name}} ${name} | `).join('')}{eta_formatted} left`,
    stream: process.stderr,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    clearOnComplete: true,
    barsize: 20,
    linewrap: true, // Else Ctrl-C would leave a terminal that does not wrap lines.
  });
  bar.start(total, 0, Object.fromEntries(counted.map((name) => [name, 0])));
  return { reach: (value, counts) => bar.update(value, counts), end: () => bar.stop() };
}
