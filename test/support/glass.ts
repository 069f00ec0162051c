import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { type Aggregate, type CommandOf, defineCommand } from '../../src/eventsourcing/commands/aggregate.ts';
import type { CommandRequest } from '../../src/eventsourcing/commands/command.ts';
import { defineEvent, type EventOf } from '../../src/eventsourcing/log/event.ts';
import { request } from './tally-engine.ts';

const touch = defineCommand({
  name: 'Touch',
  description: 'Touches the glass, which may break.',
  audience: 'public',
  input: z.object({ glassId: z.string(), note: z.string() }),
  aggregateId: ({ glassId }) => glassId,
});
const touched = defineEvent({
  type: 'GlassTouched',
  schemaVersion: 1,
  description: 'The glass was touched.',
  data: z.object({ note: z.string() }),
});

type Touch = CommandOf<typeof touch>;

/**
 * An aggregate whose decisions break as long as a test wants them to.
 * @param onTouch called in each decision: what it throws, the decision throws
 */
export function createGlass(onTouch: (data: Touch['data']) => void): Aggregate<null, Touch, EventOf<typeof touched>> {
  return {
    type: 'glass',
    commands: [touch],
    events: [touched],
    decider: {
      initialState: null,
      decide({ data }) {
        onTouch(data);
        return [{ type: 'GlassTouched', data: { note: data.note } }];
      },
      evolve: (state) => state,
    },
  };
}

export function touching(glassId: string, note: string, commandId: string = randomUUID()): CommandRequest {
  return { ...request('Lock', { tallyId: 'of no concern' }, { commandId }), name: 'Touch', data: { glassId, note } };
}
