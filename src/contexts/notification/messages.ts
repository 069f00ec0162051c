import type { Notice, NotificationCommand } from './commands.ts';
import { notice } from './commands.ts';

/** What a mail tells, as whoever asks for it writes it. */
export { type Notice, notice };

/** What processes may ask of notification. */
export type NotificationRequest = Extract<NotificationCommand, { type: 'SendNotification' }>;
