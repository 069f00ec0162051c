import { KeyRing } from '../../src/eventsourcing/keys/key-ring.ts';
import { StorageCodec } from '../../src/eventsourcing/log/codec.ts';
import type { Database } from '../../src/platform/database.ts';
import { createLogger } from '../../src/platform/logger.ts';

/** The master key of every store in tests. */
export const testMasterKey = Buffer.alloc(32, 'a master key for tests ');

/** For reading a store beside the engine that it belongs to. */
export async function testCodec({ log }: Pick<Database, 'log'>): Promise<StorageCodec> {
  return new StorageCodec(
    await KeyRing.open({ client: log, masterKey: testMasterKey, logger: createLogger('silent') }),
  );
}
