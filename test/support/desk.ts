import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { type Aggregate, type CommandOf, defineCommand } from '../../src/eventsourcing/commands/aggregate.ts';
import type { CommandOutcome } from '../../src/eventsourcing/commands/command.ts';
import type { CommandRecord } from '../../src/eventsourcing/commands/command-records.ts';
import type { DecisionContext } from '../../src/eventsourcing/commands/decider.ts';
import { illegalState, notFound } from '../../src/eventsourcing/commands/rejection.ts';
import type { Engine } from '../../src/eventsourcing/engine.ts';
import { defineEvent, type EventOf } from '../../src/eventsourcing/log/event.ts';
import { request } from './tally-engine.ts';

/** What an operator does to the queue and the dead letters, with as few rules as possible. */

const desk = { audience: 'public', aggregateId: (data: { deskId: string }) => data.deskId } as const;
const deskId = z.string();

const cancel = defineCommand({
  ...desk,
  name: 'Cancel',
  description: 'Takes a command out of the queue.',
  input: z.object({ deskId, target: z.string() }),
  facts: ({ target }) => [target],
});
const retry = defineCommand({
  ...desk,
  name: 'Retry',
  description: 'Has dead letters tried again.',
  input: z.object({ deskId, letters: z.array(z.string()) }),
});
const drop = defineCommand({
  ...desk,
  name: 'Drop',
  description: 'Gives a dead letter up.',
  input: z.object({ deskId, letter: z.string(), reason: z.string() }),
});
const deskCommands = [cancel, retry, drop] as const;
export type DeskCommand = CommandOf<(typeof deskCommands)[number]>;

const cancelled = defineEvent({
  type: 'DeskCancelled',
  schemaVersion: 1,
  description: 'A command was cancelled.',
  data: z.object({ target: z.string() }),
});
const retried = defineEvent({
  type: 'DeskRetried',
  schemaVersion: 1,
  description: 'Dead letters are tried again.',
  data: z.object({ letters: z.array(z.string()) }),
});
const dropped = defineEvent({
  type: 'DeskDropped',
  schemaVersion: 1,
  description: 'A dead letter was given up.',
  data: z.object({ letter: z.string(), reason: z.string() }),
});
const deskEvents = [cancelled, retried, dropped] as const;
type DeskEvent = EventOf<(typeof deskEvents)[number]>;

/**
 * The aggregate of an operator.
 * @param onFacts called with what a decision is about to be made from: what happens meanwhile, it does not know of
 */
export function createDesk(
  onFacts: (records: ReadonlyMap<string, CommandRecord>) => Promise<void> = async () => {},
): Aggregate<null, DeskCommand, DeskEvent, CommandRecord> {
  return {
    type: 'desk',
    commands: deskCommands,
    events: deskEvents,
    facts: {
      async load({ commandRecords }, keys) {
        const records = await commandRecords.find(keys);
        await onFacts(records);
        return records;
      },
    },
    decider: {
      initialState: null,
      decide({ type, data }, _, { facts }: DecisionContext<CommandRecord>) {
        switch (type) {
          case 'Cancel': {
            const status = facts.get(data.target)?.status;
            if (status === undefined) return notFound('command', data.target);
            if (status !== 'QUEUED') return illegalState(status, `It is ${status}.`);
            return [{ type: 'DeskCancelled', data: { target: data.target } }];
          }
          case 'Retry':
            return [{ type: 'DeskRetried', data: { letters: data.letters } }];
          case 'Drop':
            return [{ type: 'DeskDropped', data: { letter: data.letter, reason: data.reason } }];
        }
      },
      evolve: (state) => state,
    },
    effectsOf({ type, data }) {
      switch (type) {
        case 'DeskCancelled':
          return [{ kind: 'cancelCommand', commandId: data.target }];
        case 'DeskRetried':
          return [{ kind: 'retryDeadLetters', ids: data.letters }];
        case 'DeskDropped':
          return [{ kind: 'dropDeadLetter', id: data.letter, reason: data.reason }];
      }
    },
  };
}

type DeskData<Type extends DeskCommand['type']> = Omit<Extract<DeskCommand, { type: Type }>['data'], 'deskId'>;

/** Has an operator of their own do something. */
export function atDesk<Type extends DeskCommand['type']>(
  { executor }: Engine,
  name: Type,
  data: DeskData<Type>,
): Promise<CommandOutcome> {
  const command = request('Lock', { tallyId: 'of no concern' });
  return executor.execute({ ...command, name, data: { deskId: randomUUID(), ...data } });
}
