import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../platform/clock.ts';
import type { Database } from '../platform/database.ts';
import type { Ids } from '../platform/ids.ts';
import type { Logger } from '../platform/logger.ts';
import type { Aggregate } from './aggregate.ts';
import { StorageCodec } from './codec.ts';
import { CommandExecutor } from './command-executor.ts';
import { CommandStore } from './command-store.ts';
import { EventLog } from './event-log.ts';
import { LogTail } from './log-tail.ts';
import { Positions } from './position.ts';
import type { ProjectedRow, Projection } from './projection.ts';
import { View } from './view.ts';

/** How often a server looks for what other processes appended. An embedded store has no other processes. */
const POLL_MS = 200;

export interface EngineSettings {
  readonly database: Database;
  readonly aggregates: readonly Aggregate[];
  readonly projections: readonly Projection[];
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
}

/** The event-sourcing engine, running: commands in, events in the log, read tables and live rows out. */
export class Engine {
  readonly log: EventLog;
  readonly commands: CommandStore;
  readonly executor: CommandExecutor;
  readonly positions: Positions;
  readonly tail: LogTail;
  readonly #views: ReadonlyMap<string, View<ProjectedRow>>;
  readonly #stopped = new AbortController();
  #polling: Promise<void> = Promise.resolve();

  /** Starts over a migrated database: projections go on from their checkpoints. */
  static async start(settings: EngineSettings): Promise<Engine> {
    const log = new EventLog(
      settings.database.log,
      new StorageCodec(),
      settings.aggregates.flatMap((it) => it.events),
    );
    const engine = new Engine(settings, log, await log.head());
    await Promise.all([...engine.#views.values()].map((view) => view.start()));
    if (settings.database.engine === 'postgresql') engine.#polling = engine.#poll();
    return engine;
  }

  private constructor(settings: EngineSettings, log: EventLog, head: { epoch: string; position: number }) {
    const { database, aggregates, clock, ids, logger } = settings;
    const codec = new StorageCodec();
    this.log = log;
    this.commands = new CommandStore(database.log);
    this.positions = new Positions(head.epoch);
    this.tail = new LogTail(log, head.position);
    const { tail } = this;
    this.#views = new Map(
      settings.projections.map((projection) => [
        projection.table.name,
        new View<ProjectedRow>({ projection, database, log, tail, codec, logger }),
      ]),
    );
    // An embedded store belongs to this process alone.
    const isAlone = database.engine === 'pglite';
    const facts = new Map(
      aggregates.flatMap((aggregate) => {
        const view = aggregate.facts === undefined ? undefined : this.#views.get(aggregate.facts.name);
        return view === undefined ? [] : [[aggregate, (keys: readonly string[]) => view.facts(keys, isAlone)] as const];
      }),
    );
    this.executor = new CommandExecutor({
      aggregates,
      log,
      commands: this.commands,
      tail,
      facts,
      codec,
      clock,
      ids,
      batchesAtOnce: isAlone ? 1 : 2,
    });
  }

  get views(): readonly View<ProjectedRow>[] {
    return [...this.#views.values()];
  }

  /** The view of a projection that was given at the start. */
  view<Row extends ProjectedRow>(projection: Projection<Row>): View<Row> {
    const view = this.#views.get(projection.table.name);
    if (view === undefined || !view.isOf(projection))
      throw new Error(`The projection ${projection.name} is not running.`);
    return view;
  }

  /**
   * Waits until every read table that these events may change has reached a position: then whoever is told of the
   * outcome finds it everywhere, also in the copies that other contexts decide from.
   */
  async reachAll(eventTypes: readonly string[], position: number, timeoutMs: number): Promise<boolean> {
    const concerned = this.views.filter((view) => eventTypes.some((type) => view.projector.consumes(type)));
    const reached = await Promise.all(concerned.map((view) => view.projector.reach(position, timeoutMs)));
    return reached.every(Boolean);
  }

  /** Answers what was taken, writes checkpoints, and stops. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.executor.drain();
    await Promise.all([this.#polling, ...this.views.map((view) => view.stop())]);
  }

  async #poll(): Promise<void> {
    const { signal } = this.#stopped;
    let wasAway = false;
    while (!signal.aborted) {
      await delay(POLL_MS, undefined, { signal }).catch(() => {});
      try {
        await this.tail.refresh();
        if (wasAway) for (const { projector } of this.views) projector.recheck();
        wasAway = false;
      } catch {
        // The next look is soon; whoever needs the database now is told by their own statement.
        wasAway = true;
      }
    }
  }
}
