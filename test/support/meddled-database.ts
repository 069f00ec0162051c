import type { Database, SqlClient } from '../../src/platform/database.ts';

/** A database whose answers a test can hold back, or lose. */
export interface MeddledDatabase extends Database {
  /** Called after each statement was run, with its text, before anyone is given the answer. */
  onAnswer: (sql: string) => Promise<void> | void;
}

export function meddleWith(database: Database): MeddledDatabase {
  const through = ({ prisma, query }: SqlClient): SqlClient => ({
    prisma,
    async query(sql, ...parameters) {
      const rows = await query(sql, ...parameters);
      await meddled.onAnswer(sql);
      return rows;
    },
  });
  const meddled: MeddledDatabase = {
    ...database,
    log: through(database.log),
    derived: through(database.derived),
    onAnswer: () => {},
  };
  return meddled;
}
