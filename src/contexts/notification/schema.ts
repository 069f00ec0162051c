import type { SchemaKit } from '../../graphql/schema-kit.ts';
import { mayRead } from '../ownership.ts';
import type { SharedTypes } from '../shared-types.ts';
import { letterOf } from './letters.ts';
import { addNotificationList } from './notification-list.ts';
import { type NotificationRow, type NotificationStatus, notificationProjection } from './projection.ts';
import { notificationRecords } from './records.ts';
import { textOf } from './rendering.ts';

const STATUS_MEANINGS: Record<NotificationStatus, string> = {
  QUEUED: 'It is to be sent.',
  SENT: 'The mail server took it.',
  KEPT: 'This server has no mail server: it is kept here, and nobody was sent anything.',
  FAILED: 'It cannot be delivered, however often it is tried.',
};

export function declareNotificationSchema(kit: SchemaKit, shared: SharedTypes): void {
  const { builder } = kit;
  shared.provideRecords(notificationRecords);
  const notification = builder.objectRef<NotificationRow>('Notification');
  const status = builder.enumType('NotificationStatus', {
    description: 'What became of a notification.',
    values: Object.fromEntries(
      Object.entries(STATUS_MEANINGS).map(([name, description]) => [name, { description }]),
    ) as Record<NotificationStatus, { description: string }>,
  });
  builder.node(notification, {
    description: 'Something that a customer was told, or was to be. For that customer, and for staff.',
    audience: 'owner',
    id: { resolve: ({ id }) => id },
    isTypeOf: (value) => typeof value === 'object' && value !== null && 'notice' in value,
    loadMany: async (ids: string[], { engine, actor }) => {
      const rows = await engine.view(notificationProjection).rows.load(ids);
      return ids.map((id) => {
        const row = rows.get(id);
        return row !== undefined && mayRead(actor, row.customerId) ? row : null;
      });
    },
    fields: (t) => ({
      channel: t.string({ description: 'The way that it goes: `email`.', resolve: () => 'email' }),
      subject: t.string({
        nullable: true,
        description: 'What it is about.',
        resolve: ({ notice }) => letterOf(notice).subject,
      }),
      text: t.string({ description: 'What it says.', resolve: ({ notice }) => textOf(letterOf(notice)) }),
      status: t.field({ type: status, description: 'What became of it.', resolve: (it) => it.status }),
      failureReason: t.string({
        nullable: true,
        description:
          'Why it failed: FORGOTTEN, if nobody knows any more where it goes, or what the mail server answered.',
        resolve: (it) => it.failureReason,
      }),
      to: t.string({
        nullable: true,
        description: 'Where it goes; null once that is forgotten.',
        resolve: (it) => it.recipient,
      }),
      createdAt: t.field({
        type: 'DateTime',
        description: 'When there was something to tell.',
        resolve: (it) => it.queuedAt,
      }),
      sentAt: t.field({
        type: 'DateTime',
        nullable: true,
        description: 'When the mail server took it.',
        resolve: (it) => it.sentAt,
      }),
    }),
  });
  addNotificationList(kit, notification);
}
