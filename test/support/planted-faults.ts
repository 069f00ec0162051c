import { randomUUID } from 'node:crypto';
import type { Database } from '../../src/platform/database.ts';
import type { LocalServer } from './servers.ts';

/** What a planted fault says, where operators read it. */
export const FAULT = 'a planted fault';

export interface PlantedFault {
  /** From now on the database takes again what it refused. */
  mend(): Promise<void>;
}

const planted = new Set<PlantedFault>();

/** Mends what a test has left broken, because it failed or does not care. */
export async function mendFaults(): Promise<void> {
  for (const fault of planted) await fault.mend();
}

/**
 * Has the database refuse rows of a table: a fault as it happens to a server, which no command can decide about.
 * @param condition which rows, in SQL: `NEW.type = 'CartMerged'`
 */
export async function plantFault({ log }: Database, table: string, condition: string): Promise<PlantedFault> {
  const name = `fault_${randomUUID().replaceAll('-', '')}`;
  await log.query(`
    CREATE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF ${condition} THEN
        RAISE EXCEPTION '${FAULT}';
      END IF;
      RETURN NEW;
    END $$`);
  await log.query(`CREATE TRIGGER ${name} BEFORE INSERT OR UPDATE ON ${table} FOR EACH ROW EXECUTE FUNCTION ${name}()`);
  const fault: PlantedFault = {
    async mend() {
      planted.delete(fault);
      await log.query(`DROP FUNCTION IF EXISTS ${name}() CASCADE`);
    },
  };
  planted.add(fault);
  return fault;
}

/** Commands that wait for their next attempt are tried now: tests do not wait for pauses that grow. */
export async function skipPauses({ database, engine }: Pick<LocalServer, 'database' | 'engine'>): Promise<void> {
  await database.log.query('UPDATE command_queue SET retry_at = NULL WHERE retry_at IS NOT NULL AND owner IS NULL');
  engine.wake();
}
