import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { SYSTEM } from '../../src/eventsourcing/actor.ts';
import { type Aggregate, type CommandOf, defineCommand } from '../../src/eventsourcing/commands/aggregate.ts';
import type { CommandRequest } from '../../src/eventsourcing/commands/command.ts';
import type { Decider } from '../../src/eventsourcing/commands/decider.ts';
import { illegalState } from '../../src/eventsourcing/commands/rejection.ts';
import { Engine } from '../../src/eventsourcing/engine.ts';
import type { EngineSettings } from '../../src/eventsourcing/engine-settings.ts';
import { hashOf, personal, secret } from '../../src/eventsourcing/log/codec.ts';
import { defineEvent, type EventOf, type RecordedEventOf } from '../../src/eventsourcing/log/event.ts';
import type { Effect } from '../../src/eventsourcing/processes/effect.ts';
import type { ProcessManager } from '../../src/eventsourcing/processes/process-manager.ts';
import type { Projection } from '../../src/eventsourcing/projections/projection.ts';
import { column } from '../../src/eventsourcing/projections/read-table.ts';
import { systemClock } from '../../src/platform/clock.ts';
import type { Database } from '../../src/platform/database.ts';
import { randomIds } from '../../src/platform/ids.ts';
import { createLogger } from '../../src/platform/logger.ts';
import { testMasterKey } from './master-key.ts';

/** An aggregate, a read table and a process for tests of what is encrypted: guests, of whom we know more than we may tell. */

const guestId = z.string().min(1);
const email = personal(z.string(), 'guestId');
const home = personal(z.object({ street: z.string(), floor: z.number() }), 'guestId');
const token = secret(z.string());
const what = z.enum(['nothing', 'send', 'conclude', 'cancel', 'drop', 'retry']);
type What = z.output<typeof what>;

const guestCame = defineEvent({
  type: 'GuestCame',
  schemaVersion: 1,
  description: 'A guest came.',
  data: z.object({ guestId, email, home: home.optional(), visits: z.number() }),
});
const guestServed = defineEvent({
  type: 'GuestServed',
  schemaVersion: 1,
  description: 'Something was done that concerns other commands.',
  data: z.object({ what, id: z.string(), mail: z.string().nullable() }),
});
const guestForgotten = defineEvent({
  type: 'GuestForgotten',
  schemaVersion: 1,
  description: 'A guest is forgotten.',
  forgets: 'guestId',
  data: z.object({ guestId }),
});
export const guestEvents = [guestCame, guestServed, guestForgotten] as const;
type GuestEvent = EventOf<(typeof guestEvents)[number]>;

const plain = { audience: 'public', aggregateId: (data: { guestId: string }) => data.guestId } as const;
const input = z.object({ guestId, email, home: home.optional(), token: token.optional() });
const welcome = defineCommand({ ...plain, name: 'WelcomeGuest', description: 'Takes a guest in.', input });
const refuse = defineCommand({ ...plain, name: 'RefuseGuest', description: 'Is rejected.', input });
const breakGuest = defineCommand({ ...plain, name: 'BreakGuest', description: 'Breaks, or takes a guest in.', input });
const hold = defineCommand({
  ...plain,
  name: 'HoldGuest',
  description: 'Is concluded by another command.',
  input,
  concludedByProcess: true,
});
const serve = defineCommand({
  ...plain,
  name: 'ServeGuest',
  description: 'Does something about another command or dead letter.',
  input: z.object({ guestId, what, id: z.string() }),
});
const forget = defineCommand({
  ...plain,
  name: 'ForgetGuest',
  description: 'Forgets a guest.',
  input: z.object({ guestId }),
});
const guestCommands = [welcome, refuse, breakGuest, hold, serve, forget] as const;
type GuestCommand = CommandOf<(typeof guestCommands)[number]>;

/** What a guest whom an aggregate or a process sends along is known by. */
export interface Marks {
  readonly email: string;
  readonly token: string;
}

export interface GuestOptions {
  /** Guests that break their command. */
  readonly broken?: Set<string>;
  /** What the aggregate and the process put into the commands that they send. */
  readonly sent?: Marks;
}

interface GuestState {
  readonly visits: number;
  readonly email: string | null;
}

function createGuest({ broken = new Set(), sent = { email: 'sent', token: 'sent' } }: GuestOptions) {
  const decider: Decider<GuestState, GuestCommand, GuestEvent> = {
    initialState: { visits: 0, email: null },
    decide(command, state) {
      switch (command.type) {
        case 'RefuseGuest':
          return illegalState('FULL', 'There is no room.');
        case 'BreakGuest':
        case 'WelcomeGuest':
        case 'HoldGuest': {
          const { token: given, ...data } = command.data;
          if (command.type === 'BreakGuest' && broken.has(data.guestId))
            throw new Error(`The door is jammed for ${data.email} of ${data.home?.street}, with ${given}.`);
          return [{ type: 'GuestCame', data: { ...data, visits: state.visits + 1 } }];
        }
        case 'ServeGuest': {
          const { what: done, id } = command.data;
          return [{ type: 'GuestServed', data: { what: done, id, mail: null } }];
        }
        case 'ForgetGuest':
          return [{ type: 'GuestForgotten', data: { guestId: command.data.guestId } }];
        default:
          return command satisfies never;
      }
    },
    evolve: (state, event) =>
      event.type === 'GuestCame' ? { visits: event.data.visits, email: event.data.email } : state,
  };
  const guest: Aggregate<GuestState, GuestCommand, GuestEvent> = {
    type: 'guest',
    decider,
    commands: guestCommands,
    events: guestEvents,
    effectsOf: (event) => (event.type === 'GuestServed' ? effectsOf(event.data.what, event.data.id, sent) : []),
  };
  return guest;
}

function effectsOf(done: What, id: string, { email: mail, token: sentToken }: Marks): readonly Effect[] {
  switch (done) {
    case 'nothing':
      return [];
    case 'send':
      return [
        { kind: 'send', command: { type: 'WelcomeGuest', data: { guestId: id, email: mail, token: sentToken } } },
      ];
    case 'conclude':
      return [{ kind: 'conclude', commandId: id }];
    case 'cancel':
      return [{ kind: 'cancelCommand', commandId: id }];
    case 'drop':
      return [{ kind: 'dropDeadLetter', id, reason: 'No longer wanted.' }];
    case 'retry':
      return [{ kind: 'retryDeadLetters', ids: [id] }];
    default:
      return done satisfies never;
  }
}

export const guestRow = z.object({
  id: z.string(),
  guestId: z.string(),
  email,
  emailHash: hashOf('email'),
  home: home.optional().nullable(),
  visits: z.number(),
  position: column.safeInt(),
});
export type GuestRow = z.output<typeof guestRow>;

export const guestProjection: Projection<GuestRow> = {
  name: 'test.guests',
  version: 1,
  table: { name: 'guest_view', key: 'id', row: guestRow },
  eventTypes: ['GuestCame'],
  keyOf: ({ aggregateId }) => aggregateId,
  evolveRow(row, event) {
    const { data, aggregateId: id, position } = event as RecordedEventOf<typeof guestCame>;
    const visits = (row?.visits ?? 0) + 1;
    return { id, guestId: id, email: data.email, emailHash: null, home: data.home ?? null, visits, position };
  },
  streamsOf: ({ id }) => [`guest-${id}`],
};

const greeted = defineEvent({
  type: 'GuestGreeted',
  schemaVersion: 1,
  description: 'The process took note of a guest.',
  data: z.object({ guestId, email }),
});
type Greeted = EventOf<typeof greeted>;

/** Remembers the guests whose id begins with `greet`, and sends for a friend of theirs. */
function createGreeter({
  sent = { email: 'sent', token: 'sent' },
}: GuestOptions): ProcessManager<null, Greeted['data'], Greeted> {
  return {
    name: 'greeter',
    description: 'Greets guests.',
    events: [greeted],
    eventTypes: ['GuestCame'],
    instanceOf: ({ aggregateId }) => (aggregateId.startsWith('greet') ? aggregateId : undefined),
    messageOf: ({ data }) => greeted.data.parse(data),
    initialState: null,
    decide: (it) => (it.kind === 'message' ? [{ type: 'GuestGreeted', data: it.message }] : []),
    evolve: () => null,
    effectsOf: ({ data }) => [
      { kind: 'send', command: { type: 'WelcomeGuest', data: { guestId: `friend of ${data.guestId}`, ...sent } } },
    ],
    view: () => ({ step: 'greeted', stepStatus: 'DONE', detail: null, status: 'COMPLETED' }),
  };
}

/** The engine with guests. Their table must be there. */
export function startGuestEngine(
  database: Database,
  {
    broken,
    sent,
    ...rest
  }: GuestOptions &
    Partial<Pick<EngineSettings, 'masterKey' | 'otherMasterKeys' | 'commandRetries' | 'clock' | 'logger'>> = {},
): Promise<Engine> {
  const options = { ...(broken === undefined ? {} : { broken }), ...(sent === undefined ? {} : { sent }) };
  return Engine.start({
    database,
    masterKey: testMasterKey,
    aggregates: [createGuest(options) as Aggregate],
    projections: [guestProjection as Projection],
    processes: [createGreeter(options) as ProcessManager],
    clock: systemClock,
    ids: randomIds,
    logger: createLogger('silent'),
    commandRetries: { maxAttempts: 1, firstPauseMs: 1, longestPauseMs: 1 },
    ...rest,
  });
}

export async function createGuestTable({ log }: Database): Promise<void> {
  await log.query(
    `CREATE TABLE guest_view (id TEXT PRIMARY KEY, guest_id TEXT NOT NULL, email TEXT, email_hash TEXT, home JSONB,
       visits INTEGER NOT NULL, position BIGINT NOT NULL)`,
  );
}

export function ofGuest<Type extends GuestCommand['type']>(
  name: Type,
  data: Extract<GuestCommand, { type: Type }>['data'],
  commandId = randomUUID(),
): CommandRequest {
  return { commandId, name, data, actor: SYSTEM, correlationId: commandId };
}
