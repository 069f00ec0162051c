import process from 'node:process';
import { defineConfig } from 'prisma/config';

// `prisma generate` insists on an engine binary that it never runs, and would download one. Any executable will do.
process.env['PRISMA_SCHEMA_ENGINE_BINARY'] ??= process.execPath;

export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations' },
});
