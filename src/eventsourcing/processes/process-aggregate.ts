import { z } from 'zod';
import { type Aggregate, type CommandDefinition, defineCommand, type FactLoader } from '../commands/aggregate.ts';
import type { AnyCommand, AnyEvent, DecisionContext } from '../commands/decider.ts';
import { storedRejection } from '../commands/rejection.ts';
import { mustBeReadable, type RecordedEvent } from '../log/event.ts';
import { refusalCommand, timerCommand } from './effect-work.ts';
import type { ProcessContext, ProcessInput, ProcessManager } from './process-manager.ts';

const instanceId = z.string();
const messageInput = z.object({ instanceId, position: z.number() });
const timerInput = z.object({ instanceId, timer: z.string(), dueAt: z.string() });
const refusalInput = z.object({
  instanceId,
  commandId: z.string(),
  name: z.string(),
  status: z.enum(['REJECTED', 'TIMED_OUT', 'CANCELLED', 'DROPPED']),
  rejection: storedRejection.nullable(),
});

/** The command that an event of the log becomes, for the process that takes its message. */
export function messageCommand(processName: string): string {
  return `${processName}.message`;
}

/**
 * A process manager as the aggregate that it is: its inputs are commands of its own, which the queue keeps in order for
 * each instance, runs once in effect, tries again, and parks, like all others.
 */
export function processAggregate(process: ProcessManager): Aggregate {
  const { name } = process;
  const ofInstance = { audience: 'service', aggregateId: (data: { instanceId: string }) => data.instanceId } as const;
  // What changes all the time is looked at only now.
  const newest = (data: { instanceId: string }) =>
    process.latest === undefined ? [] : [newestKey(process.latest.streamOf(data.instanceId))];
  const commands: readonly CommandDefinition[] = [
    defineCommand({
      ...ofInstance,
      name: messageCommand(name),
      description: `Takes a message: ${process.description}`,
      input: messageInput,
      facts: (data) => [positionKey(data.position)],
    }),
    defineCommand({
      ...ofInstance,
      name: timerCommand(name),
      description: `Takes note that a timer is due: ${process.description}`,
      input: timerInput,
      facts: newest,
    }),
    defineCommand({
      ...ofInstance,
      name: refusalCommand(name),
      description: `Takes note that a command which it sent changed nothing: ${process.description}`,
      input: refusalInput,
      facts: newest,
    }),
  ];
  return {
    type: name,
    commands,
    events: process.events,
    ...(process.endsWith === undefined ? {} : { endsWith: process.endsWith }),
    facts: eventFacts(process.latest?.eventTypes ?? []),
    decider: {
      initialState: process.initialState,
      decide: (command, state, context) => decide(process, command, state, context as DecisionContext<RecordedEvent>),
      evolve: (state, event) => process.evolve(state, event),
    },
    effectsOf: (event, state, { aggregateId, now }) =>
      process.effectsOf(event, state, { instanceId: aggregateId, now }),
  };
}

function decide(
  process: ProcessManager,
  { type, data }: AnyCommand,
  state: unknown,
  { now, facts }: DecisionContext<RecordedEvent>,
): AnyEvent[] {
  if (type === messageCommand(process.name)) {
    const { instanceId, position } = messageInput.parse(data);
    const event = facts.get(positionKey(position));
    if (event === undefined) throw new Error(`There is no event at position ${position}.`);
    mustBeReadable(event);
    const input = { kind: 'message', message: process.messageOf(event), at: event.recordedAt } as const;
    return [...process.decide(input, state, { instanceId, now })];
  }
  const input = type === timerCommand(process.name) ? timerOf(data) : refusalOf(data);
  const context = { instanceId: z.object({ instanceId }).parse(data).instanceId, now };
  const before = decideLatest(process, state, context, facts);
  const current = before.reduce<unknown>((it, event) => process.evolve(it, event), state);
  return [...before, ...process.decide(input, current, context)];
}

function decideLatest(
  process: ProcessManager,
  state: unknown,
  context: ProcessContext,
  facts: ReadonlyMap<string, RecordedEvent>,
): readonly AnyEvent[] {
  const { latest } = process;
  const event = latest === undefined ? undefined : facts.get(newestKey(latest.streamOf(context.instanceId)));
  if (latest === undefined || event === undefined) return [];
  mustBeReadable(event);
  return process.decide({ kind: 'message', message: latest.messageOf(event), at: event.recordedAt }, state, context);
}

function timerOf(data: unknown): ProcessInput<unknown> {
  const { timer, dueAt } = timerInput.parse(data);
  return { kind: 'timer', timer, dueAt: new Date(dueAt) };
}

function refusalOf(data: unknown): ProcessInput<unknown> {
  const { instanceId: _, ...refusal } = refusalInput.parse(data);
  return { kind: 'refusal', refusal };
}

const positionKey = (position: number) => `at ${position}`;
const newestKey = (streamId: string) => `newest of ${streamId}`;

/** Events by their position, or the newest of a stream that is of some types. */
function eventFacts(latestTypes: readonly string[]): FactLoader<RecordedEvent> {
  return {
    async load({ log, tail }, keys) {
      const positions = keys.flatMap((key) => (key.startsWith('at ') ? [Number(key.slice(3))] : []));
      const streams = keys.flatMap((key) => (key.startsWith('newest of ') ? [key.slice(10)] : []));
      const [at, newest] = await Promise.all([tail.readAt(positions), log.readNewest(streams, latestTypes)]);
      return new Map([
        ...at.map((event) => [positionKey(event.position), event] as const),
        ...newest.map((event) => [newestKey(event.streamId), event] as const),
      ]);
    },
  };
}
