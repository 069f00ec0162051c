import { v5 } from 'uuid';
import type { Aggregate, CommandDefinition } from '../commands/aggregate.ts';
import { type CommandRequest, fingerprintOf } from '../commands/command.ts';
import type { Json } from '../json.ts';
import type { NewQueuedCommand, UnitWork } from '../log/append-unit.ts';
import { streamIdOf } from '../log/stream-id.ts';
import { followerOf } from '../projections/projection.ts';
import type { Effect } from './effect.ts';
import type { ProcessEffect } from './process-manager.ts';

/** Ids derived from what caused something are made in this namespace. */
const CAUSED_BY = '5c8c2c5e-6a0d-4d0f-9f5c-0c1f5a1f4e11';

/**
 * The same id for the same cause, so that what is done again changes nothing. A UUID of version 8, which clients may not
 * choose: whoever could foresee it and took it first would have the other command never sent.
 */
export function idCausedBy(...cause: readonly (string | number)[]): string {
  const id = v5(cause.join(' '), CAUSED_BY);
  return `${id.slice(0, 14)}8${id.slice(15)}`;
}

/** The command that a timer of a process becomes, when it is due. */
export function timerCommand(processName: string): string {
  return `${processName}.timer`;
}

/** The command that tells a process that one which it sent changed nothing. */
export function refusalCommand(processName: string): string {
  return `${processName}.refusal`;
}

/** The lane of a command, where it is not that of its stream. */
export function laneOf({ performed }: CommandDefinition, streamId: string, commandId: string): string | undefined {
  return performed === true ? `${streamId}/${commandId}` : undefined;
}

interface Source {
  readonly aggregate: Aggregate;
  readonly aggregateId: string;
}

/** The effects of a unit's events, gathered into what is written beside them. */
export class WorkDraft {
  readonly #aggregates: ReadonlyMap<string, Aggregate>;
  readonly #work = {
    claims: [] as { id: string; node: string }[],
    cancelledTimers: [] as { lane: string; timer: string }[],
    queue: [] as NewQueuedCommand[],
    concluded: [] as { id: string; rejection: UnitWork['concluded'][number]['rejection'] }[],
    cancelledCommands: [] as string[],
    forgotten: [] as string[],
    retried: [] as string[],
    dropped: [] as { id: string; reason: string }[],
    rebuilds: [] as UnitWork['rebuilds'][number][],
  } satisfies UnitWork;

  /** @param aggregates by the names of the commands that they take */
  constructor(aggregates: ReadonlyMap<string, Aggregate>) {
    this.#aggregates = aggregates;
  }

  /** What is to be done; undefined for nothing. */
  get work(): UnitWork | undefined {
    return Object.values(this.#work).some((items) => items.length > 0) ? this.#work : undefined;
  }

  claim(id: string, node: string): void {
    this.#work.claims.push({ id, node });
  }

  /** Takes what comes after this. */
  join(later: WorkDraft): void {
    for (const { lane, timer } of later.#work.cancelledTimers) this.#cancelTimer(lane, timer);
    this.#work.claims.push(...later.#work.claims);
    this.#work.queue.push(...later.#work.queue);
    this.#work.concluded.push(...later.#work.concluded);
    this.#work.cancelledCommands.push(...later.#work.cancelledCommands);
    this.#work.forgotten.push(...later.#work.forgotten);
    this.#work.retried.push(...later.#work.retried);
    this.#work.dropped.push(...later.#work.dropped);
    this.#work.rebuilds.push(...later.#work.rebuilds);
  }

  /**
   * @param cause the command that was decided
   * @throws where a process sends a command that there is not, or with an input that its schema refuses
   */
  add(effects: readonly Effect[], { request: cause }: { readonly request: CommandRequest }, source: Source): void {
    for (const [at, effect] of effects.entries()) {
      // Events of companions are of another stream: their effects need ids of their own.
      const id = idCausedBy(cause.commandId, streamIdOf(source.aggregate.type, source.aggregateId), at);
      this.#addOne(effect, id, cause, source);
    }
  }

  #addOne(effect: Effect, id: string, cause: CommandRequest, source: Source): void {
    const { aggregate, aggregateId } = source;
    const lane = streamIdOf(aggregate.type, aggregateId);
    switch (effect.kind) {
      case 'send':
        this.#work.queue.push(this.#sent(effect, id, cause, source));
        return;
      case 'setTimer':
        this.#cancelTimer(lane, effect.timer);
        this.#work.queue.push(timer(effect, id, cause, source));
        return;
      case 'cancelTimer':
        this.#cancelTimer(lane, effect.timer);
        return;
      case 'conclude':
        this.#work.concluded.push({ id: effect.commandId, rejection: effect.rejection });
        return;
      case 'cancelCommand':
        this.#work.cancelledCommands.push(effect.commandId);
        return;
      case 'forgetSubject':
        this.#work.forgotten.push(effect.subject);
        return;
      case 'retryDeadLetters':
        this.#work.retried.push(...effect.ids);
        return;
      case 'dropDeadLetter':
        this.#work.dropped.push({ id: effect.id, reason: effect.reason });
        return;
      case 'beginRebuild':
      case 'cancelRebuild':
        this.#work.rebuilds.push({
          name: followerOf(effect.projection),
          run: effect.run,
          begin: effect.kind === 'beginRebuild',
        });
        return;
      default:
        effect satisfies never;
    }
  }

  #sent(
    { command: { type, data }, expectedVersion }: Extract<ProcessEffect, { kind: 'send' }>,
    commandId: string,
    cause: CommandRequest,
    { aggregate: { type: issuer }, aggregateId: issuerId }: Source,
  ): NewQueuedCommand {
    const target = this.#aggregates.get(type);
    const definition = target?.commands.find((it) => it.name === type);
    if (target === undefined || definition === undefined) throw new Error(`No aggregate takes the command ${type}.`);
    const input = definition.input.parse(data);
    const aggregateId = definition.aggregateId(input);
    const isOfProcess = this.#aggregates.has(refusalCommand(issuer));
    const actor = { kind: isOfProcess ? 'PROCESS' : 'SERVICE', id: issuer } as const;
    return {
      commandId,
      name: type,
      aggregateType: target.type,
      aggregateId,
      input: input as Json,
      fingerprint: fingerprintOf({ commandId, name: type, data: input, actor, correlationId: cause.correlationId }),
      actor,
      expectedVersion,
      correlationId: cause.correlationId,
      causationId: cause.commandId,
      lane: laneOf(definition, streamIdOf(target.type, aggregateId), commandId),
      // A refusal goes to whoever takes one: a process.
      issuer: isOfProcess ? { type: issuer, id: issuerId } : undefined,
    };
  }

  /** Whether it is set already, or only by an event of the same unit. */
  #cancelTimer(lane: string, name: string): void {
    this.#work.cancelledTimers.push({ lane, timer: name });
    this.#work.queue = this.#work.queue.filter(
      (it) => it.timer !== name || streamIdOf(it.aggregateType, it.aggregateId) !== lane,
    );
  }
}

function timer(
  { timer: name, dueAt }: Extract<ProcessEffect, { kind: 'setTimer' }>,
  commandId: string,
  cause: CommandRequest,
  { aggregate: { type }, aggregateId }: Source,
): NewQueuedCommand {
  return {
    commandId,
    name: timerCommand(type),
    aggregateType: type,
    aggregateId,
    input: { instanceId: aggregateId, timer: name, dueAt: dueAt.toISOString() },
    fingerprint: '',
    actor: { kind: 'PROCESS', id: type },
    dueAt,
    timer: name,
    correlationId: cause.correlationId,
    causationId: cause.commandId,
  };
}
