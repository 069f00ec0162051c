import type { GraphQLSchema } from 'graphql';
import type { Context } from '../contexts/context.ts';
import { addSharedTypes } from '../contexts/shared-types.ts';
import { createSchemaKit } from '../graphql/schema-kit.ts';

/** Puts the contexts' parts of the schema together. */
export function createSchema(contexts: readonly Context[]): GraphQLSchema {
  const kit = createSchemaKit(contexts.flatMap((context) => context.aggregates));
  const shared = addSharedTypes(kit);
  for (const context of contexts) context.declareSchema(kit, shared);
  kit.addEventTypes({ Money: shared.money, Currency: 'Currency' });
  return kit.builder.toSchema();
}
