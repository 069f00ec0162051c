import { z } from 'zod';
import { type CommandOf, defineCommand } from '../../eventsourcing/commands/aggregate.ts';
import { text } from '../values.ts';

const commandId = z.guid('must be a UUID').toLowerCase();
const deadLetterId = z.guid('must be the id of a dead letter').toLowerCase();
const source = text(200).refine((it) => it !== '', 'must not be empty');

export const cancelCommand = defineCommand({
  name: 'CancelCommand',
  description: 'Takes a command back that still waits to be run. For whoever sent it, and for staff.',
  audience: 'owner',
  input: z.object({ target: commandId }),
  aggregateId: (data) => data.target,
  facts: (data) => [data.target],
});

export const retryDeadLetter = defineCommand({
  name: 'RetryDeadLetter',
  description: 'Has something that failed tried again, and then what waits behind it.',
  audience: 'staff',
  input: z.object({ deadLetterId }),
  aggregateId: (data) => data.deadLetterId,
  facts: (data) => [data.deadLetterId],
});

export const dropDeadLetter = defineCommand({
  name: 'DropDeadLetter',
  description: 'Gives something up that failed, for good. What waits behind it goes on without it.',
  audience: 'staff',
  input: z.object({
    deadLetterId,
    reason: text(500).refine((reason) => reason.trim() !== '', 'must not be empty'),
  }),
  aggregateId: (data) => data.deadLetterId,
  facts: (data) => [data.deadLetterId],
});

export const retryDeadLetters = defineCommand({
  name: 'RetryDeadLetters',
  description: 'Has everything of one source tried again that failed, at most 10,000 at once.',
  audience: 'staff',
  input: z.object({ source }),
  aggregateId: (data) => data.source,
  facts: (data) => [data.source],
});

export type CancelCommand = CommandOf<typeof cancelCommand>;
export type DeadLetterCommand = CommandOf<typeof retryDeadLetter | typeof dropDeadLetter>;
export type SourceCommand = CommandOf<typeof retryDeadLetters>;
