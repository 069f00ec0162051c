import type { GraphQLSchema } from 'graphql';
import { createYoga } from 'graphql-yoga';
import type { RequestContext } from '../graphql/context.ts';
import type { Logger } from '../platform/logger.ts';
import { maskErrorWith, useErrorCodes } from './errors.ts';
import type { Yoga } from './fast-path.ts';
import { FIRST_OPERATIONS } from './graphiql.ts';
import { MAX_BODY_BYTES } from './http-body.ts';
import { useOperationLimits } from './operation-limits.ts';
import { useSharedExecution } from './shared-execution.ts';
import { useUnheardResults } from './unheard-results.ts';

export const GRAPHQL_PATH = '/graphql';

/** Yoga with everything that holds on each transport. */
export function createGraphQL(schema: GraphQLSchema, logger: Logger): Yoga {
  return createYoga<RequestContext>({
    schema,
    graphqlEndpoint: GRAPHQL_PATH,
    cors: false,
    multipart: false,
    landingPage: false,
    maxRequestBodySize: MAX_BODY_BYTES,
    logging: { debug: () => {}, info: () => {}, warn: (...it) => logger.warn({ it }, 'yoga'), error: () => {} },
    maskedErrors: { maskError: maskErrorWith(logger) },
    // Yoga's own page loads GraphiQL from a CDN; this one carries it along. It is large, so it is loaded when asked for.
    renderGraphiQL: async (options) => (await import('@graphql-yoga/render-graphiql')).renderGraphiQL(options),
    graphiql: {
      title: 'cartstream',
      subscriptionsProtocol: 'WS',
      defaultQuery: FIRST_OPERATIONS,
    },
    plugins: [useErrorCodes(), useOperationLimits(), useSharedExecution(), useUnheardResults()],
  });
}
