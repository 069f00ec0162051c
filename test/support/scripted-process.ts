import { z } from 'zod';
import { type Aggregate, type CommandOf, defineCommand } from '../../src/eventsourcing/commands/aggregate.ts';
import { defineEvent, type EventOf, type RecordedEvent } from '../../src/eventsourcing/log/event.ts';
import { streamIdOf } from '../../src/eventsourcing/log/stream-id.ts';
import type { ProcessEffect, ProcessInput, ProcessManager } from '../../src/eventsourcing/processes/process-manager.ts';

/**
 * A process for tests of the engine: it does what notes tell it, those of amounts that are added to tallies and those of
 * jobs that begin. A note names an instance and then what it does: one event for what stands between two `|`, each with
 * effects between two `;`.
 *
 *     order 1: send Add b 5; set bell 60 | cancel bell
 *
 *     send <command> <tally or job> [amount or note] [@<expected version>]
 *     set <timer> <seconds from now> [> <what to do when it is due>]
 *     cancel <timer>
 *     conclude [<command>, or that of the job] [<code of a rejection>]
 *     otherwise <what to do about a refusal>
 */

export interface ScriptMessage {
  readonly note: string;
  readonly commandId: string;
}

const stepped = defineEvent({
  type: 'ScriptStepped',
  schemaVersion: 1,
  description: 'Something was heard, and done.',
  data: z.object({ heard: z.string(), does: z.array(z.string()) }),
});
type Stepped = EventOf<typeof stepped>;

export interface ScriptState {
  /** What to do when a timer is due, by its name; and when that is. */
  readonly timers: Readonly<Record<string, { readonly dueAt: string; readonly task: string }>>;
  readonly otherwise: string;
  /** The last of what is only looked at when it matters. */
  readonly latest: string;
}

export interface ScriptOptions {
  /** Notes that break the process, for as long as they are in here. */
  readonly broken?: ReadonlySet<string>;
  /** Notes of which it cannot even be told which instance they are for. */
  readonly lost?: ReadonlySet<string>;
  /** Called before each decision, with what it is about. */
  readonly onDecide?: (heard: string) => void;
}

export type ScriptedProcess = ProcessManager<ScriptState, ScriptMessage, Stepped>;

export const SCRIPTED = 'scripted';

export function createScripted({ broken, lost, onDecide }: ScriptOptions = {}): ScriptedProcess {
  return {
    name: SCRIPTED,
    description: 'Does as it is told.',
    events: [stepped],
    eventTypes: ['TallyAdded', 'JobBegun'],
    instanceOf(event) {
      const { note } = messageOf(event);
      if (lost?.has(note)) throw new Error(`Nobody knows whom this is for: ${note}`);
      return note.includes(': ') ? note.split(': ')[0] : undefined;
    },
    messageOf,
    // The newest lock of the tally that has the name of the instance.
    latest: {
      eventTypes: ['TallyLocked', 'TallyUnlocked'],
      streamOf: (instanceId) => streamIdOf('tally', instanceId),
      messageOf: ({ type, version, commandId }) => ({ note: `${type} ${version}`, commandId: commandId ?? '' }),
    },
    initialState: { timers: {}, otherwise: '', latest: '' },
    decide(input, state, { now }) {
      const heard = heardOf(input, state);
      onDecide?.(heard);
      if (input.kind === 'message' && broken?.has(input.message.note)) throw new Error(`This breaks it: ${heard}`);
      // Heard before: what is only looked at now and then comes again.
      if (heard === state.latest) return [];
      return tasksOf(input, state).map((task) => ({
        type: 'ScriptStepped',
        data: { heard, does: splitAt(task, ';').map((step) => resolve(step, now, input)) },
      }));
    },
    evolve(state, { data: { heard, does } }) {
      return does.reduce(afterStep, heard.startsWith('message Tally') ? { ...state, latest: heard } : state);
    },
    effectsOf: ({ data: { does } }) => does.flatMap(effectOf),
    view: ({ data: { heard } }) => ({ step: heard, stepStatus: 'DONE', detail: null, status: 'RUNNING' }),
  };
}

/** What an instance has heard, in order. */
export async function heardBy(
  { log }: { readonly log: { readStreams(ids: readonly string[]): Promise<RecordedEvent[]> } },
  instanceId: string,
): Promise<string[]> {
  const events = await log.readStreams([streamIdOf(SCRIPTED, instanceId)]);
  return events.map(({ data }) => stepped.data.parse(data).heard);
}

const noted = z.object({ note: z.string() });

function messageOf({ data, commandId }: RecordedEvent): ScriptMessage {
  return { note: noted.parse(data).note, commandId: commandId ?? '' };
}

function heardOf(input: ProcessInput<ScriptMessage>, { timers }: ScriptState): string {
  switch (input.kind) {
    case 'message':
      return `message ${input.message.note}`;
    case 'timer': {
      const isAwaited = timers[input.timer]?.dueAt === input.dueAt.toISOString();
      return `${isAwaited ? 'timer' : 'stale timer'} ${input.timer}`;
    }
    case 'refusal': {
      const { name, status, rejection } = input.refusal;
      return ['refusal', name, status, ...(rejection === null ? [] : [rejection.code])].join(' ');
    }
  }
}

/** What is done, event by event. */
function tasksOf(input: ProcessInput<ScriptMessage>, { timers, otherwise }: ScriptState): string[] {
  switch (input.kind) {
    case 'message': {
      const [, script = ''] = input.message.note.split(/: (.*)/s);
      return splitAt(script, '|');
    }
    case 'timer': {
      const timer = timers[input.timer];
      return [timer?.dueAt === input.dueAt.toISOString() ? timer.task : ''];
    }
    case 'refusal':
      return [otherwise];
  }
}

function splitAt(text: string, mark: string): string[] {
  return text.split(mark).map((part) => part.trim());
}

/** A step whose times and ids no longer depend on when it is looked at. */
function resolve(step: string, now: Date, input: ProcessInput<ScriptMessage>): string {
  const [kind, ...rest] = step.split(' ');
  if (kind === 'set') {
    const [name, seconds, , ...task] = rest;
    const dueAt = new Date(now.getTime() + Number(seconds) * 1_000).toISOString();
    return `set ${name} ${dueAt} > ${resolve(task.join(' '), now, input)}`;
  }
  if (kind === 'conclude' && input.kind === 'message' && !rest[0]?.includes('-')) {
    return ['conclude', input.message.commandId, ...rest].join(' ');
  }
  return step;
}

function afterStep(state: ScriptState, step: string): ScriptState {
  const [kind, name = '', dueAt = '', , ...task] = step.split(' ');
  if (kind === 'otherwise') return { ...state, otherwise: step.slice('otherwise '.length) };
  if (kind !== 'set') return state;
  return { ...state, timers: { ...state.timers, [name]: { dueAt, task: task.join(' ') } } };
}

function effectOf(step: string): ProcessEffect[] {
  const [kind, name = '', ...rest] = step.split(' ');
  switch (kind) {
    case 'send': {
      const [target = '', ...about] = rest.filter((it) => !it.startsWith('@'));
      const expectedVersion = rest.find((it) => it.startsWith('@'))?.slice(1);
      const data =
        name === 'Do'
          ? { jobId: target, note: about.join(' ') }
          : { tallyId: target, ...(about[0] === undefined ? {} : { amount: Number(about[0]) }) };
      const effect = { kind, command: { type: name, data } } as const;
      return [expectedVersion === undefined ? effect : { ...effect, expectedVersion: Number(expectedVersion) }];
    }
    case 'set':
      return [{ kind: 'setTimer', timer: name, dueAt: new Date(rest[0] ?? '') }];
    case 'cancel':
      return [{ kind: 'cancelTimer', timer: name }];
    case 'conclude': {
      const [code] = rest;
      const rejection = code === undefined ? {} : { rejection: { code, message: 'It was not to be.' } };
      return [{ kind: 'conclude', commandId: name, ...rejection }];
    }
    default:
      return [];
  }
}

const doJob = defineCommand({
  name: 'Do',
  description: 'Begins a job, which a process ends; without a note there is nothing to do.',
  audience: 'public',
  input: z.object({ jobId: z.string(), note: z.string() }),
  concludedByProcess: true,
  aggregateId: ({ jobId }) => jobId,
});
const jobBegun = defineEvent({
  type: 'JobBegun',
  schemaVersion: 1,
  description: 'A job has begun.',
  data: z.object({ note: z.string() }),
});

/** An aggregate whose commands have the outcome that a process gives them. */
export const job: Aggregate<null, CommandOf<typeof doJob>, EventOf<typeof jobBegun>> = {
  type: 'job',
  commands: [doJob],
  events: [jobBegun],
  decider: {
    initialState: null,
    decide: ({ data: { note } }) => (note === '' ? [] : [{ type: 'JobBegun', data: { note } }]),
    evolve: (state) => state,
  },
};
