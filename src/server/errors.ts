import { randomUUID } from 'node:crypto';
import { GraphQLError } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { isDatabaseAway } from '../platform/failures.ts';
import type { Logger } from '../platform/logger.ts';

/**
 * What a client is told of an error: its code and message where it is meant for clients, else a reference under which
 * the log has the rest. Nothing of the inside, no stack.
 */
export function maskErrorWith(logger: Logger): (error: unknown) => GraphQLError {
  return (error) => {
    const place = error instanceof GraphQLError ? placeOf(error) : {};
    const cause = error instanceof GraphQLError ? (error.originalError ?? error) : error;
    if (cause instanceof GraphQLError) {
      if (cause.extensions['code'] !== undefined)
        return cause === error ? cause : new GraphQLError(cause.message, { ...place, extensions: cause.extensions });
      // graphql-js itself: variables that do not fit their types.
      if (cause.path === undefined)
        return new GraphQLError(cause.message, { ...place, extensions: { code: 'BAD_USER_INPUT' } });
    }
    if (isDatabaseAway(cause)) {
      logger.warn({ err: cause }, 'database away');
      return new GraphQLError('The database is away: try again soon.', {
        ...place,
        extensions: { code: 'UNAVAILABLE' },
      });
    }
    const reference = randomUUID();
    logger.error({ err: cause, reference }, 'request failed');
    return new GraphQLError(`Something broke inside. Its reference is ${reference}.`, {
      ...place,
      extensions: { code: 'INTERNAL_SERVER_ERROR', reference },
    });
  };
}

function placeOf({ nodes, path }: GraphQLError) {
  return { nodes: nodes ?? null, path: path ?? null };
}

/** Gives errors of syntax and validation their code on every transport; graphql-js has none for them. */
export function useErrorCodes(): Plugin {
  return {
    onParse:
      () =>
      ({ result }) => {
        if (result instanceof GraphQLError) result.extensions['code'] ??= 'GRAPHQL_PARSE_FAILED';
      },
    onValidate:
      () =>
      ({ result }) => {
        for (const error of result) error.extensions['code'] ??= 'GRAPHQL_VALIDATION_FAILED';
      },
  };
}
