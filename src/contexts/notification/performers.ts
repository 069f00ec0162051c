import type { Performer } from '../../eventsourcing/commands/performer.ts';
import type { Mailer } from '../../platform/mail.ts';
import { sendMail } from './commands.ts';
import type { NotificationOutcome } from './decider.ts';
import { letterOf } from './letters.ts';
import { htmlOf, textOf } from './rendering.ts';
import { queuedNotification } from './state.ts';

/** A repeat of a mail has the same Message-ID: so whoever gets it twice can tell. */
export function messageIdOf(notificationId: string): string {
  return `<${notificationId}@cartstream>`;
}

/** Sends the mails of notifications. */
export function createNotificationPerformers(mailer: Pick<Mailer, 'send'>): Readonly<Record<'SendMail', Performer>> {
  return {
    async SendMail({ state, data }): Promise<NotificationOutcome | undefined> {
      const { data: queued } = queuedNotification.safeParse(state);
      // It has an end already, or never was: which of them, the decider knows.
      if (queued === undefined) return undefined;
      if (queued.to === null) return { outcome: 'refused', reason: 'FORGOTTEN' };
      const letter = letterOf(queued.notice);
      const { notificationId } = sendMail.input.parse(data);
      const mail = { to: queued.to, subject: letter.subject, text: textOf(letter), html: htmlOf(letter) };
      return mailer.send({ ...mail, messageId: messageIdOf(notificationId) });
    },
  };
}
