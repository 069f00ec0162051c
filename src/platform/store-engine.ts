import type { SqlMigrationAwareDriverAdapterFactory } from '@prisma/driver-adapter-utils';

/** What an engine gives the database: how Prisma reaches it, and how it is shut. */
export interface StoreEngine {
  readonly log: SqlMigrationAwareDriverAdapterFactory;
  readonly derived: SqlMigrationAwareDriverAdapterFactory;
  close(): Promise<void>;
}
