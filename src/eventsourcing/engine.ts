import { ArchiveLists } from './archive/archive-lists.ts';
import { Archiver } from './archive/archiver.ts';
import { forgottenIn } from './backup/forgotten-list.ts';
import { StoreState } from './backup/store-state.ts';
import { CommandExecutor } from './commands/command-executor.ts';
import { CommandQueue } from './commands/command-queue.ts';
import { CommandRecords } from './commands/command-records.ts';
import { CommandStore } from './commands/command-store.ts';
import { CommandWatch } from './commands/command-watch.ts';
import { factSources } from './commands/fact-sources.ts';
import { Performers } from './commands/performer.ts';
import { COMMAND_RETRIES } from './commands/retry-policy.ts';
import { Scheduler } from './commands/scheduler.ts';
import { Snapshots } from './commands/snapshots.ts';
import { StreamStates } from './commands/stream-states.ts';
import type { EngineSettings } from './engine-settings.ts';
import { DeadLetters } from './followers/dead-letters.ts';
import { EVENT_RETRIES, LogFollower } from './followers/log-follower.ts';
import { StreamHistory } from './history/stream-history.ts';
import { TimeTravel } from './history/time-travel.ts';
import { KeyRing } from './keys/key-ring.ts';
import { View } from './live/view.ts';
import { StorageCodec } from './log/codec.ts';
import { EventHistory } from './log/event-history.ts';
import { EventLog } from './log/event-log.ts';
import { LogTail } from './log/log-tail.ts';
import { News } from './log/news.ts';
import { Positions } from './log/position.ts';
import { StoredEvents } from './log/stored-events.ts';
import { Node } from './node.ts';
import { processAggregate } from './processes/process-aggregate.ts';
import { ProcessFeed } from './processes/process-feed.ts';
import { createProcessProjection } from './processes/process-view.ts';
import type { ProjectedRow, Projection } from './projections/projection.ts';
import { ProjectionStates } from './projections/projection-states.ts';
import { ProjectionWatch } from './projections/projection-watch.ts';
import { RebuildStore } from './projections/rebuild-store.ts';
import { Rebuilder } from './projections/rebuilder.ts';
import { KnownCheckpoint } from './seals/known-checkpoint.ts';
import { LogVerifier } from './seals/log-verifier.ts';
import { SealKeys } from './seals/seal-keys.ts';
import { SealStore } from './seals/seal-store.ts';
import { Sealer } from './seals/sealer.ts';

const LEASE_SECONDS = 4;

/** The event-sourcing engine, running: commands in, events in the log, read tables and live rows out. */
export class Engine {
  readonly log: EventLog;
  readonly history: EventHistory;
  /** For look-ups by something personal: `keyedHash`. */
  readonly codec: StorageCodec;
  readonly commands: CommandStore;
  readonly commandRecords: CommandRecords;
  readonly deadLetters: DeadLetters;
  readonly commandWatch: CommandWatch;
  /** How projections stand, and their rebuilds. */
  readonly projections: ProjectionStates;
  readonly projectionWatch: ProjectionWatch;
  readonly executor: CommandExecutor;
  readonly positions: Positions;
  readonly tail: LogTail;
  readonly timeTravel: TimeTravel;
  /** The store as a whole: whether it is paused, and copies of it. */
  readonly store: StoreState;
  /** Seals the log, so that a change of it is found. */
  readonly sealer: Sealer;
  readonly verifier: LogVerifier;
  readonly archiver: Archiver;
  readonly #views: ReadonlyMap<string, View<ProjectedRow>>;
  readonly #feeds: readonly LogFollower[];
  readonly #node: Node;
  readonly #scheduler: Scheduler;
  readonly #snapshots: Snapshots;
  readonly #rebuilder: Rebuilder;
  readonly #news: News;

  /**
   * Starts over a migrated database: projections and processes go on from their checkpoints.
   * @throws {WrongMasterKey}
   */
  static async start(settings: EngineSettings): Promise<Engine> {
    const { processes = [] } = settings;
    const definitions = [...settings.aggregates, ...processes].flatMap((it) => it.events);
    const keys = await KeyRing.open({
      client: settings.database.log,
      masterKey: settings.masterKey,
      otherMasterKeys: settings.otherMasterKeys ?? [],
      logger: settings.logger,
    });
    const codec = new StorageCodec(keys);
    const log = new EventLog(settings.database.log, codec, definitions);
    const engine = new Engine(settings, codec, log, await log.head(), keys.masterKeyIds);
    settings.forgottenList?.add(await forgottenIn(settings.database.log));
    await engine.#node.start();
    engine.#scheduler.start();
    engine.#rebuilder.start();
    engine.#news.start();
    if (settings.isSealing !== false) engine.sealer.start();
    return engine;
  }

  private constructor(
    settings: EngineSettings,
    codec: StorageCodec,
    log: EventLog,
    head: { epoch: string; position: number },
    masterKeyIds: readonly string[],
  ) {
    const { database, clock, ids, logger, processes = [] } = settings;
    // An embedded store belongs to this process alone.
    const isAlone = database.engine === 'pglite';
    this.log = log;
    this.codec = codec;
    this.commands = new CommandStore(database.log);
    this.commandRecords = new CommandRecords(database.derived, codec);
    this.deadLetters = new DeadLetters(database.derived, codec);
    this.commandWatch = new CommandWatch(this.commandRecords);
    this.positions = new Positions(head.epoch);
    this.tail = new LogTail(log, head.position, (subjects) => {
      this.#forget(subjects);
      settings.forgottenList?.add(subjects.map((subject) => ({ subject, at: clock.now() })));
    });
    this.store = new StoreState(database, () => this.#news.hear('queue'));
    const onLost = () => this.#node.refresh();
    const following = {
      log,
      tail: this.tail,
      clock,
      ids,
      logger,
      onLost,
      retries: settings.eventRetries ?? EVENT_RETRIES,
    };
    const projections = [
      ...settings.projections,
      ...(processes.length > 0 ? [createProcessProjection(processes)] : []),
    ];
    this.#views = new Map(
      projections.map((projection) => [
        projection.table.name,
        new View<ProjectedRow>({ ...following, projection: projection as Projection, database, codec }),
      ]),
    );
    const rebuilds = new RebuildStore(database.derived);
    this.projections = new ProjectionStates(
      database.derived,
      this.tail,
      rebuilds,
      new Map(this.views.map(({ projection, follower }) => [projection.name, follower])),
    );
    this.projectionWatch = new ProjectionWatch(this.projections);
    this.#rebuilder = new Rebuilder({
      store: rebuilds,
      projections: this.views,
      node: () => this.#node.id,
      clock,
      logger,
    });
    const onWork = (withRebuilds = false) => {
      this.#news.hear('work');
      if (withRebuilds) this.#news.hear('rebuild');
    };
    this.#feeds = processes.map((process) => {
      const task = new ProcessFeed(process, database.derived, () => this.#news.hear('queue'));
      return new LogFollower({ ...following, task, client: database.derived });
    });
    const queue = new CommandQueue(database.log, codec, clock, () => this.#news.hear('queue'));
    const aggregates = [...settings.aggregates, ...processes.map(processAggregate)];
    this.archiver = new Archiver({ database, aggregates, clock });
    this.timeTravel = new TimeTravel(log, new StreamHistory(database.log, log), aggregates);
    this.#snapshots = new Snapshots({ client: database.log, codec, aggregates, logger });
    const states = new StreamStates(log, this.#snapshots);
    const performers = new Performers(aggregates, {
      performers: settings.performers ?? new Map(),
      states,
      commandRecords: this.commandRecords,
      clock,
    });
    const aggregateTypes = new Set(aggregates.map(({ type }) => type));
    this.history = new EventHistory({ client: database.derived, log, aggregateTypes });
    this.executor = new CommandExecutor({
      aggregates,
      log,
      commands: this.commands,
      tail: this.tail,
      snapshots: this.#snapshots,
      states,
      facts: factSources(aggregates, this, (table) => {
        const view = this.#views.get(table);
        return view && ((keys) => view.facts(keys, isAlone));
      }),
      codec,
      queue,
      performers,
      clock,
      ids,
      onWork,
      batchesAtOnce: isAlone ? 1 : 2,
    });
    this.#node = new Node({
      client: database.derived,
      ids,
      logger,
      followers: this.followers,
      isAlone,
      epoch: head.epoch,
      onReplaced: () => {
        logger.fatal({ epoch: head.epoch }, 'the store was restored or exchanged: this process must be started anew');
        settings.onReplaced?.();
      },
      masterKeyIds,
      leaseSeconds: settings.leaseSeconds ?? LEASE_SECONDS,
    });
    this.#scheduler = new Scheduler({
      queue,
      executor: this.executor,
      clock,
      ids,
      logger,
      retries: settings.commandRetries ?? COMMAND_RETRIES,
      workers: settings.workers ?? (isAlone ? 1 : 2),
      node: () => this.#node.id,
    });
    const sealing = {
      store: new SealStore(database.derived),
      events: new StoredEvents(database.derived),
      keys: new SealKeys(settings.masterKey, settings.otherMasterKeys),
    };
    this.verifier = new LogVerifier({ ...sealing, lists: new ArchiveLists(database.derived) });
    const known = new KnownCheckpoint(settings.checkpointPlace, logger);
    this.sealer = new Sealer({ ...sealing, known, tail: this.tail, clock, logger });
    this.#news = new News({
      database,
      tail: this.tail,
      node: this.#node,
      scheduler: this.#scheduler,
      commandWatch: this.commandWatch,
      followers: this.followers,
      onRebuild: () => {
        this.#rebuilder.wake();
        this.projectionWatch.wake();
      },
    });
  }

  get views(): readonly View<ProjectedRow>[] {
    return [...this.#views.values()];
  }

  /** All that follows the log: projections, and the feeds of processes. */
  get followers(): readonly LogFollower[] {
    return [...this.views.map((view) => view.follower), ...this.#feeds];
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
    const reached = await Promise.all(concerned.map((view) => view.follower.reach(position, timeoutMs)));
    return reached.every(Boolean);
  }

  /** Nothing of these subjects stays in memory: they are forgotten, by this process or another. */
  #forget(subjects: readonly string[]): void {
    this.codec.forget(subjects);
    this.executor.forget();
    for (const { projector } of this.views) projector.forgetPersons();
    for (const view of this.views) view.forgetRebuilt();
  }

  /** The scheduler looks whether something is due now: for clocks that are moved by hand. */
  wake(): void {
    this.#scheduler.wake();
  }

  /** Finishes what is under way, gives back what is this process's alone to do, and stops. */
  async stop(): Promise<void> {
    await this.#scheduler.stop();
    await this.executor.drain();
    await this.sealer.stop();
    await this.#snapshots.stop();
    await this.#news.stop();
    await this.#rebuilder.stop();
    await Promise.all(this.followers.map((follower) => follower.stop()));
    await this.#node.stop().catch(() => {});
  }
}
