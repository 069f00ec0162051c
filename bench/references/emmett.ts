import { randomUUID } from 'node:crypto';
import { getPostgreSQLEventStore } from '@event-driven-io/emmett-postgresql';
import type { Appender } from '../workers/append.ts';
import { sampleEventData } from './sample-event.ts';

/** emmett-postgresql as its documentation sets it up: one event to a new stream, with its default pool. */
export async function openEmmett(url: string): Promise<Appender> {
  const store = getPostgreSQLEventStore(url);
  await store.schema.migrate();
  return {
    async append() {
      await store.appendToStream(`cart-${randomUUID()}`, [{ type: 'ItemAddedToCart', data: sampleEventData() }]);
    },
    close: () => store.close(),
  };
}
