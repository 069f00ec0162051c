import { streamIdOf } from '../../eventsourcing/log/stream-id.ts';
import type { LoadRecords } from '../shared-types.ts';
import { letterOf } from './letters.ts';
import { type NotificationRow, notificationProjection } from './projection.ts';
import { textOf } from './rendering.ts';

/** What somebody was told. */
export const notificationRecords: LoadRecords = async ({ customerId, limit }, { engine }) => {
  const found = await engine
    .view(notificationProjection)
    .rows.find(`WHERE customer_id = $1 ORDER BY queued_position LIMIT ${limit + 1}`, customerId);
  const notifications = found.slice(0, limit);
  return {
    lists: { notifications: notifications.map(shown) },
    streamIds: notifications.map(({ id }) => streamIdOf('notification', id)),
    isMore: found.length > limit,
  };
};

function shown({
  id,
  orderId,
  recipient: to,
  notice,
  status,
  failureReason,
  queuedAt: createdAt,
  sentAt,
}: NotificationRow) {
  const letter = letterOf(notice);
  return { id, orderId, to, subject: letter.subject, text: textOf(letter), status, failureReason, createdAt, sentAt };
}
