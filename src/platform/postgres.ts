import { createHash } from 'node:crypto';
import { PrismaPg } from '@prisma/adapter-pg';
import type { StoreEngine } from './store-engine.ts';

/** Connections of one process: the log has one writer at a time, the rest is for reads. */
const LOG_CONNECTIONS = 6;
const DERIVED_CONNECTIONS = 6;
/**
 * A plan is made for the tables as they are, not once while they are empty; and is never worth compiling. The append
 * relies on each of its statements seeing what was committed before it.
 */
const OPTIONS =
  '-c TimeZone=UTC -c plan_cache_mode=force_custom_plan -c jit=off -c default_transaction_isolation=read\\ committed';
/** A connection that is silent for so long is given up: it may have been cut without a word. */
const QUERY_TIMEOUT_MS = 60_000;
const CONNECT_TIMEOUT_MS = 5_000;

/** A PostgreSQL server. Connects when first asked. */
export function openPostgres(url: string): StoreEngine {
  return {
    log: pool(url, LOG_CONNECTIONS),
    derived: pool(url, DERIVED_CONNECTIONS),
    close: async () => {},
  };
}

function pool(connectionString: string, max: number): PrismaPg {
  return new PostgresAdapters(
    {
      connectionString,
      max,
      options: OPTIONS,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
      query_timeout: QUERY_TIMEOUT_MS,
    },
    {
      // Statements are few and fixed: let the server parse and plan each once per connection.
      statementNameGenerator: ({ sql }) => createHash('sha1').update(sql).digest('base64url'),
      // A lost idle connection shows again, with its cause, in the statement that needs one.
      onPoolError: () => {},
      onConnectionError: () => {},
    },
  );
}

/** The adapter splits a migration at every semicolon, also inside a function's body; the server does not need that. */
class PostgresAdapters extends PrismaPg {
  override async connect() {
    const adapter = await super.connect();
    adapter.executeScript = async (script) => {
      await adapter.underlyingDriver().query(script);
    };
    return adapter;
  }
}
