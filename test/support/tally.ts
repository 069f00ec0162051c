import { z } from 'zod';
import { type Aggregate, type CommandOf, defineCommand } from '../../src/eventsourcing/commands/aggregate.ts';
import type { Decider } from '../../src/eventsourcing/commands/decider.ts';
import { forbidden, illegalState } from '../../src/eventsourcing/commands/rejection.ts';
import { defineEvent, type EventOf, type RecordedEventOf } from '../../src/eventsourcing/log/event.ts';
import { streamIdOf } from '../../src/eventsourcing/log/stream-id.ts';
import type { Projection } from '../../src/eventsourcing/projections/projection.ts';
import { column } from '../../src/eventsourcing/projections/read-table.ts';
import type { Database } from '../../src/platform/database.ts';
import { emptyTables } from './empty-tables.ts';

/**
 * An aggregate for tests of the engine alone: a list of amounts with their total, and commands that misbehave in every
 * way that a context's could.
 */

const tallyId = z.string().min(1, 'must not be empty');
const amount = z.number().int('must be a whole number').min(0, 'must not be negative').max(1_000_000);
const aggregateId = (data: { tallyId: string }) => data.tallyId;

export const added = defineEvent({
  type: 'TallyAdded',
  schemaVersion: 1,
  description: 'An amount was added.',
  data: z.object({ amount: z.number(), note: z.string(), total: z.number() }),
});
export const locked = defineEvent({
  type: 'TallyLocked',
  schemaVersion: 1,
  description: 'Nothing can be added any more.',
  data: z.object({}),
});
export const unlocked = defineEvent({
  type: 'TallyUnlocked',
  schemaVersion: 1,
  description: 'Amounts can be added again.',
  data: z.object({}),
});
export const tallyEvents = [added, locked, unlocked] as const;
export type TallyEvent = EventOf<(typeof tallyEvents)[number]>;

const plain = { audience: 'public', aggregateId } as const;
const add = defineCommand({
  ...plain,
  name: 'Add',
  description: 'Adds an amount; 0 changes nothing. Refused while locked.',
  input: z.object({ tallyId, amount, note: z.string().optional() }),
});
const lock = defineCommand({ ...plain, name: 'Lock', description: 'Locks.', input: z.object({ tallyId }) });
const unlock = defineCommand({ ...plain, name: 'Unlock', description: 'Unlocks.', input: z.object({ tallyId }) });
const fail = defineCommand({
  ...plain,
  name: 'Fail',
  description: 'Its decision throws.',
  input: z.object({ tallyId }),
});
const poison = defineCommand({
  ...plain,
  name: 'Poison',
  description: 'Its event passes its schema, and the database refuses it.',
  input: z.object({ tallyId }),
});
const misdeclare = defineCommand({
  ...plain,
  name: 'Misdeclare',
  description: 'Decides on an event that its aggregate never declared.',
  input: z.object({ tallyId }),
});
const forbid = defineCommand({
  ...plain,
  name: 'Forbid',
  description: 'Is forbidden by its decision.',
  input: z.object({ tallyId }),
});
const audit = defineCommand({
  ...plain,
  name: 'Audit',
  description: 'Is for staff; changes nothing.',
  audience: 'staff',
  input: z.object({ tallyId }),
});
const addWithCompanion = defineCommand({
  ...plain,
  name: 'AddWithCompanion',
  description: 'Adds an amount here and there, or nowhere.',
  input: z.object({ tallyId, otherId: tallyId, amount, note: z.string().optional() }),
  companions: ({ otherId, amount: given, note }) => [{ type: 'Add', data: { tallyId: otherId, amount: given, note } }],
});
const mirror = defineCommand({
  ...plain,
  name: 'Mirror',
  description: 'Adds an amount here, with a companion of its own type that adds it there.',
  input: z.object({ tallyId, otherId: tallyId, amount }),
  companions: ({ tallyId: id, otherId, amount: given }) => [
    { type: 'Mirror', data: { tallyId: otherId, otherId: id, amount: given } },
  ],
});

const tallyCommands = [add, lock, unlock, fail, poison, misdeclare, forbid, audit, addWithCompanion, mirror] as const;
export type TallyCommand = CommandOf<(typeof tallyCommands)[number]>;

export interface TallyState {
  readonly total: number;
  readonly isLocked: boolean;
}

export const tallyDecider: Decider<TallyState, TallyCommand, TallyEvent> = {
  initialState: { total: 0, isLocked: false },
  decide(command, { total, isLocked }) {
    switch (command.type) {
      case 'Add':
      case 'AddWithCompanion':
      case 'Mirror': {
        const { amount: given } = command.data;
        if (isLocked) return illegalState('LOCKED', 'It is locked.');
        const note = 'note' in command.data ? (command.data.note ?? '') : '';
        return given === 0 ? [] : [{ type: 'TallyAdded', data: { amount: given, note, total: total + given } }];
      }
      case 'Lock':
        return isLocked ? illegalState('LOCKED', 'It is locked already.') : [{ type: 'TallyLocked', data: {} }];
      case 'Unlock':
        return isLocked ? [{ type: 'TallyUnlocked', data: {} }] : illegalState('UNLOCKED', 'It is not locked.');
      case 'Fail':
        throw new Error('This decision is broken.');
      case 'Poison':
        return [{ type: 'TallyAdded', data: { amount: 1, note: 'poison \u0000', total: total + 1 } }];
      case 'Misdeclare':
        return [{ type: 'TallyShredded', data: {} } as unknown as TallyEvent];
      case 'Forbid':
        return forbidden('Not you.');
      case 'Audit':
        return [];
      default:
        return command satisfies never;
    }
  },
  evolve(state, event) {
    switch (event.type) {
      case 'TallyAdded':
        return { ...state, total: event.data.total };
      case 'TallyLocked':
        return { ...state, isLocked: true };
      case 'TallyUnlocked':
        return { ...state, isLocked: false };
      default:
        return event satisfies never;
    }
  },
};

export const tally: Aggregate<TallyState, TallyCommand, TallyEvent> = {
  type: 'tally',
  decider: tallyDecider,
  commands: tallyCommands,
  events: tallyEvents,
};

export const tallyStream = (id: string): string => streamIdOf('tally', id);

/** A tally as a screen shows it: every amount, so that one event too many or too few is seen. */
export const tallyRow = z.object({
  id: z.string(),
  amounts: z.array(z.number()),
  isLocked: z.boolean(),
  version: z.number(),
  position: column.safeInt(),
});
export type TallyRow = z.output<typeof tallyRow>;

export function evolveTally(row: TallyRow | undefined, event: RecordedEventOf<(typeof tallyEvents)[number]>): TallyRow {
  const { aggregateId: id, version, position } = event;
  const before = row ?? { id, amounts: [], isLocked: false, version: 0, position: 0 };
  const after = { ...before, version, position };
  switch (event.type) {
    case 'TallyAdded':
      return { ...after, amounts: [...before.amounts, event.data.amount] };
    case 'TallyLocked':
      return { ...after, isLocked: true };
    case 'TallyUnlocked':
      return { ...after, isLocked: false };
    default:
      return event satisfies never;
  }
}

export function tallyProjection(
  changes: Partial<Projection<TallyRow>> & { readonly tableName?: string } = {},
): Projection<TallyRow> {
  const { tableName = 'tally_view', ...rest } = changes;
  return {
    name: `test.${tableName}`,
    version: 1,
    table: { name: tableName, key: 'id', row: tallyRow },
    eventTypes: tallyEvents.map(({ type }) => type),
    keyOf: (event) => event.aggregateId,
    evolveRow: (row, event) => evolveTally(row, event as RecordedEventOf<(typeof tallyEvents)[number]>),
    streamsOf: ({ id }) => [tallyStream(id)],
    ...rest,
  };
}

/** An empty log, and empty tables `tally_view` and `tally_other` for projections. */
export async function emptyTallyStore({ log }: Database): Promise<void> {
  for (const tableName of ['tally_view', 'tally_other']) {
    await log.query(
      `CREATE TABLE IF NOT EXISTS ${tableName} (
         id TEXT PRIMARY KEY, amounts JSONB NOT NULL, is_locked BOOLEAN NOT NULL, version INTEGER NOT NULL,
         position BIGINT NOT NULL)`,
    );
  }
  await emptyTables(log, [
    ...['events', 'streams', 'commands', 'command_queue', 'checkpoints', 'nodes', 'dead_letters', 'parked_events'],
    ...['rebuilds', 'process_view', 'tally_view', 'tally_other'],
  ]);
  await log.query('UPDATE log_head SET position = 0, recorded_at = to_timestamp(0)');
}
