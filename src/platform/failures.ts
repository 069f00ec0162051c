import { z } from 'zod';

/**
 * SQLSTATE classes of a server that is gone, going or full: connection, insufficient resources, operator's word; one
 * that may only be read from, for as long as another takes over; and the victim of a deadlock, who may try again.
 */
const PASSING_SQLSTATE = /^(08|53|57P|25006|40P01)/;
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
  /query read timeout|connection terminated|timeout exceeded when trying to connect|connection.*(closed|ended)|not queryable/i;

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
export function isDatabaseAway(error: unknown, depth = 0): boolean {
  if (depth > 8) return false;
  const parsed = anyFailure.safeParse(error);
  if (!parsed.success) return false;
  const { code, originalCode, kind, message, cause, meta } = parsed.data;
  // What the database said itself is judged by its code alone: its words may be a user's.
  const sqlState = sqlStateOf(error);
  if (sqlState !== undefined) return PASSING_SQLSTATE.test(sqlState);
  return (
    [code, originalCode].some(
      (it) => it !== undefined && (PASSING_SQLSTATE.test(it) || PASSING_PRISMA.has(it) || PASSING_NODE.has(it)),
    ) ||
    (kind !== undefined && PASSING_KIND.has(kind)) ||
    (message !== undefined && PASSING_MESSAGE.test(message)) ||
    (cause !== undefined && isDatabaseAway(cause, depth + 1)) ||
    (meta !== undefined && isDatabaseAway(meta.driverAdapterError, depth + 1))
  );
}

function sqlStateOf(error: unknown, depth = 0): string | undefined {
  const parsed = depth > 8 ? undefined : anyFailure.safeParse(error).data;
  if (parsed === undefined) return undefined;
  const { code, originalCode, cause, meta } = parsed;
  const own = [originalCode, code].find(
    (it) => it !== undefined && /^(?=.*\d)[0-9A-Z]{5}$/.test(it) && !PASSING_PRISMA.has(it) && !/^P2\d{3}$/.test(it),
  );
  return own ?? sqlStateOf(meta?.driverAdapterError, depth + 1) ?? sqlStateOf(cause, depth + 1);
}

/**
 * What the database itself said where it refused something.
 * @param states SQLSTATEs that are meant; unless given: it let nobody in, for there is no such database or user, or the
 *   password is wrong
 */
export function refusalOf(error: unknown, states = NO_ENTRY, depth = 0): string | undefined {
  const parsed = depth > 8 ? undefined : refusal.safeParse(error).data;
  if (parsed === undefined) return undefined;
  const { originalCode, originalMessage, cause, meta } = parsed;
  if (originalCode !== undefined && states.test(originalCode)) return originalMessage ?? originalCode;
  return refusalOf(meta?.driverAdapterError, states, depth + 1) ?? refusalOf(cause, states, depth + 1);
}

/** SQLSTATE: invalid authorization, no such database. */
const NO_ENTRY = /^(28|3D)/;

const refusal = anyFailure.extend({ originalMessage: z.string().optional().catch(undefined) });
