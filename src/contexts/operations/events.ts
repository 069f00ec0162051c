import { z } from 'zod';
import { defineEvent, type EventOf } from '../../eventsourcing/log/event.ts';

const deadLetterId = z.string().meta({ description: 'The dead letter.', idOf: 'DeadLetter' });
const failedAt = z.iso.datetime().describe('When it had failed.');

/** Which failure it was: the same dead letter may be open again later, for another. */
const failure = {
  deadLetterId,
  source: z.string().meta({ description: 'Where it failed.', audience: 'staff' }),
  subject: z.string().meta({ description: 'The id of the command or event that failed.', audience: 'staff' }),
  failedAt,
  attempts: z.number().int().describe('How often it had been tried.'),
};

export const commandCancelled = defineEvent({
  type: 'CommandCancelled',
  schemaVersion: 1,
  description: 'A command was taken back before it was run.',
  data: z.object({ target: z.string().describe('The commandId of the command that is not run.') }),
});

export const deadLetterRetried = defineEvent({
  type: 'DeadLetterRetried',
  schemaVersion: 1,
  description: 'Something that failed is tried again.',
  data: z.object(failure),
});

export const deadLetterDropped = defineEvent({
  type: 'DeadLetterDropped',
  schemaVersion: 1,
  description: 'Something that failed was given up.',
  data: z.object({
    ...failure,
    reason: z.string().meta({ description: 'Why, in the words of whoever did it. For staff.', audience: 'staff' }),
  }),
});

export const deadLettersRetried = defineEvent({
  type: 'DeadLettersRetried',
  schemaVersion: 1,
  description: 'What failed of one source is tried again.',
  data: z.object({
    source: z.string().meta({ description: 'Where they failed.', audience: 'staff' }),
    count: z.number().int().describe('How many.'),
    letters: z.array(z.object({ id: z.string(), failedAt })).meta({
      description: 'The raw ids of the dead letters, and when each had failed.',
      audience: 'admin',
      graphql: 'JSON',
    }),
  }),
});

export const commandEvents = [commandCancelled] as const;
export const deadLetterEvents = [deadLetterRetried, deadLetterDropped] as const;
export const sourceEvents = [deadLettersRetried] as const;
export type CommandEvent = EventOf<(typeof commandEvents)[number]>;
export type DeadLetterEvent = EventOf<(typeof deadLetterEvents)[number]>;
export type SourceEvent = EventOf<(typeof sourceEvents)[number]>;
