import { z } from 'zod';
import { personal } from '../../eventsourcing/log/codec.ts';
import type { RecordedEventOf } from '../../eventsourcing/log/event.ts';
import { streamIdOf } from '../../eventsourcing/log/stream-id.ts';
import type { Projection } from '../../eventsourcing/projections/projection.ts';
import { column, type ReadTable } from '../../eventsourcing/projections/read-table.ts';
import { notice } from './commands.ts';
import { notificationEvents } from './events.ts';

export const NOTIFICATION_STATUSES = ['QUEUED', 'SENT', 'KEPT', 'FAILED'] as const;
export type NotificationStatus = (typeof NOTIFICATION_STATUSES)[number];

/** Something that a customer was told, or was to be. */
export const notificationRow = z.object({
  id: z.string(),
  orderId: z.string(),
  customerId: z.string(),
  /** Null: forgotten. */
  recipient: personal(z.string(), 'customerId'),
  notice,
  status: z.enum(NOTIFICATION_STATUSES),
  failureReason: z.string().nullable(),
  position: column.safeInt(),
  queuedPosition: column.safeInt(),
  queuedAt: column.instant(),
  sentAt: column.instant().nullable(),
});
export type NotificationRow = z.output<typeof notificationRow>;

const notificationTable: ReadTable<NotificationRow> = { name: 'notification_view', key: 'id', row: notificationRow };

type RecordedNotificationEvent = RecordedEventOf<(typeof notificationEvents)[number]>;

export const notificationProjection: Projection<NotificationRow> = {
  name: 'notification.notifications',
  version: 1,
  table: notificationTable,
  eventTypes: notificationEvents.map(({ type }) => type),
  keyOf: (event) => event.aggregateId,
  evolveRow: (row, event) => evolve(row, event as RecordedNotificationEvent),
  streamsOf: ({ id }) => [streamIdOf('notification', id)],
};

function evolve(row: NotificationRow | undefined, event: RecordedNotificationEvent): NotificationRow | undefined {
  const { position, recordedAt } = event;
  if (event.type === 'NotificationQueued') {
    const { orderId, customerId, to: recipient, notice: told } = event.data;
    const beginning = { id: event.aggregateId, status: 'QUEUED', failureReason: null, sentAt: null } as const;
    const when = { position, queuedPosition: position, queuedAt: recordedAt };
    return { ...beginning, orderId, customerId, recipient, notice: told, ...when };
  }
  if (row === undefined) return undefined;
  switch (event.type) {
    case 'NotificationSent':
      return { ...row, position, status: 'SENT', sentAt: recordedAt };
    case 'NotificationKept':
      return { ...row, position, status: 'KEPT' };
    case 'NotificationFailed':
      return { ...row, position, status: 'FAILED', failureReason: event.data.reason };
    default:
      return event satisfies never;
  }
}
