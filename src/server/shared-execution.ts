import {
  createSourceEventStream,
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  execute,
  GraphQLError,
  Kind,
  visit,
} from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { z } from 'zod';
import { RowParked } from '../eventsourcing/live/live-hub.ts';
import type { RequestContext } from '../graphql/context.ts';
import { fault } from '../graphql/faults.ts';
import { sharePayload } from './shared-payload.ts';

/**
 * Subscribers of the same row with the same document, variables and rights get the same result: it is executed and
 * serialised once. The hub hands them one and the same change object, which is what the results are kept by.
 */
export function useSharedExecution(): Plugin<RequestContext> {
  return {
    onSubscribe({ setSubscribeFn }) {
      setSubscribeFn(subscribeShared);
    },
  };
}

const results = new WeakMap<object, Map<string, Promise<ExecutionResult>>>();

async function subscribeShared(args: ExecutionArgs): Promise<AsyncIterableIterator<ExecutionResult> | ExecutionResult> {
  const source = await createSourceEventStream(args);
  if (!(Symbol.asyncIterator in source)) return source;
  const changes = source[Symbol.asyncIterator]();
  const key = shareKey(args);
  let isOver = false;
  const shared: AsyncIterableIterator<ExecutionResult> = {
    [Symbol.asyncIterator]: () => shared,
    async next() {
      if (isOver) return { done: true, value: undefined };
      try {
        const { done, value } = await changes.next();
        return done === true ? { done, value: undefined } : { done: false, value: await resultOf(value, key, args) };
      } catch (error) {
        // Thrown, it would end the whole socket: as a last payload it ends this operation alone.
        isOver = true;
        return { done: false, value: { errors: [lastError(error)] } };
      }
    },
    async return() {
      await changes.return?.();
      return { done: true, value: undefined };
    },
  };
  return shared;
}

function lastError(error: unknown): GraphQLError {
  if (error instanceof GraphQLError) return error;
  if (error instanceof RowParked) return fault('PROJECTION_PARKED', error.message);
  return new GraphQLError('The subscription broke.', { originalError: error instanceof Error ? error : null });
}

function resultOf(change: unknown, key: string, args: ExecutionArgs): Promise<ExecutionResult> {
  const shared = z.custom<object>((it) => typeof it === 'object' && it !== null).parse(change);
  const known = results.get(shared) ?? new Map<string, Promise<ExecutionResult>>();
  results.set(shared, known);
  const present = known.get(key);
  if (present !== undefined) return present;
  const result = executeChange(args, change);
  known.set(key, result);
  return result;
}

async function executeChange(args: ExecutionArgs, rootValue: unknown): Promise<ExecutionResult> {
  const result = await execute({ ...args, rootValue });
  return result.errors === undefined ? sharePayload(result) : result;
}

const documentIds = new WeakMap<DocumentNode, { id: number; variables: readonly string[] }>();
let documents = 0;

/** What a result depends on beside the change. Arguments of the root field only choose the source. */
function shareKey({ document, operationName, variableValues, contextValue }: ExecutionArgs): string {
  let known = documentIds.get(document);
  if (known === undefined) {
    documents += 1;
    known = { id: documents, variables: variablesBelowRoot(document) };
    documentIds.set(document, known);
  }
  const { actor } = z.object({ actor: z.object({ kind: z.string(), id: z.string().nullable() }) }).parse(contextValue);
  return JSON.stringify([known.id, operationName, known.variables.map((name) => variableValues?.[name]), actor]);
}

function variablesBelowRoot(document: DocumentNode): string[] {
  const names = new Set<string>();
  visit(document, {
    OperationDefinition: (operation) => ({
      ...operation,
      variableDefinitions: [],
      selectionSet: {
        ...operation.selectionSet,
        selections: operation.selectionSet.selections.map((it) =>
          it.kind === Kind.FIELD ? { ...it, arguments: [] } : it,
        ),
      },
    }),
    Variable: ({ name }) => {
      names.add(name.value);
    },
  });
  return [...names];
}
