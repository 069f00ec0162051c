import type { ObjectRef } from '@pothos/core';
import type { Receipt } from '../../eventsourcing/commands/command.ts';
import type { CommandRecord } from '../../eventsourcing/commands/command-records.ts';
import type { BuilderTypes } from '../../graphql/builder.ts';
import { rawIdOf } from '../../graphql/command-mutation.ts';
import type { RequestContext } from '../../graphql/context.ts';
import { COMMAND_ID } from '../../graphql/descriptions.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';
import { cancelCommand, dropDeadLetter, retryDeadLetter, retryDeadLetters } from './commands.ts';
import { findDeadLetters, type ShownDeadLetter } from './dead-letter-type.ts';
import { deadLettersRetried } from './events.ts';

const DEAD_LETTER_ID = 'The id of the dead letter.';
const RECEIPT = 'What became of this command itself.';

export function addCancelCommand(kit: SchemaKit, command: ObjectRef<BuilderTypes, CommandRecord>): void {
  const { builder, rejections } = kit;
  const payload = builder
    .objectRef<{ readonly command: CommandRecord; readonly receipt: Receipt }>('CommandPayload')
    .implement({
      description: 'A command after another one that was about it.',
      audience: 'owner',
      fields: (t) => ({
        command: t.field({ type: command, description: 'As it is now.', resolve: (it) => it.command }),
        receipt: t.field({ type: kit.receipt, description: RECEIPT, resolve: (it) => it.receipt }),
      }),
    });
  kit.addCommandMutation({
    field: 'cancelCommand',
    command: cancelCommand,
    schedulable: false,
    input: builder.inputType('CancelCommandInput', {
      description: cancelCommand.description,
      fields: (t) => ({
        commandId: t.id({ description: COMMAND_ID }),
        target: t.id({ required: true, description: 'The commandId of the command that shall not be run.' }),
      }),
    }),
    data: ({ target }) => ({ target }),
    payload,
    load: async (target, { engine }) => (await engine.commandRecords.find([target])).get(target),
    show: (record, receipt) => ({ command: record, receipt }),
    rejections: [rejections.notFound, rejections.illegalState],
  });
}

export function addDeadLetterMutations(kit: SchemaKit, deadLetter: ObjectRef<BuilderTypes, ShownDeadLetter>): void {
  const { builder, rejections } = kit;
  const payload = builder
    .objectRef<{ readonly deadLetter: ShownDeadLetter; readonly receipt: Receipt }>('DeadLetterPayload')
    .implement({
      description: 'A dead letter after a command.',
      audience: 'owner',
      fields: (t) => ({
        deadLetter: t.field({ type: deadLetter, description: 'As it is now.', resolve: (it) => it.deadLetter }),
        receipt: t.field({ type: kit.receipt, description: RECEIPT, resolve: (it) => it.receipt }),
      }),
    });
  const answer = {
    payload,
    idType: 'DeadLetter',
    schedulable: false,
    load: async (id: string, { engine }: RequestContext) => (await findDeadLetters([id], engine.deadLetters)).get(id),
    show: (letter: ShownDeadLetter, receipt: Receipt) => ({ deadLetter: letter, receipt }),
    rejections: [rejections.notFound, rejections.illegalState],
  } as const;
  kit.addCommandMutation({
    ...answer,
    field: 'retryDeadLetter',
    command: retryDeadLetter,
    input: builder.inputType('RetryDeadLetterInput', {
      description: retryDeadLetter.description,
      fields: (t) => ({
        commandId: t.id({ description: COMMAND_ID }),
        deadLetterId: t.id({ required: true, description: DEAD_LETTER_ID }),
      }),
    }),
    data: ({ deadLetterId }) => ({ deadLetterId: rawIdOf('DeadLetter', deadLetterId) }),
  });
  kit.addCommandMutation({
    ...answer,
    field: 'dropDeadLetter',
    command: dropDeadLetter,
    input: builder.inputType('DropDeadLetterInput', {
      description: dropDeadLetter.description,
      fields: (t) => ({
        commandId: t.id({ description: COMMAND_ID }),
        deadLetterId: t.id({ required: true, description: DEAD_LETTER_ID }),
        reason: t.string({ required: true, description: 'Why; at most 500 characters.' }),
      }),
    }),
    data: ({ deadLetterId, reason }) => ({ deadLetterId: rawIdOf('DeadLetter', deadLetterId), reason }),
  });
}

export function addRetryDeadLetters(kit: SchemaKit): void {
  const { builder, rejections } = kit;
  const payload = builder
    .objectRef<{ readonly count: number; readonly receipt: Receipt }>('DeadLettersPayload')
    .implement({
      description: 'What a command did to many dead letters.',
      audience: 'owner',
      fields: (t) => ({
        count: t.int({ description: 'How many are tried again.', resolve: (it) => it.count }),
        receipt: t.field({ type: kit.receipt, description: RECEIPT, resolve: (it) => it.receipt }),
      }),
    });
  kit.addCommandMutation({
    field: 'retryDeadLetters',
    command: retryDeadLetters,
    schedulable: false,
    input: builder.inputType('RetryDeadLettersInput', {
      description: retryDeadLetters.description,
      fields: (t) => ({
        commandId: t.id({ description: COMMAND_ID }),
        source: t.string({ required: true, description: '`command`, `process:<name>` or `projection:<name>`.' }),
      }),
    }),
    data: ({ source }) => ({ source }),
    payload,
    load: (_source, context, { commandId }) => countRetried(commandId, context),
    show: (count, receipt) => ({ count, receipt }),
    rejections: [rejections.notFound],
  });
}

/** How many it was that a command had tried again: what it said then, whatever became of them. */
async function countRetried(commandId: string, { engine }: RequestContext): Promise<number> {
  const record = (await engine.commandRecords.find([commandId])).get(commandId);
  if (record === undefined || record.firstPosition === null) return 0;
  const events = await engine.log.readRange(record.firstPosition, record.eventCount);
  return events
    .filter(({ type }) => type === deadLettersRetried.type)
    .reduce((sum, { data }) => sum + deadLettersRetried.data.parse(data).count, 0);
}
