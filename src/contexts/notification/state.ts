import { z } from 'zod';
import { notice } from './commands.ts';
import type { NotificationEvent } from './events.ts';

/** A mail that is to be sent. `to` is null where the recipient is forgotten. */
export const queuedNotification = z.object({ status: z.literal('queued'), to: z.string().nullable(), notice });
export type QueuedNotification = Readonly<z.output<typeof queuedNotification>>;

export type NotificationState =
  | { readonly status: 'unknown' }
  | QueuedNotification
  /** Nothing more is done about it. */
  | { readonly status: 'ended' };

export function evolveNotification(_state: NotificationState, event: NotificationEvent): NotificationState {
  switch (event.type) {
    case 'NotificationQueued':
      return { status: 'queued', to: event.data.to, notice: event.data.notice };
    case 'NotificationSent':
    case 'NotificationKept':
    case 'NotificationFailed':
      return { status: 'ended' };
    default:
      return event satisfies never;
  }
}
