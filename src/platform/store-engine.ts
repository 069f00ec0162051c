import type { SqlMigrationAwareDriverAdapterFactory } from '@prisma/driver-adapter-utils';

/** What an engine gives the database: how Prisma reaches it, and how it is shut. */
export interface StoreEngine {
  readonly log: SqlMigrationAwareDriverAdapterFactory;
  readonly derived: SqlMigrationAwareDriverAdapterFactory;
  /**
   * Of a store in a folder: copies it, as it is at one instant, into a folder in there that somebody made for it
   * (`makeCopyFolder`). Statements wait meanwhile.
   * @returns for how long they had to, in milliseconds
   */
  copyAs?(name: string): Promise<number>;
  close(): Promise<void>;
}
