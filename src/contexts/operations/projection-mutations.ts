import type { ObjectRef } from '@pothos/core';
import type { Receipt } from '../../eventsourcing/commands/command.ts';
import type { ProjectionState } from '../../eventsourcing/projections/projection-states.ts';
import type { BuilderTypes } from '../../graphql/builder.ts';
import type { RequestContext } from '../../graphql/context.ts';
import { COMMAND_ID } from '../../graphql/descriptions.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';
import { cancelRebuild, rebuildProjection } from './projection-commands.ts';

/** Declares what staff do with projections. */
export function addProjectionMutations(kit: SchemaKit, projection: ObjectRef<BuilderTypes, ProjectionState>): void {
  const { builder, rejections } = kit;
  const payload = builder
    .objectRef<{ readonly projection: ProjectionState; readonly receipt: Receipt }>('ProjectionPayload')
    .implement({
      description: 'A projection after a command.',
      audience: 'owner',
      fields: (t) => ({
        projection: t.field({ type: projection, description: 'As it is now.', resolve: (it) => it.projection }),
        receipt: t.field({
          type: kit.receipt,
          description: 'What became of the command itself.',
          resolve: (it) => it.receipt,
        }),
      }),
    });
  const inputOf = (typename: string, description: string) =>
    builder.inputType(typename, {
      description,
      fields: (t) => ({
        commandId: t.id({ description: COMMAND_ID }),
        name: t.string({ required: true, description: 'The name of the projection: cart.carts, say.' }),
      }),
    });
  const answer = {
    payload,
    schedulable: false,
    data: ({ name }: { readonly name: string }) => ({ name }),
    load: async (name: string, { engine }: RequestContext) => (await engine.projections.find([name])).get(name),
    show: (state: ProjectionState, receipt: Receipt) => ({ projection: state, receipt }),
    rejections: [rejections.notFound, rejections.illegalState],
  } as const;
  kit.addCommandMutation({
    ...answer,
    field: 'rebuildProjection',
    command: rebuildProjection,
    input: inputOf('RebuildProjectionInput', rebuildProjection.description),
  });
  kit.addCommandMutation({
    ...answer,
    field: 'cancelRebuild',
    command: cancelRebuild,
    input: inputOf('CancelRebuildInput', cancelRebuild.description),
  });
}
