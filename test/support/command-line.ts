import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const APART = { PORT: '0', DATABASE_URL: '', LOG_LEVEL: 'warn', NO_COLOR: '1' };

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly errors: string;
}

/** Runs the command line to its end, in an empty folder: no .env is found there. */
export function commandLine(
  parameters: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const cwd = mkdtempSync(join(tmpdir(), 'cartstream-cli-'));
  const env = { ...process.env, ...APART, ...environment };
  return new Promise((resolve) => {
    const options = { cwd, env, timeout: 120_000, maxBuffer: 2 ** 28 };
    const child = execFile(process.execPath, [MAIN, ...parameters], options, (_, out, errors) => {
      rmSync(cwd, { recursive: true, force: true });
      resolve({ code: child.exitCode, out, errors });
    });
  });
}

/** Begins it, for whoever kills it before its end. */
export function commandLineBegun(
  parameters: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): ChildProcess {
  const env = { ...process.env, ...APART, ...environment };
  return spawn(process.execPath, [MAIN, ...parameters], { env, stdio: 'ignore' });
}
