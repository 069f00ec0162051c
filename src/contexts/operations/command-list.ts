import type { ObjectRef } from '@pothos/core';
import { z } from 'zod';
import type { CommandFilter } from '../../eventsourcing/commands/command-filter.ts';
import { type CommandRecord, keyOfCommand } from '../../eventsourcing/commands/command-records.ts';
import type { BuilderTypes } from '../../graphql/builder.ts';
import { fault } from '../../graphql/faults.ts';
import { parseGlobalId } from '../../graphql/global-id.ts';
import { cursorInstant, keysetPage, TOTAL_COUNT } from '../../graphql/keyset-page.ts';
import { expectKnown } from '../../graphql/nearest.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';

/** Beyond these, commands are not counted. */
const MAX_COUNT = 1_000;
const MAX_NAMES = 100;

const commandKey = z.tuple([cursorInstant, z.guid()]);

/** Declares the list of all commands, newest first. */
export function addCommandList(
  { builder, commandStatus }: SchemaKit,
  command: ObjectRef<BuilderTypes, CommandRecord>,
): void {
  const filter = builder.inputType('CommandFilter', {
    description: 'Which commands; all of what is given must hold.',
    fields: (t) => ({
      status: t.field({ type: [commandStatus], description: 'One of these.' }),
      name: t.stringList({
        description: `One of these, at most ${MAX_NAMES}: AddItemToCart, say. One that there is not is an error.`,
      }),
      aggregateId: t.id({ description: 'For this aggregate: its id, or its raw id as it stands in the log.' }),
      correlationId: t.id({ description: 'What began with the same request.' }),
      from: t.field({ type: 'DateTime', description: 'Sent then or later.' }),
      to: t.field({ type: 'DateTime', description: 'Sent before then.' }),
    }),
  });
  builder.queryField('commands', (t) =>
    t.connection(
      {
        type: command,
        audience: 'staff',
        description: 'The commands that were accepted, newest first.',
        args: { filter: t.arg({ type: filter, description: 'Which commands; all, if left out.' }) },
        resolve: (_root, args, { engine: { commandRecords, executor } }) => {
          const wanted = wantedOf(args.filter ?? {}, executor.aggregates);
          return keysetPage(args, {
            name: 'commands',
            key: commandKey,
            keyOf: keyOfCommand,
            find: (page) => commandRecords.list(wanted, page),
            count: () => commandRecords.count(wanted, MAX_COUNT),
          });
        },
      },
      {
        name: 'CommandConnection',
        description: 'A page of commands.',
        fields: (connection) => ({ totalCount: connection.int(TOTAL_COUNT) }),
      },
      { name: 'CommandEdge', description: 'A command with its cursor.' },
    ),
  );
}

type Sent = { readonly [Member in keyof CommandFilter]?: CommandFilter[Member] | null };

function rawId(id: string | undefined): string | undefined {
  return id === undefined ? undefined : (parseGlobalId(id)?.id ?? id);
}

function wantedOf(
  { status, name, aggregateId, correlationId, from, to }: Sent,
  known: ReadonlyMap<string, unknown>,
): CommandFilter {
  if ((name?.length ?? 0) > MAX_NAMES) throw fault('BAD_USER_INPUT', `At most ${MAX_NAMES} names.`);
  for (const it of name ?? []) expectKnown('command', it, known.keys());
  return {
    status: status ?? undefined,
    name: name ?? undefined,
    aggregateId: rawId(aggregateId ?? undefined),
    correlationId: correlationId ?? undefined,
    from: from ?? undefined,
    to: to ?? undefined,
  };
}
