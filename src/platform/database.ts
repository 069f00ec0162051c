import type { SqlMigrationAwareDriverAdapterFactory } from '@prisma/driver-adapter-utils';
import { listen, type Notifications } from './notifications.ts';
import { openPGlite } from './pglite.ts';
import { openPostgres } from './postgres.ts';
import { PrismaClient } from './prisma/client.ts';

/** PGlite in a folder, or in memory without one (for tests); or a PostgreSQL server. */
export type DatabaseSettings = { engine: 'pglite'; folder?: string } | { engine: 'postgresql'; url: string };

/** SQL through Prisma over one kind of connection. */
export interface SqlClient {
  readonly prisma: PrismaClient;
  /** Runs one statement in its own transaction. The rows are as the driver gives them: parse them. */
  query(sql: string, ...parameters: unknown[]): Promise<unknown[]>;
}

export interface Database {
  readonly engine: DatabaseSettings['engine'];
  /** For the log and the commands. */
  readonly log: SqlClient;
  /** For what is derived from the log, and for reads: connections of their own, so that they never hold up an append. */
  readonly derived: SqlClient;
  readonly adapters: SqlMigrationAwareDriverAdapterFactory;
  /**
   * Hears what other processes say with NOTIFY; undefined for an embedded store, which has no others.
   * @param onListening called whenever hearing begins anew: what was said before may have been missed
   */
  listen(
    channel: string,
    onNotification: (payload: string) => void,
    onListening: () => void,
  ): Notifications | undefined;
  /** Copies an embedded store, as it is at one instant: `StoreEngine.copyAs`. */
  copyAs?(name: string): Promise<number>;
  close(): Promise<void>;
}

/** More than any transaction of ours takes; timers hold no more than 24 days. */
const TRANSACTION_MS = 20 * 86_400_000;

/**
 * Runs statements one after the other in one transaction, however long it takes: for commands of operators alone, never
 * where others wait.
 * @param isSnapshot every statement sees the store as it was at the first one that reads
 */
export function inTransaction<Result>(
  { log, engine }: Database,
  work: (client: Pick<SqlClient, 'query'>) => Promise<Result>,
  { isSnapshot = false }: { readonly isSnapshot?: boolean } = {},
): Promise<Result> {
  // An embedded store has nobody else who could change it meanwhile.
  const isolation = isSnapshot && engine === 'postgresql' ? ({ isolationLevel: 'RepeatableRead' } as const) : {};
  return log.prisma.$transaction(
    (transaction) =>
      work({ query: (sql, ...parameters) => transaction.$queryRawUnsafe<unknown[]>(sql, ...parameters) }),
    { timeout: TRANSACTION_MS, maxWait: 60_000, ...isolation },
  );
}

/**
 * Opens the store; does not migrate it.
 * @throws {FolderInUse} another process has the PGlite folder open
 */
export async function openDatabase(settings: DatabaseSettings): Promise<Database> {
  const engine = settings.engine === 'pglite' ? await openPGlite(settings.folder) : openPostgres(settings.url);
  const log = sqlClient(engine.log);
  const derived = engine.derived === engine.log ? log : sqlClient(engine.derived);
  return {
    engine: settings.engine,
    log,
    derived,
    adapters: engine.log,
    listen: (channel, onNotification, onListening) =>
      settings.engine === 'postgresql' ? listen(settings.url, channel, onNotification, onListening) : undefined,
    ...(engine.copyAs !== undefined && { copyAs: engine.copyAs }),
    async close() {
      await Promise.all([log.prisma.$disconnect(), derived.prisma.$disconnect()]);
      await engine.close();
    },
  };
}

function sqlClient(adapter: SqlMigrationAwareDriverAdapterFactory): SqlClient {
  const prisma = new PrismaClient({ adapter });
  return { prisma, query: (sql, ...parameters) => prisma.$queryRawUnsafe<unknown[]>(sql, ...parameters) };
}
