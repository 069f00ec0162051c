import { z } from 'zod';

/** SQLSTATE classes of a server that is gone, going or full: connection, insufficient resources, operator's word. */
const PASSING_SQLSTATE = /^(08|53|57P)/;
const PASSING_PRISMA = new Set(['P1001', 'P1002', 'P1008', 'P1017', 'P2024', 'P2037']);
const PASSING_NODE = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN', 'ENOENT']);
const PASSING_KIND = new Set([
  'DatabaseNotReachable',
  'ConnectionClosed',
  'SocketTimeout',
  'TooManyConnections',
  'TlsConnectionError',
]);
const PASSING_MESSAGE =
  /connection terminated|timeout exceeded when trying to connect|connection.*(closed|ended)|not queryable/i;

const anyFailure = z.object({
  code: z.string().optional().catch(undefined),
  originalCode: z.string().optional().catch(undefined),
  kind: z.string().optional().catch(undefined),
  message: z.string().optional().catch(undefined),
  cause: z.unknown().optional(),
  meta: z.object({ driverAdapterError: z.unknown().optional() }).optional().catch(undefined),
});

/**
 * Whether the database could not be reached, or was lost while it ran a statement: then it is unknown whether the
 * statement was committed. False for everything that the database itself refused, which would be refused again.
 */
export function isDatabaseAway(error: unknown): boolean {
  const parsed = anyFailure.safeParse(error);
  if (!parsed.success) return false;
  const { code, originalCode, kind, message, cause, meta } = parsed.data;
  return (
    [code, originalCode].some(
      (it) => it !== undefined && (PASSING_SQLSTATE.test(it) || PASSING_PRISMA.has(it) || PASSING_NODE.has(it)),
    ) ||
    (kind !== undefined && PASSING_KIND.has(kind)) ||
    (message !== undefined && PASSING_MESSAGE.test(message)) ||
    (cause !== undefined && cause !== error && isDatabaseAway(cause)) ||
    (meta !== undefined && isDatabaseAway(meta.driverAdapterError))
  );
}
