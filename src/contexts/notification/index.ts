import type { Aggregate } from '../../eventsourcing/commands/aggregate.ts';
import type { Context } from '../context.ts';
import { type NotificationCommand, notificationCommands } from './commands.ts';
import { effectsOfNotification, notificationDecider } from './decider.ts';
import { type NotificationEvent, notificationEvents } from './events.ts';
import { notificationProjection } from './projection.ts';
import { declareNotificationSchema } from './schema.ts';
import type { NotificationState } from './state.ts';

const notification: Aggregate<NotificationState, NotificationCommand, NotificationEvent, never> = {
  type: 'notification',
  decider: notificationDecider,
  commands: notificationCommands,
  events: notificationEvents,
  endsWith: ['NotificationSent', 'NotificationKept', 'NotificationFailed'],
  effectsOf: effectsOfNotification,
};

/** What customers are told, and whether they were. */
export const notificationContext: Context = {
  name: 'notification',
  aggregates: [notification],
  projections: [notificationProjection],
  declareSchema: declareNotificationSchema,
};
