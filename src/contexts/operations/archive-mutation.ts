import { isAudience } from '../../eventsourcing/actor.ts';
import type { ArchivedBatch } from '../../eventsourcing/archive/archiver.ts';
import { fault } from '../../graphql/faults.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';

/** Beyond these, commands are not counted. */
const MAX_COUNT = 1_000_000;

type ShownBatch = ArchivedBatch & { readonly before: Date };

/**
 * Declares how archiving is done through the API: one batch a call. It is no command, and leaves no event: nothing that
 * can be asked is another than before.
 */
export function addArchiveMutation({ builder }: SchemaKit): void {
  const result = builder.objectRef<ShownBatch>('ArchiveResult').implement({
    description: 'One batch that was archived, and how far that has come.',
    audience: 'owner',
    fields: (t) => ({
      events: t.int({ description: 'How many events were archived in this batch.', resolve: (it) => it.events }),
      streams: t.int({ description: 'Of how many aggregates they are.', resolve: (it) => it.streams }),
      commands: t.int({ description: 'How many commands were archived in this batch.', resolve: (it) => it.commands }),
      processed: t.field({
        type: 'SafeInt',
        description: 'Up to which event the log was looked through.',
        resolve: (it) => it.position,
      }),
      total: t.field({
        type: 'SafeInt',
        description: 'Up to which event it is to be looked through; commands come after that.',
        resolve: (it) => it.upTo,
      }),
      commandsLeft: t.int({
        description: `How many commands are still to be archived; counted up to ${MAX_COUNT}.`,
        resolve: ({ before }, _args, { engine }) => engine.archiver.commandsLeft(before, MAX_COUNT),
      }),
      isDone: t.boolean({ description: 'Nothing is left that is so old.', resolve: (it) => it.isDone }),
    }),
  });
  const input = builder.inputType('ArchiveInput', {
    description: 'What to archive.',
    fields: (t) => ({
      before: t.field({
        type: 'DateTime',
        required: true,
        description: 'Only what came to its end before this instant, and has rested since.',
      }),
    }),
  });
  builder.mutationField('archive', (t) =>
    t.field({
      type: result,
      audience: 'admin',
      reads: 'nothing',
      description:
        'Moves a batch of what came to its end long ago (orders, carts, payments, commands …) out of the tables that are ' +
        'worked on. All of it can still be read, and goes on where somebody goes on with it. Call it until isDone: each ' +
        'call does as much as holds up nobody, and whatever interrupts it, the next goes on from there.',
      args: { input: t.arg({ type: input, required: true, description: 'What to do.' }) },
      resolve: async (_root, { input: { before } }, { engine, actor }): Promise<ShownBatch> => {
        if (!isAudience(actor, 'admin')) throw fault('FORBIDDEN', 'Mutation.archive is for admin only.');
        return { ...(await engine.archiver.next(before)), before };
      },
    }),
  );
}
