import { z } from 'zod';
import { hashOf, personal } from '../../eventsourcing/log/codec.ts';
import type { RecordedEventOf } from '../../eventsourcing/log/event.ts';
import { streamIdOf } from '../../eventsourcing/log/stream-id.ts';
import type { Projection } from '../../eventsourcing/projections/projection.ts';
import { column, type ReadTable } from '../../eventsourcing/projections/read-table.ts';
import { customerEvents } from './events.ts';

/** A customer or guest who ordered something. */
export const customerRow = z.object({
  customerId: z.string(),
  /** Null: forgotten. */
  email: personal(z.string(), 'customerId'),
  name: personal(z.string(), 'customerId'),
  /** The e-mail address as it is looked up by: in small letters. */
  foldedEmail: personal(z.string(), 'customerId'),
  emailHash: hashOf('foldedEmail'),
  version: z.number(),
  position: column.safeInt(),
  knownSince: column.instant(),
});
export type CustomerRow = z.output<typeof customerRow>;

const customerTable: ReadTable<CustomerRow> = { name: 'customer_view', key: 'customerId', row: customerRow };

type RecordedCustomerEvent = RecordedEventOf<(typeof customerEvents)[number]>;

export const customerProjection: Projection<CustomerRow> = {
  name: 'customers.customers',
  version: 1,
  table: customerTable,
  eventTypes: customerEvents.map(({ type }) => type),
  keyOf: (event) => event.aggregateId,
  evolveRow: (row, event) => evolve(row, event as RecordedCustomerEvent),
  streamsOf: ({ customerId }) => [streamIdOf('customer', customerId)],
};

/** Addresses that differ in nothing but capitals are one person's, whatever the standard says. */
export function foldedEmail(email: string): string {
  return email.trim().toLowerCase();
}

function evolve(row: CustomerRow | undefined, event: RecordedCustomerEvent): CustomerRow | undefined {
  const { version, position, recordedAt, aggregateId: customerId } = event;
  if (event.type === 'CustomerForgotten') {
    const contact = { email: null, name: null, foldedEmail: null, emailHash: null };
    return { customerId, ...contact, version, position, knownSince: row?.knownSince ?? recordedAt };
  }
  const { email, name } = event.data;
  const contact = { email, name, foldedEmail: email === null ? null : foldedEmail(email), emailHash: null };
  switch (event.type) {
    case 'CustomerRecorded':
      return { customerId, ...contact, version, position, knownSince: recordedAt };
    case 'CustomerContactChanged':
      return row === undefined ? undefined : { ...row, ...contact, version, position };
    default:
      return event satisfies never;
  }
}
