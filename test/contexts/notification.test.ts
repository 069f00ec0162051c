import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type NotificationCommand, sendNotification } from '../../src/contexts/notification/commands.ts';
import { notificationDecider } from '../../src/contexts/notification/decider.ts';
import { type NotificationEvent, notificationQueued } from '../../src/contexts/notification/events.ts';
import { notificationContext } from '../../src/contexts/notification/index.ts';
import { createNotificationPerformers } from '../../src/contexts/notification/performers.ts';
import {
  type NotificationRow,
  notificationProjection,
  notificationRow,
} from '../../src/contexts/notification/projection.ts';
import type { NotificationState } from '../../src/contexts/notification/state.ts';
import { SYSTEM } from '../../src/eventsourcing/actor.ts';
import { type AnyEvent, isRejection } from '../../src/eventsourcing/commands/decider.ts';
import { protectedFields } from '../../src/eventsourcing/log/codec.ts';
import type { Mail, MailOutcome } from '../../src/platform/mail.ts';
import { given } from '../support/given.ts';
import { notices } from '../support/notices.ts';
import { recorded } from '../support/recorded.ts';

const notificationId = '55555555-5555-4555-8555-555555555555';
const messageId = `<${notificationId}@cartstream>`;
const orderId = randomUUID();
const told = { orderId, customerId: 'mia', to: 'mia@example.com', notice: notices.ORDER_DELIVERED };
const send: NotificationCommand = { type: 'SendNotification', data: { notificationId, ...told } };
const sendMail: NotificationCommand = { type: 'SendMail', data: { notificationId } };
const queued: NotificationEvent = { type: 'NotificationQueued', data: told };
const forgotten: NotificationEvent = { type: 'NotificationQueued', data: { ...told, to: null } };
const sent: NotificationEvent = { type: 'NotificationSent', data: { messageId } };
const kept: NotificationEvent = { type: 'NotificationKept', data: { messageId } };
const failed = (reason: string): NotificationEvent => ({ type: 'NotificationFailed', data: { reason } });

describe('A notification', () => {
  test('is queued once, however often it is asked for', () => {
    given(notificationDecider, []).when(send).thenEvents([queued]);
    for (const end of [[], [sent], [kept], [failed('550')]]) {
      given(notificationDecider, [queued, ...end])
        .when(send)
        .thenEvents([]);
    }
  });

  test('is queued also for somebody who is forgotten: that they were not told is on record', () => {
    given(notificationDecider, [])
      .when({ type: 'SendNotification', data: { notificationId, ...told, to: null } })
      .thenEvents([forgotten]);
  });

  test('has its mail sent by a command of its own', () => {
    const [aggregate] = notificationContext.aggregates;
    const effectsOf = (event: AnyEvent) =>
      aggregate?.effectsOf?.(event, undefined, { aggregateId: notificationId, now: new Date() });
    expect(effectsOf(queued)).toEqual([{ kind: 'send', command: sendMail }]);
    for (const event of [sent, kept, failed('550')]) expect(effectsOf(event)).toEqual([]);
  });
});

describe('Sending the mail of a notification', () => {
  test.each([
    { performed: { outcome: 'sent', messageId }, events: [sent] },
    { performed: { outcome: 'kept', messageId }, events: [kept] },
    { performed: { outcome: 'refused', reason: '550 5.1.1 RCPT TO' }, events: [failed('550 5.1.1 RCPT TO')] },
  ])('ends it: $performed.outcome', ({ performed, events }) => {
    given(notificationDecider, [queued]).when(sendMail, { performed }).thenEvents(events);
  });

  test('ends it once', () => {
    for (const end of [sent, kept, failed('550')]) {
      for (const performed of [undefined, { outcome: 'sent', messageId }]) {
        given(notificationDecider, [queued, end]).when(sendMail, { performed }).thenEvents([]);
      }
    }
  });

  test('of nothing is refused', () => {
    given(notificationDecider, []).when(sendMail).thenRejected({ code: 'NOT_FOUND', id: notificationId });
  });
});

describe('The performer of SendMail', () => {
  const perform = async (events: readonly NotificationEvent[], answer: MailOutcome | Error) => {
    const mails: Mail[] = [];
    const performers = createNotificationPerformers({
      async send(mail) {
        mails.push(mail);
        if (answer instanceof Error) throw answer;
        return answer;
      },
    });
    const state = events.reduce<NotificationState>(
      (current, event) => notificationDecider.evolve(current, event),
      notificationDecider.initialState,
    );
    const now = new Date();
    const command = { commandId: randomUUID(), data: sendMail.data, state, attempts: 1, now, submittedAt: now };
    const performed = await performers.SendMail({ ...command, inputOf: async () => undefined });
    const decision = notificationDecider.decide(sendMail, state, {
      actor: SYSTEM,
      now: command.now,
      facts: new Map<string, never>(),
      performed,
    });
    return { mails, decision: isRejection(decision) ? decision.code : decision };
  };

  test('writes the mail in text and HTML, with a Message-ID that is the same every time', async () => {
    const { mails, decision } = await perform([queued], { outcome: 'sent', messageId });
    expect(mails).toHaveLength(1);
    expect(mails[0]).toMatchObject({ messageId, to: 'mia@example.com', subject: 'Your order N-1 was delivered' });
    expect(mails[0]?.text).toContain('Your order was delivered.');
    expect(mails[0]?.html).toContain('<p>Your order was delivered.');
    expect(decision).toEqual([sent]);
  });

  test('sends nothing to somebody who is forgotten', async () => {
    const { mails, decision } = await perform([forgotten], { outcome: 'sent', messageId });
    expect(mails).toEqual([]);
    expect(decision).toEqual([failed('FORGOTTEN')]);
  });

  test('sends nothing where there is an end, or never was a beginning', async () => {
    expect(await perform([queued, sent], { outcome: 'sent', messageId })).toEqual({ mails: [], decision: [] });
    expect(await perform([], { outcome: 'sent', messageId })).toEqual({ mails: [], decision: 'NOT_FOUND' });
  });

  test('passes on what may work later', async () => {
    await expect(perform([queued], new Error('The line is dead.'))).rejects.toThrow('The line is dead.');
  });
});

describe('The view of a notification', () => {
  const rowAfter = (...events: NotificationEvent[]) =>
    recorded('notification', notificationId, events).reduce<NotificationRow | undefined>(
      (row, event) => notificationProjection.evolveRow(row, event),
      undefined,
    );
  const at = (second: number) => new Date(Date.UTC(2030, 0, 31, 12, 0, second));
  const { to: recipient, ...known } = told;
  const beginning = { id: notificationId, recipient, ...known, queuedPosition: 1, queuedAt: at(0) };

  test.each([
    { events: [queued], status: 'QUEUED', failureReason: null, sentAt: null },
    { events: [queued, sent], status: 'SENT', failureReason: null, sentAt: at(1) },
    { events: [queued, kept], status: 'KEPT', failureReason: null, sentAt: null },
    { events: [queued, failed('FORGOTTEN')], status: 'FAILED', failureReason: 'FORGOTTEN', sentAt: null },
  ])('tells what became of it: $status', ({ events, ...expected }) => {
    expect(rowAfter(...events)).toEqual({ ...beginning, position: events.length, ...expected });
  });

  test('is none without its beginning', () => expect(rowAfter(sent)).toBeUndefined());

  test('has the stream of the notification', () => {
    const row = rowAfter(queued);
    expect(row && notificationProjection.streamsOf(row)).toEqual([`notification-${notificationId}`]);
  });
});

test('Where a notification is stored, only the address is personal, and it is protected', () => {
  const address = { kind: 'personal', subject: 'customerId' };
  expect([...protectedFields(sendNotification.input)]).toEqual([['.to', address]]);
  expect([...protectedFields(notificationQueued.data)]).toEqual([['.to', address]]);
  expect([...protectedFields(notificationRow)]).toEqual([['.recipient', address]]);
});

test('Every notice can be sent', () => {
  for (const notice of Object.values(notices)) {
    expect(sendNotification.input.parse({ notificationId, ...told, notice })).toMatchObject({ notice });
  }
});
