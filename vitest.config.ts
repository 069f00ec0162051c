import { defineConfig } from 'vitest/config';

export default defineConfig({
  // Node gives packages the CommonJS build of graphql; without this Vite would give our files the other one, and each
  // refuses the schemas of the other.
  resolve: { alias: [{ find: /^graphql$/, replacement: 'graphql/index.js' }] },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/global-setup.ts',
    pool: 'forks',
    // Each file may start servers and databases of its own, and some measure time: more at once only wait for another.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
