import { z } from 'zod';
import { type CommandOf, defineCommand } from '../../eventsourcing/commands/aggregate.ts';
import { text } from '../values.ts';

const name = text(200).refine((it) => it !== '', 'must not be empty');

export const rebuildProjection = defineCommand({
  name: 'RebuildProjection',
  description: 'Folds the whole log anew into a table beside the live one, which it replaces at once in the end.',
  audience: 'staff',
  input: z.object({ name }),
  aggregateId: (data) => data.name,
  facts: (data) => [data.name],
});

export const cancelRebuild = defineCommand({
  name: 'CancelRebuild',
  description: 'Gives up a rebuild that is under way. The live rows stay as they are.',
  audience: 'staff',
  input: z.object({ name }),
  aggregateId: (data) => data.name,
  facts: (data) => [data.name],
});

export const projectionCommands = [rebuildProjection, cancelRebuild] as const;
export type ProjectionCommand = CommandOf<(typeof projectionCommands)[number]>;
