import type { GraphQLSchema } from 'graphql';
import type { Context } from '../contexts/context.ts';
import { addSharedTypes } from '../contexts/shared-types.ts';
import { createSchemaKit } from '../graphql/schema-kit.ts';
import { processEvents } from '../processes/index.ts';

/**
 * Puts the contexts' parts of the schema together, and what processes tell.
 * @param auditReads whether it records who reads what, in the `readAudit` of the operation's context
 */
export function createSchema(contexts: readonly Context[], { auditReads = false } = {}): GraphQLSchema {
  const kit = createSchemaKit(
    contexts.flatMap((context) => context.aggregates),
    processEvents,
  );
  const shared = addSharedTypes(kit);
  for (const context of contexts) context.declareSchema(kit, shared);
  kit.addEventTypes(shared.valueTypes());
  return kit.builder.toSchema({ auditReads });
}
