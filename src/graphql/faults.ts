import { GraphQLError } from 'graphql';

/** What can go wrong beside a business "no", as clients see it in `extensions.code`. */
export type FaultCode =
  | 'BAD_USER_INPUT'
  | 'NOT_FOUND'
  | 'FORBIDDEN'
  | 'UNAUTHENTICATED'
  | 'POSITION_UNKNOWN'
  | 'STALE_READ'
  | 'PROJECTION_PARKED'
  | 'OVERLOADED'
  | 'UNAVAILABLE'
  | 'CONTENDED'
  | 'UNREADABLE_EVENT'
  | 'OPERATION_TOO_COSTLY';

/** An error that a client is told as it is: its message says what to do. */
export function fault(code: FaultCode, message: string): GraphQLError {
  return new GraphQLError(message, { extensions: { code } });
}
