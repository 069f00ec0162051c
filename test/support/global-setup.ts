import { execFileSync } from 'node:child_process';
import process from 'node:process';

/** Tests that start the server as a process start dist/main.js: it must be that of the sources under test. */
export default function setup(): void {
  execFileSync(process.execPath, ['scripts/build.js'], { stdio: 'inherit' });
}
