import type { Aggregate, FactLoader } from '../../eventsourcing/commands/aggregate.ts';
import type { CommandRecord } from '../../eventsourcing/commands/command-records.ts';
import type { DeadLetter } from '../../eventsourcing/followers/dead-letters.ts';
import type { ProjectionState } from '../../eventsourcing/projections/projection-states.ts';
import type { Context } from '../context.ts';
import { type CommandState, commandDecider } from './command-decider.ts';
import {
  type CancelCommand,
  cancelCommand,
  type DeadLetterCommand,
  dropDeadLetter,
  retryDeadLetter,
  retryDeadLetters,
  type SourceCommand,
} from './commands.ts';
import { type DeadLetterState, deadLetterDecider } from './dead-letter-decider.ts';
import {
  type CommandEvent,
  commandEvents,
  type DeadLetterEvent,
  deadLetterEvents,
  type SourceEvent,
  sourceEvents,
} from './events.ts';
import { type ProjectionCommand, projectionCommands } from './projection-commands.ts';
import { projectionDecider, type RebuildState } from './projection-decider.ts';
import { type ProjectionEvent, projectionEvents } from './projection-events.ts';
import { declareOperationsSchema } from './schema.ts';
import { type OpenLetters, type SourceState, sourceDecider } from './source-decider.ts';

/** The source of commands that failed; others are named after the follower of the log that failed. */
const COMMANDS = 'command';
/** So many dead letters are retried at once. */
const MAX_RETRIED = 10_000;

const commandFacts: FactLoader<CommandRecord> = {
  load: ({ commandRecords }, ids) => commandRecords.find(ids),
};
const deadLetterFacts: FactLoader<DeadLetter> = {
  load: ({ deadLetters }, ids) => deadLetters.find(ids),
};
const openLetterFacts: FactLoader<OpenLetters> = {
  async load({ deadLetters, followers }, sources) {
    const known = new Set([COMMANDS, ...followers.map(({ task }) => task.name)]);
    const found = await Promise.all(
      sources.map(async (source) => [source, await deadLetters.openOf(source, MAX_RETRIED)] as const),
    );
    // One that is no more may have left some behind.
    return new Map(found.filter(([source, open]) => known.has(source) || open.length > 0));
  },
};

/** A command of any context, as something that can be taken back. */
const command: Aggregate<CommandState, CancelCommand, CommandEvent, CommandRecord> = {
  type: 'command',
  decider: commandDecider,
  commands: [cancelCommand],
  events: commandEvents,
  facts: commandFacts,
  effectsOf: ({ data }) => [{ kind: 'cancelCommand', commandId: data.target }],
};

const deadLetter: Aggregate<DeadLetterState, DeadLetterCommand, DeadLetterEvent, DeadLetter> = {
  type: 'dead-letter',
  decider: deadLetterDecider,
  commands: [retryDeadLetter, dropDeadLetter],
  events: deadLetterEvents,
  endsWith: ['DeadLetterRetried', 'DeadLetterDropped'],
  facts: deadLetterFacts,
  effectsOf: ({ type, data }) =>
    type === 'DeadLetterRetried'
      ? [{ kind: 'retryDeadLetters', ids: [data.deadLetterId] }]
      : [{ kind: 'dropDeadLetter', id: data.deadLetterId, reason: data.reason }],
};

/** All dead letters of one source. */
const deadLetterSource: Aggregate<SourceState, SourceCommand, SourceEvent, OpenLetters> = {
  type: 'dead-letter-source',
  decider: sourceDecider,
  commands: [retryDeadLetters],
  events: sourceEvents,
  facts: openLetterFacts,
  effectsOf: ({ data }) => [{ kind: 'retryDeadLetters', ids: data.letters.map(({ id }) => id) }],
};

const projectionFacts: FactLoader<ProjectionState> = {
  load: ({ projections }, names) => projections.find(names),
};

/** A projection, as something that can be rebuilt. */
const projection: Aggregate<RebuildState, ProjectionCommand, ProjectionEvent, ProjectionState> = {
  type: 'projection',
  decider: projectionDecider,
  commands: projectionCommands,
  events: projectionEvents,
  facts: projectionFacts,
  effectsOf: ({ type, data: { projection: name, run } }) => [
    { kind: type === 'ProjectionRebuildRequested' ? 'beginRebuild' : 'cancelRebuild', projection: name, run },
  ],
};

/** What operators look after: projections, commands under way, what failed, and processes. */
export const operationsContext: Context = {
  name: 'operations',
  aggregates: [command, deadLetter, deadLetterSource, projection],
  projections: [],
  declareSchema: declareOperationsSchema,
};
