import { randomUUID } from 'node:crypto';
import { GraphQLError } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { UnreadableEvent } from '../eventsourcing/log/event.ts';
import { isDatabaseAway } from '../platform/failures.ts';
import type { Logger } from '../platform/logger.ts';

const MAX_MESSAGE = 500;

/**
 * What a client is told of an error: its code and message where it is meant for clients, else a reference under which
 * the log has the rest. Nothing of the inside, no stack.
 */
export function maskErrorWith(logger: Logger): (error: unknown) => GraphQLError {
  return (error) => {
    const place = error instanceof GraphQLError ? placeOf(error) : {};
    const cause = error instanceof GraphQLError ? (error.originalError ?? error) : error;
    if (cause instanceof GraphQLError) {
      // Yoga repeats a body here that is no JSON, whole; that there is one says to it that the status is 400.
      if ('originalError' in cause.extensions) cause.extensions['originalError'] = { name: 'SyntaxError' };
      if (cause.extensions['code'] !== undefined)
        return cause === error ? cause : new GraphQLError(cause.message, { ...place, extensions: cause.extensions });
      // graphql-js itself: variables that do not fit their types.
      if (cause.path === undefined)
        return new GraphQLError(shortened(error), { ...place, extensions: { code: 'BAD_USER_INPUT' } });
    }
    if (cause instanceof UnreadableEvent) {
      logger.error({ err: cause }, 'an event cannot be read');
      return new GraphQLError(cause.message, { ...place, extensions: { code: 'UNREADABLE_EVENT' } });
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

/** An error repeats what was sent, which may be long. */
function shortened(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.length > MAX_MESSAGE
    ? `${message.slice(0, MAX_MESSAGE / 2)} … ${message.slice(-MAX_MESSAGE / 2)}`
    : message;
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
        if (!(result instanceof GraphQLError)) return;
        result.extensions['code'] ??= 'GRAPHQL_PARSE_FAILED';
        // As Yoga does it; but it keeps the error that the fast path met first, and throws that the next time as it is.
        result.extensions['http'] ??= { spec: true, status: 400 };
      },
    onValidate:
      () =>
      ({ result }) => {
        for (const error of result) error.extensions['code'] ??= 'GRAPHQL_VALIDATION_FAILED';
      },
  };
}
