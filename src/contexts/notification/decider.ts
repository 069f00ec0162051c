import { z } from 'zod';
import type { Decider, Decision } from '../../eventsourcing/commands/decider.ts';
import { notFound } from '../../eventsourcing/commands/rejection.ts';
import type { Effect, EffectContext } from '../../eventsourcing/processes/effect.ts';
import type { NotificationCommand } from './commands.ts';
import type { NotificationEvent } from './events.ts';
import { evolveNotification, type NotificationState } from './state.ts';

/** What became of a mail that was handed over. */
const mailOutcome = z.discriminatedUnion('outcome', [
  z.object({ outcome: z.enum(['sent', 'kept']), messageId: z.string() }),
  z.object({ outcome: z.literal('refused'), reason: z.string() }),
]);
export type NotificationOutcome = z.output<typeof mailOutcome>;

export const notificationDecider: Decider<NotificationState, NotificationCommand, NotificationEvent> = {
  initialState: { status: 'unknown' },
  decide(command, state, context) {
    switch (command.type) {
      case 'SendNotification': {
        if (state.status !== 'unknown') return [];
        const { orderId, customerId, to, notice } = command.data;
        return [{ type: 'NotificationQueued', data: { orderId, customerId, to, notice } }];
      }
      case 'SendMail': {
        if (state.status === 'unknown') return notFound('notification', command.data.notificationId);
        return state.status === 'ended' ? [] : ended(mailOutcome.parse(context.performed));
      }
      default:
        return command satisfies never;
    }
  },
  evolve: evolveNotification,
};

function ended(outcome: NotificationOutcome): Decision<NotificationEvent> {
  switch (outcome.outcome) {
    case 'sent':
      return [{ type: 'NotificationSent', data: { messageId: outcome.messageId } }];
    case 'kept':
      return [{ type: 'NotificationKept', data: { messageId: outcome.messageId } }];
    case 'refused':
      return [{ type: 'NotificationFailed', data: { reason: outcome.reason } }];
    default:
      return outcome satisfies never;
  }
}

/** What is to be told is sent by a command of its own: whatever becomes of the mail, that it was to be sent is on record. */
export function effectsOfNotification(
  event: NotificationEvent,
  _state: NotificationState,
  { aggregateId: notificationId }: EffectContext,
): readonly Effect[] {
  if (event.type !== 'NotificationQueued') return [];
  const command: NotificationCommand = { type: 'SendMail', data: { notificationId } };
  return [{ kind: 'send', command }];
}
