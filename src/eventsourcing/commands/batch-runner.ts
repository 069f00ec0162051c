import { LRUCache } from 'lru-cache';
import type { Clock } from '../../platform/clock.ts';
import { isDatabaseAway } from '../../platform/failures.ts';
import type { Ids } from '../../platform/ids.ts';
import { outcomeUnknown, retryWhileAway } from '../database-away.ts';
import type { AppendedUnit } from '../log/append-unit.ts';
import type { RecordedEvent } from '../log/event.ts';
import type { EventLog } from '../log/event-log.ts';
import type { LogTail } from '../log/log-tail.ts';
import type { AcceptedCommand } from './accepted-command.ts';
import type { Aggregate } from './aggregate.ts';
import type { BatchNeeds, KnownState, KnownStates } from './batch-needs.ts';
import { type CommandOutcome, Contended, NotRun } from './command.ts';
import { type CommandStore, replay, type StoredCommand } from './command-store.ts';
import { DecisionBatch, type StreamState, type Unit } from './decision-batch.ts';
import type { Rejection } from './rejection.ts';
import type { Snapshots } from './snapshots.ts';

const MAX_ATTEMPTS = 20;
/** A state weighs about as much as the events it was folded from. */
const CACHED_EVENTS = 400_000;
/** No state weighs more: however long its stream is, it is worth keeping. */
const MAX_WEIGHT = 50_000;
/** More than these are not listed in a version conflict. */
const MAX_EVENTS_SINCE = 500;

/** A command whose caller waits for its outcome. */
export interface RunningCommand extends AcceptedCommand {
  attempts: number;
  answered: boolean;
  /** An append of it was sent whose answer was lost: it may be stored by this very run. */
  lostAnswer: boolean;
  settle(outcome: CommandOutcome): void;
  fail(error: unknown): void;
}

export interface BatchParts {
  readonly log: EventLog;
  readonly commands: CommandStore;
  readonly tail: LogTail;
  readonly snapshots: Snapshots;
  readonly clock: Clock;
  readonly ids: Ids;
  /** Called after an append that did more than add events: it queued, finished or cancelled commands. */
  onWork(withRebuilds: boolean): void;
}

/** Takes batches of commands from what they are decided on to what became of them. */
export class BatchRunner {
  readonly #parts: BatchParts;
  readonly #aggregates: ReadonlyMap<string, Aggregate>;
  readonly #needs: BatchNeeds;
  /** States as this process last saw them. They may be outdated: the append finds out. */
  readonly #states = new LRUCache<string, KnownState>({
    maxSize: CACHED_EVENTS,
    sizeCalculation: ({ version }) => Math.min(version + 1, MAX_WEIGHT),
  });

  /** Rises when somebody is forgotten: what batches under way then have read is not kept. */
  #generation = 0;

  /** @param aggregates by the names of the commands that they take */
  constructor(parts: BatchParts, aggregates: ReadonlyMap<string, Aggregate>, needs: BatchNeeds) {
    this.#parts = parts;
    this.#aggregates = aggregates;
    this.#needs = needs;
  }

  /** Keeps no state that was read until now: somebody was forgotten, and may be in any of them. */
  forget(): void {
    this.#generation += 1;
    this.#states.clear();
  }

  /**
   * Runs commands together; those that break something run in ever smaller company, so that each fails for itself.
   * @returns those that lost to another writer, to be run again
   */
  async run(batch: readonly RunningCommand[]): Promise<RunningCommand[]> {
    try {
      return await this.#decideAndAppend(batch);
    } catch (error) {
      // Companions' too: what is taken from memory makes a refusal doubtful, and to be decided again.
      for (const { streamIds } of batch) for (const streamId of streamIds) this.#states.delete(streamId);
      const open = batch.filter(({ answered }) => !answered);
      if (open.length <= 1 || isDatabaseAway(error)) {
        for (const command of open) command.fail(isDatabaseAway(error) ? outcomeUnknown(error) : error);
        return [];
      }
      const half = Math.ceil(open.length / 2);
      const first = await this.run(open.slice(0, half));
      // What lost to another writer is run again later: those behind it, of the same stream, are not to overtake it.
      const held = new Set(first.flatMap(({ streamIds }) => streamIds));
      const second: RunningCommand[] = [];
      const behind: RunningCommand[] = [];
      for (const command of open.slice(half)) {
        const isHeld = command.streamIds.some((it) => held.has(it));
        (isHeld ? behind : second).push(command);
        if (isHeld) for (const streamId of command.streamIds) held.add(streamId);
      }
      return [...first, ...(second.length > 0 ? await this.run(second) : []), ...behind];
    }
  }

  async #decideAndAppend(batch: readonly RunningCommand[]): Promise<RunningCommand[]> {
    const { clock, ids } = this.#parts;
    const known = this.#knownStates();
    const [{ states, doubtful }, facts] = await Promise.all([
      retryWhileAway(() => this.#needs.states(batch, known)),
      retryWhileAway(() => this.#needs.facts(batch)),
    ]);
    const decisions = new DecisionBatch<RunningCommand>(states, this.#aggregates, facts, clock.now(), ids);
    for (const command of batch) {
      command.attempts += 1;
      decisions.decide(command);
    }
    const { units } = decisions;
    const appended = await this.#appendAndPublish(units);

    // What was decided on these was perhaps decided on what is no longer so.
    const uncertain = new Set(doubtful);
    const lost = units.filter((_, at) => appended[at]?.outcome !== 'appended');
    for (const { streamId } of lost.flatMap((unit) => unit.streams)) uncertain.add(streamId);
    for (const [at, unit] of units.entries()) {
      const result = appended[at];
      if (result?.outcome === 'appended') this.#settleAppended(unit, result.events, states, known);
    }
    const isCertain = ({ command }: { command: RunningCommand }) => !command.streamIds.some((it) => uncertain.has(it));
    const { unstored, failed } = decisions;
    for (const { command, error } of failed.filter(isCertain)) command.fail(error);
    await this.#settleUnstored(unstored.filter(isCertain));

    const lostCommands = [
      ...lost.flatMap((unit) => unit.decided),
      ...[...unstored, ...failed].filter((it) => !isCertain(it)),
    ];
    const again = new Set(lostCommands.map(({ command }) => command));
    for (const { streamIds } of again) for (const streamId of streamIds) this.#markOutdated(streamId);
    for (const [at, unit] of units.entries()) if (appended[at]?.outcome === 'unclaimed') failUnclaimed(unit);
    // In the order in which they came: those of one stream stay in line.
    return this.#toRunAgain(batch.filter((command) => again.has(command) && !command.answered));
  }

  /** The states, for one batch. */
  #knownStates(): KnownStates {
    const generation = this.#generation;
    return {
      get: (streamId) => this.#states.get(streamId),
      set: (streamId, state) => {
        if (generation === this.#generation) this.#states.set(streamId, state);
      },
    };
  }

  #markOutdated(streamId: string): void {
    const known = this.#states.get(streamId);
    if (known !== undefined) this.#states.set(streamId, { ...known, isOutdated: true });
  }

  async #appendAndPublish(units: readonly Unit<RunningCommand>[]): Promise<AppendedUnit[]> {
    if (units.length === 0) return [];
    let appended: AppendedUnit[] = [];
    const publish = this.#parts.tail.beginAppend();
    try {
      appended = await this.#append(units);
      return appended;
    } finally {
      publish(appended.flatMap((unit) => (unit.outcome === 'appended' ? unit.events : [])));
      if (units.some(({ work }) => work !== undefined))
        this.#parts.onWork(units.some(({ work }) => work !== undefined && work.rebuilds.length > 0));
    }
  }

  #settleAppended(
    unit: Unit<RunningCommand>,
    events: readonly RecordedEvent[],
    states: ReadonlyMap<string, StreamState>,
    known: KnownStates,
  ): void {
    for (const { streamId, aggregateType } of unit.streams) {
      const state = states.get(streamId);
      if (state === undefined) continue;
      known.set(streamId, state);
      this.#parts.snapshots.offer(aggregateType, streamId, state, events);
    }
    let end = 0;
    for (const { command, rejection, version, eventCount } of unit.decided) {
      end += eventCount;
      const position = eventCount === 0 ? null : (events[end - 1]?.position ?? null);
      const { commandId, correlationId } = command.request;
      const receipt = { commandId, correlationId, version, position, replayed: false };
      const { aggregateId } = command;
      if (rejection !== undefined) {
        command.settle({ outcome: 'rejected', rejection, receipt: { ...receipt, status: 'REJECTED' } });
      } else if (command.definition.concludedByProcess === true && eventCount > 0) {
        command.settle({ outcome: 'accepted', aggregateId, receipt: { ...receipt, status: 'RUNNING' } });
      } else {
        command.settle({ outcome: 'succeeded', aggregateId, receipt: { ...receipt, status: 'SUCCEEDED' } });
      }
    }
  }

  /** Rejections that are not stored: the same command may have been stored before, and then that is the answer. */
  async #settleUnstored(unstored: readonly { command: RunningCommand; rejection: Rejection }[]): Promise<void> {
    if (unstored.length === 0) return;
    const stored = await this.#parts.commands.find(unstored.map(({ command }) => command.request.commandId));
    // Many that lost the same race are told the same events: read once, for the next batch waits for this one.
    const sinceOf = new Map<string, Promise<RecordedEvent[]>>();
    for (const { command, rejection } of unstored) {
      const { request, fingerprint, streamId } = command;
      const known = stored.get(request.commandId);
      if (known !== undefined) {
        command.settle(replay(known, fingerprint));
      } else if (rejection.code === 'VERSION_CONFLICT') {
        const from = `${request.expectedVersion} ${streamId}`;
        const since =
          sinceOf.get(from) ?? this.#parts.log.readStreams([streamId], request.expectedVersion, MAX_EVENTS_SINCE);
        sinceOf.set(from, since);
        command.settle({ outcome: 'rejected', rejection, eventsSince: await since });
      } else {
        command.settle({ outcome: 'rejected', rejection });
      }
    }
  }

  /** Commands that lost to another writer are decided again; those that are stored already are answered. */
  async #toRunAgain(commands: readonly RunningCommand[]): Promise<RunningCommand[]> {
    if (commands.length === 0) return [];
    const stored = await this.#parts.commands.find(commands.map(({ request }) => request.commandId));
    const again: RunningCommand[] = [];
    for (const command of commands) {
      const known = outcomeOf(command, stored);
      if (known !== undefined) command.settle(replay(known, command.fingerprint, isOwn(command, known)));
      else if (command.attempts >= MAX_ATTEMPTS) {
        for (const streamId of command.streamIds) this.#states.delete(streamId);
        command.fail(new Contended('Others were first too often: send it again.'));
      } else again.push(command);
    }
    return again;
  }

  /** Appends; after a lost connection only what a look at the stored commandIds shows to be missing. */
  async #append(units: readonly Unit<RunningCommand>[]): Promise<AppendedUnit[]> {
    const { log, clock } = this.#parts;
    try {
      return await log.append(units, clock.now());
    } catch (error) {
      if (!isDatabaseAway(error)) throw error;
    }
    for (const { command } of units.flatMap((unit) => unit.decided)) command.lostAnswer = true;
    // Whether the append was committed is unknown. The stored ids tell, and what is missing may be sent again, for an
    // id that an append still under way brings in meanwhile is refused, not doubled.
    return retryWhileAway(async () => {
      const ids = units.flatMap((unit) => unit.commands.map(({ commandId }) => commandId));
      const stored = await this.#parts.commands.find(ids);
      for (const { command } of units.flatMap((unit) => unit.decided)) {
        const known = outcomeOf(command, stored);
        if (known !== undefined) command.settle(replay(known, command.fingerprint, isOwn(command, known)));
      }
      await this.#parts.tail.refresh();
      return log.append(units, clock.now());
    });
  }
}

/** Whether it was this very run of the command that stored it, and not another with the same id. */
function isOwn({ submittedAt, lostAnswer }: RunningCommand, stored: StoredCommand): boolean {
  return lostAnswer && stored.submittedAt.getTime() === submittedAt.getTime();
}

/** What is stored of a command as its outcome: one from the queue is there before it has one. */
function outcomeOf(
  { request, queued }: RunningCommand,
  stored: ReadonlyMap<string, StoredCommand>,
): StoredCommand | undefined {
  const known = stored.get(request.commandId);
  return queued !== undefined && known?.status === 'QUEUED' ? undefined : known;
}

/** Which of the unit's claims is gone is not told: those that still hold are given back, and made again. */
function failUnclaimed(unit: Unit<RunningCommand>): void {
  for (const { command } of unit.decided) {
    if (command.queued !== undefined) command.fail(new NotRun('It is not claimed any more.'));
  }
}
