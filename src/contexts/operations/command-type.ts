import { actsForStaff, isThemselvesOrStaff } from '../../eventsourcing/actor.ts';
import type { CommandRecord } from '../../eventsourcing/commands/command-records.ts';
import type { RequestContext } from '../../graphql/context.ts';
import { fault } from '../../graphql/faults.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';
import { addCommandList } from './command-list.ts';

const COMMAND_ID = 'As it was sent, or given by the server.';

const commandNamed = ({ commandId }: { readonly commandId: string }) => ({
  type: 'command',
  id: commandId.toLowerCase(),
});

/** Declares commands, as whoever sent them and staff may follow them. */
export function addCommandType(kit: SchemaKit) {
  const { builder } = kit;
  const command = builder.objectRef<CommandRecord>('Command');
  builder.node(command, {
    description: 'A command that was accepted, and what became of it. For whoever sent it, and for staff.',
    audience: 'owner',
    // It tells of what it is for.
    aggregates: ({ commandId, aggregateType, aggregateId }) => [
      { type: 'command', id: commandId },
      { type: aggregateType, id: aggregateId },
    ],
    id: { resolve: ({ commandId }) => commandId },
    isTypeOf: (value) => typeof value === 'object' && value !== null && 'submittedAt' in value,
    loadMany: async (ids: string[], context) => {
      const found = await commandsById(ids, context);
      return ids.map((id) => found(id) ?? null);
    },
    fields: (t) => ({
      commandId: t.id({ description: COMMAND_ID, resolve: (it) => it.commandId }),
      name: t.string({ description: 'What it does: AddItemToCart, say.', resolve: (it) => it.name }),
      aggregateType: t.string({
        description: 'The kind of aggregate that it is for.',
        resolve: (it) => it.aggregateType,
      }),
      aggregateId: t.id({ description: 'The raw id of the aggregate.', resolve: (it) => it.aggregateId }),
      status: t.field({ type: kit.commandStatus, description: 'How far it has come.', resolve: (it) => it.status }),
      attempts: t.int({ description: 'How often it was tried.', resolve: (it) => it.attempts }),
      actor: t.field({ type: kit.actor, description: 'Who sent it.', resolve: (it) => it.actor }),
      input: t.field({
        type: 'JSON',
        description:
          'What it was to do. Secrets in it are null, and so is personal data that is forgotten or not for you.',
        // All anonymous callers look the same: which of them sent it is not known.
        resolve: (it, _args, { engine, actor }) =>
          it.actor.id === null && !actsForStaff(actor) ? engine.commandRecords.inputWithoutPersonal(it) : it.input,
      }),
      rejection: t.field({
        type: 'JSON',
        nullable: true,
        description: 'The business "no" that it was answered with: code, message and details.',
        resolve: (it) => it.rejection,
      }),
      error: t.string({
        nullable: true,
        description: 'What broke, of a command that failed; in detail for staff only.',
        resolve: ({ error }, _args, { actor }) =>
          error === null || actsForStaff(actor) ? error : 'Something broke inside.',
      }),
      events: t.field({
        type: [kit.event],
        description: 'What happened by it, oldest first.',
        resolve: ({ firstPosition, eventCount }, _args, { engine }) =>
          firstPosition === null ? [] : engine.log.readRange(firstPosition, eventCount),
      }),
      submittedAt: t.field({ type: 'DateTime', description: 'When it was sent.', resolve: (it) => it.submittedAt }),
      dueAt: t.field({
        type: 'DateTime',
        nullable: true,
        description: 'Not to be run before then; null: as soon as those before it are done.',
        resolve: (it) => it.dueAt,
      }),
      deadline: t.field({
        type: 'DateTime',
        nullable: true,
        description: 'If it has not been run by then, it never is.',
        resolve: (it) => it.deadline,
      }),
      finishedAt: t.field({
        type: 'DateTime',
        nullable: true,
        description: 'When it came to its end.',
        resolve: (it) => it.finishedAt,
      }),
      correlationId: t.id({
        description: 'Common to all that began with the same request.',
        resolve: (it) => it.correlationId,
      }),
      causationId: t.id({
        nullable: true,
        description: 'The command or event that caused it.',
        resolve: (it) => it.causationId,
      }),
    }),
  });

  builder.queryField('command', (t) =>
    t.field({
      type: command,
      nullable: true,
      audience: 'owner',
      description: 'A command; null if it is not there, or not for you.',
      args: { commandId: t.arg.id({ required: true, description: COMMAND_ID }) },
      reads: commandNamed,
      resolve: async (_root, { commandId }, context) => (await commandsById([commandId], context))(commandId) ?? null,
    }),
  );
  builder.subscriptionField('commandChanged', (t) =>
    t.field({
      type: command,
      audience: 'owner',
      description:
        'A command as it stands, and again whenever its status or attempts change, until it has an end. One that failed is watched on: it may be tried again.',
      args: { commandId: t.arg.id({ required: true, description: COMMAND_ID }) },
      reads: commandNamed,
      subscribe: async (_root, { commandId }, context) => {
        const found = (await commandsById([commandId], context))(commandId);
        const changes = found === undefined ? undefined : await context.engine.commandWatch.watch(found.commandId);
        if (changes === undefined) throw fault('NOT_FOUND', 'There is nothing by that id to watch.');
        return changes;
      },
      resolve: (it) => it,
    }),
  );
  addCommandList(kit, command);
  return command;
}

/** The commands of these ids, whatever their case, as far as they are for the caller. */
async function commandsById(ids: readonly string[], { engine, actor }: RequestContext) {
  const found = await engine.commandRecords.find(ids);
  return (id: string) => {
    const record = found.get(id.toLowerCase());
    return record !== undefined && isThemselvesOrStaff(actor, record.actor) ? record : undefined;
  };
}
