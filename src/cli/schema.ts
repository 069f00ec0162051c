import process from 'node:process';
import { lexicographicSortSchema, printSchema } from 'graphql';
import { contexts } from '../contexts/index.ts';
import { createSchema } from '../server/schema.ts';

export function printSchemaSorted(): void {
  process.stdout.write(`${printSchema(lexicographicSortSchema(createSchema(contexts)))}\n`);
}
