import { randomUUID } from 'node:crypto';
import { type DatabaseSettings, openDatabase } from '../../src/platform/database.ts';
import type { Appender } from '../workers/append.ts';
import { sampleEventData } from './sample-event.ts';

const TABLE = `CREATE TABLE bench_events (
  position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event_id uuid NOT NULL,
  stream_id text NOT NULL,
  version integer NOT NULL,
  type text NOT NULL,
  data jsonb NOT NULL,
  actor_kind text NOT NULL,
  correlation_id uuid NOT NULL,
  recorded_at timestamptz NOT NULL,
  UNIQUE (stream_id, version)
)`;

const INSERT = `INSERT INTO bench_events (event_id, stream_id, version, type, data, actor_kind, correlation_id, recorded_at)
VALUES ($1::uuid, $2, 1, 'ItemAddedToCart', $3::jsonb, 'ADMIN', $4::uuid, now())`;

/** One statement per event through Prisma, as durable as the product's own log: what no event store can do less for. */
export async function openRawInsert(settings: DatabaseSettings): Promise<Appender> {
  const database = await openDatabase(settings);
  const { prisma } = database.log;
  await prisma.$executeRawUnsafe(TABLE);
  return {
    async append() {
      const id = randomUUID();
      await prisma.$executeRawUnsafe(INSERT, id, `cart-${id}`, JSON.stringify(sampleEventData()), id);
    },
    close: () => database.close(),
  };
}
