import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const WASM_TIERS = fileURLToPath(new URL('test/support/wasm-tiers.cjs', import.meta.url));

/** What takes longest comes first: otherwise one worker is busy with it at the end, and the other has nothing to do. */
const LONG =
  /\/test\/(chaos\/|cli\/|server\/(websocket|no-oversell|command-line)\.|eventsourcing\/(log-follower|scheduler)\.)/;

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = ({ moduleId }: TestSpecification) => LONG.test(moduleId);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

export default defineConfig({
  // Node gives packages the CommonJS build of graphql; without this Vite would give our files the other one, and each
  // refuses the schemas of the other.
  resolve: { alias: [{ find: /^graphql$/, replacement: 'graphql/index.js' }] },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/global-setup.ts',
    pool: 'forks',
    // Each file may start servers and databases of its own: with more at once, files only wait for another.
    maxWorkers: 3,
    env: { NODE_OPTIONS: `--require ${JSON.stringify(WASM_TIERS)}` },
    // A worker loads the packages and compiles the embedded database once, not for each file: no test replaces a module
    // or changes the environment.
    isolate: false,
    sequence: { sequencer: LongestFirst },
    // Limits, not waits: they hold on a machine that does as much again beside the tests.
    testTimeout: 120_000,
    hookTimeout: 180_000,
  },
});
