import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { type Aggregate, type CommandOf, defineCommand } from '../../src/eventsourcing/commands/aggregate.ts';
import type { CommandRequest } from '../../src/eventsourcing/commands/command.ts';
import type { PerformedCommand, Performer } from '../../src/eventsourcing/commands/performer.ts';
import type { Engine } from '../../src/eventsourcing/engine.ts';
import { secret } from '../../src/eventsourcing/log/codec.ts';
import { defineEvent, type EventOf } from '../../src/eventsourcing/log/event.ts';
import { request, succeeded } from './tally-engine.ts';

/** Somebody who runs errands: whatever is asked of them is done outside, by a command that is performed. */

const ofRunner = { audience: 'public', aggregateId: (data: { runnerId: string }) => data.runnerId } as const;
const runnerId = z.string();

const ask = defineCommand({
  ...ofRunner,
  name: 'AskErrand',
  description: 'Asks for errands to be run.',
  input: z.object({ runnerId, errands: z.array(z.string()) }),
});
const run = defineCommand({
  ...ofRunner,
  name: 'RunErrand',
  performed: true,
  description: 'Runs an errand.',
  input: z.object({ runnerId, errand: z.string(), password: secret(z.string()).nullish() }),
});
const greet = defineCommand({
  ...ofRunner,
  name: 'GreetRunner',
  description: 'Says hello to whoever runs errands.',
  input: z.object({ runnerId }),
});

const asked = defineEvent({
  type: 'ErrandsAsked',
  schemaVersion: 1,
  description: 'Errands are to be run.',
  data: z.object({ errands: z.array(z.string()) }),
});
const ran = defineEvent({
  type: 'ErrandRun',
  schemaVersion: 1,
  description: 'An errand was run.',
  data: z.object({ errand: z.string(), brought: z.string(), greetings: z.number().int() }),
});
const greeted = defineEvent({
  type: 'RunnerGreeted',
  schemaVersion: 1,
  description: 'Somebody said hello.',
  data: z.object({}),
});
const events = [asked, ran, greeted] as const;

type ErrandCommand = CommandOf<typeof ask | typeof run | typeof greet>;
type ErrandEvent = EventOf<(typeof events)[number]>;

export interface RunnerState {
  readonly greetings: number;
}

export const runner: Aggregate<RunnerState, ErrandCommand, ErrandEvent> = {
  type: 'runner',
  commands: [ask, run, greet],
  events,
  decider: {
    initialState: { greetings: 0 },
    decide(command, { greetings }, { performed }) {
      switch (command.type) {
        case 'AskErrand':
          return [{ type: 'ErrandsAsked', data: { errands: command.data.errands } }];
        case 'RunErrand': {
          const { errand } = command.data;
          return [{ type: 'ErrandRun', data: { errand, brought: z.string().parse(performed), greetings } }];
        }
        case 'GreetRunner':
          return [{ type: 'RunnerGreeted', data: {} }];
        default:
          return command satisfies never;
      }
    },
    evolve: (state, { type }) => (type === 'RunnerGreeted' ? { greetings: state.greetings + 1 } : state),
  },
  effectsOf(event, _state, { aggregateId }) {
    if (event.type !== 'ErrandsAsked') return [];
    return event.data.errands.map((errand) => ({
      kind: 'send' as const,
      command: { type: 'RunErrand', data: { runnerId: aggregateId, errand } } as const,
    }));
  },
};

const carry = defineCommand({
  audience: 'public',
  aggregateId: (data: { parcelId: string }) => data.parcelId,
  name: 'CarryParcel',
  performed: true,
  description: 'Carries a parcel.',
  input: z.object({ parcelId: z.string() }),
});
const carried = defineEvent({
  type: 'ParcelCarried',
  schemaVersion: 1,
  description: 'A parcel was carried.',
  data: z.object({}),
});

/** Something else that is carried by somebody else: no runner has to do with it. */
export const parcel: Aggregate<null, CommandOf<typeof carry>, EventOf<typeof carried>> = {
  type: 'parcel',
  commands: [carry],
  events: [carried],
  decider: {
    initialState: null,
    decide: () => [{ type: 'ParcelCarried', data: {} }],
    evolve: (state) => state,
  },
};

/** Does errands, by their names. */
export type Errands = Readonly<Record<string, (command: PerformedCommand) => Promise<unknown>>>;

const errandOf = z.object({ errand: z.string() });

export function performing(errands: Errands): ReadonlyMap<string, Performer> {
  const perform: Performer = async (command) => {
    const { errand } = errandOf.parse(command.data);
    const run = errands[errand];
    if (run === undefined) throw new Error(`Nobody knows how to ${errand}.`);
    return run(command);
  };
  return new Map([['RunErrand', perform]]);
}

const about = (commandId: string = randomUUID()) => request('Lock', { tallyId: 'of no concern' }, { commandId });

export function asking(id: string, ...errands: string[]): CommandRequest {
  return { ...about(), name: 'AskErrand', data: { runnerId: id, errands } };
}

export function running(id: string, errand: string, password: string | null = null): CommandRequest {
  return { ...about(), name: 'RunErrand', data: { runnerId: id, errand, password } };
}

export function carrying(parcelId: string): CommandRequest {
  return { ...about(), name: 'CarryParcel', data: { parcelId } };
}

export function greeting(id: string): CommandRequest {
  return { ...about(), name: 'GreetRunner', data: { runnerId: id } };
}

const errandRun = z.object({ errand: z.string(), brought: z.string(), greetings: z.number() });
export type ErrandRun = z.output<typeof errandRun>;

/** What a runner came back with, in order. */
export async function errandsOf({ log }: Pick<Engine, 'log'>, id: string): Promise<ErrandRun[]> {
  const all = await log.readStreams([`runner-${id}`]);
  return all.filter(({ type }) => type === 'ErrandRun').map(({ data }) => errandRun.parse(data));
}

export async function askFor(engine: Engine, id: string, ...errands: string[]): Promise<void> {
  succeeded(await engine.executor.execute(asking(id, ...errands)));
}
