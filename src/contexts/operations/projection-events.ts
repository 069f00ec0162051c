import { z } from 'zod';
import { defineEvent, type EventOf } from '../../eventsourcing/log/event.ts';

const data = z.object({
  projection: z.string().meta({ description: 'The name of the projection.', audience: 'staff' }),
  run: z
    .number()
    .int()
    .meta({ description: 'Which rebuild of this projection it is, counted from 1.', audience: 'staff' }),
});

export const projectionRebuildRequested = defineEvent({
  type: 'ProjectionRebuildRequested',
  schemaVersion: 1,
  description: 'The rows of a projection are folded anew.',
  data,
});

export const projectionRebuildCancelled = defineEvent({
  type: 'ProjectionRebuildCancelled',
  schemaVersion: 1,
  description: 'The rebuild of a projection was given up.',
  data,
});

export const projectionEvents = [projectionRebuildRequested, projectionRebuildCancelled] as const;
export type ProjectionEvent = EventOf<(typeof projectionEvents)[number]>;
