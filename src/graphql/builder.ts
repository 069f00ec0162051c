import SchemaBuilder from '@pothos/core';
import RelayPlugin from '@pothos/plugin-relay';
import './audience-plugin.ts';
import './read-audit-plugin.ts';
import type { RequestContext } from './context.ts';
import { fault } from './faults.ts';
import { decodeGlobalId, encodeGlobalId, idAsOf } from './global-id.ts';
import { type Scalars, scalars } from './scalars.ts';

/** The largest page of a connection, and the one for a caller that names no size. */
export const MAX_PAGE = 100;
export const DEFAULT_PAGE = 20;
const MAX_NODES = 100;

/** A builder with everything that a context declares its part of the schema with. */
export function createBuilder() {
  const builder = new SchemaBuilder<{
    Context: RequestContext;
    DefaultFieldNullability: false;
    DefaultEdgesNullability: { list: false; items: false };
    DefaultNodeNullability: false;
    Scalars: Scalars;
  }>({
    // The first one is around the others: what the audience refuses, is recorded as refused.
    plugins: ['readAudit', 'audience', RelayPlugin],
    defaultFieldNullability: false,
    relay: {
      cursorType: 'String',
      encodeGlobalID: (typename, id) => encodeGlobalId(typename, String(id)),
      decodeGlobalID: (globalId) => {
        const { typename, id, asOf } = decodeGlobalId(globalId);
        return { typename, id: idAsOf(id, asOf) };
      },
      idFieldOptions: { description: 'Its id, unique among all types.' },
      nodeTypeOptions: { description: 'Anything with an id of its own.', audience: 'public' },
      nodeQueryOptions: {
        description: 'Anything by its id; null if it is not there, or not for you.',
        audience: 'public',
        args: { id: { description: 'An id that this API gave.' } },
      },
      nodesQueryOptions: {
        description: `Several things by their ids, at most ${MAX_NODES}, in the same order.`,
        audience: 'public',
        args: { ids: { description: 'Ids that this API gave.' } },
        nullable: { list: false, items: true },
        resolve: (_root, { ids }, _context, _info, resolveNodes) => {
          if (ids.length > MAX_NODES)
            throw fault('BAD_USER_INPUT', `At most ${MAX_NODES} ids can be asked for at once.`);
          return resolveNodes(ids);
        },
      },
      pageInfoTypeOptions: { description: 'Where a page lies in the whole list.' },
      hasNextPageFieldOptions: { description: 'There is more after this page.' },
      hasPreviousPageFieldOptions: { description: 'There is more before this page.' },
      startCursorFieldOptions: { description: 'The cursor of the first item of the page.' },
      endCursorFieldOptions: { description: 'The cursor of the last item of the page.' },
      cursorFieldOptions: { description: 'Where this item is: for `after` and `before`.' },
      nodeFieldOptions: { description: 'The item.', nullable: false },
      edgesFieldOptions: { description: 'The items with their cursors.', nullable: { list: false, items: false } },
      pageInfoFieldOptions: { description: 'Where the page lies in the whole list.' },
      nodesOnConnection: { description: 'The items without their cursors.' },
      firstArgOptions: { description: `How many items from the start, at most ${MAX_PAGE}.` },
      lastArgOptions: { description: `How many items from the end, at most ${MAX_PAGE}.` },
      afterArgOptions: { description: 'Only items after this cursor.' },
      beforeArgOptions: { description: 'Only items before this cursor.' },
      defaultConnectionTypeOptions: { description: 'A page of a list.' },
      defaultEdgeTypeOptions: { description: 'An item with its cursor.' },
    },
  });
  builder.queryType({ description: 'What can be asked.' });
  builder.mutationType({ description: 'What can be done. Each mutation is a command to one aggregate.' });
  builder.subscriptionType({ description: 'What can be watched live.' });
  builder.scalarType('DateTime', scalars.DateTime);
  builder.scalarType('SafeInt', scalars.SafeInt);
  builder.scalarType('Currency', scalars.Currency);
  builder.scalarType('Position', scalars.Position);
  builder.scalarType('JSON', scalars.JSON);
  return builder;
}

export type SchemaBuilderOf = ReturnType<typeof createBuilder>;

/** Pothos' name for all that the builder knows of types. */
export type BuilderTypes = SchemaBuilderOf['$inferSchemaTypes'];
