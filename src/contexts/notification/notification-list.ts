import type { ObjectRef } from '@pothos/core';
import { z } from 'zod';
import { type Actor, actsForStaff } from '../../eventsourcing/actor.ts';
import type { ReadRows } from '../../eventsourcing/projections/read-table.ts';
import type { BuilderTypes } from '../../graphql/builder.ts';
import { decodeIdOf } from '../../graphql/global-id.ts';
import { keysetPage, TOTAL_COUNT } from '../../graphql/keyset-page.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';
import { Conditions, type KeysetOrder, type KeysetPage, keysetClauses } from '../../platform/keyset.ts';
import { subjectOf } from '../ownership.ts';
import { type NotificationRow, notificationProjection } from './projection.ts';

/** Beyond these, notifications are not counted. */
const MAX_COUNT = 1_000;

const ORDER: KeysetOrder = { columns: [{ name: 'queued_position', type: 'bigint' }], descending: true };
const notificationKey = z.tuple([z.number().int()]);
type NotificationKey = z.output<typeof notificationKey>;

interface NotificationsWanted {
  readonly orderId: string | undefined;
  readonly reader: Actor;
}

/** Declares the list of what customers were told, newest first. */
export function addNotificationList(
  { builder }: SchemaKit,
  notification: ObjectRef<BuilderTypes, NotificationRow>,
): void {
  builder.queryField('notifications', (t) =>
    t.connection(
      {
        type: notification,
        audience: 'owner',
        description:
          'What customers were told, the newest first: all of it for staff, their own for customers and guests.',
        args: { orderId: t.arg.id({ description: 'About this order.' }) },
        resolve: (_root, args, { engine, actor }) => {
          const { rows } = engine.view(notificationProjection);
          const orderId = args.orderId ?? undefined;
          const wanted = {
            orderId: orderId === undefined ? undefined : decodeIdOf('Order', orderId),
            reader: actor,
          };
          return keysetPage(args, {
            name: 'notifications',
            key: notificationKey,
            keyOf: ({ queuedPosition }: NotificationRow): NotificationKey => [queuedPosition],
            find: (page) => findNotifications(rows, wanted, page),
            count: () => rows.count(...countedBy(wanted)),
          });
        },
      },
      {
        name: 'NotificationConnection',
        description: 'A page of notifications.',
        fields: (connection) => ({ totalCount: connection.int(TOTAL_COUNT) }),
      },
      { name: 'NotificationEdge', description: 'A notification with its cursor.' },
    ),
  );
}

function findNotifications(
  rows: ReadRows<NotificationRow>,
  wanted: NotificationsWanted,
  page: KeysetPage<NotificationKey>,
): Promise<NotificationRow[]> {
  const conditions = conditionsOf(wanted);
  const sorted = keysetClauses(ORDER, page, conditions);
  return rows.find(`${conditions.where()} ${sorted}`, ...conditions.parameters);
}

function countedBy(wanted: NotificationsWanted): [where: string, limit: number, ...parameters: unknown[]] {
  const conditions = conditionsOf(wanted);
  return [conditions.where(), MAX_COUNT, ...conditions.parameters];
}

function conditionsOf({ orderId, reader }: NotificationsWanted): Conditions {
  const conditions = new Conditions();
  if (orderId !== undefined) conditions.add((at) => `order_id = ${at}::text`, orderId);
  if (actsForStaff(reader)) return conditions;
  const customerId = subjectOf(reader);
  if (customerId === null) conditions.addNever();
  else conditions.add((at) => `customer_id = ${at}::text`, customerId);
  return conditions;
}
