import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Actor } from '../src/eventsourcing/actor.ts';
import { type Aggregate, type CommandOf, defineCommand } from '../src/eventsourcing/commands/aggregate.ts';
import type { Decider } from '../src/eventsourcing/commands/decider.ts';
import { Engine } from '../src/eventsourcing/engine.ts';
import { defineEvent, type EventOf, type RecordedEvent } from '../src/eventsourcing/log/event.ts';
import type { ProcessEffect, ProcessManager, ProcessStepView } from '../src/eventsourcing/processes/process-manager.ts';
import { type Clock, systemClock } from '../src/platform/clock.ts';
import { type Database, type DatabaseSettings, openDatabase } from '../src/platform/database.ts';
import { randomIds } from '../src/platform/ids.ts';
import { createLogger } from '../src/platform/logger.ts';
import { migrate } from '../src/platform/migrations.ts';
import { item, itemAdded } from './engine.ts';
import { sampleEventData } from './references/sample-event.ts';

/** How long the log may stand still before something must have gone wrong. */
const PATIENCE_MS = 30_000;

const aggregateId = (data: { aggregateId: string }) => data.aggregateId;

/** The one command that all rows count. */
const addItem = defineCommand({
  name: 'AddItem',
  description: 'Adds an item.',
  audience: 'public',
  input: item.extend({ aggregateId: z.string() }),
  aggregateId,
});
const request = z.object({ dueAt: z.string().nullable() });
const workRequested = defineEvent({
  type: 'WorkRequested',
  schemaVersion: 1,
  description: 'A process is to add an item at once; or, if it is given a time, to take note of that time.',
  data: request,
});
const requestWork = defineCommand({
  name: 'RequestWork',
  description: 'Asks a process for work.',
  audience: 'public',
  input: request.extend({ aggregateId: z.string() }),
  aggregateId,
});

type WorkCommand = CommandOf<typeof addItem> | CommandOf<typeof requestWork>;
type WorkEvent = EventOf<typeof itemAdded> | EventOf<typeof workRequested>;

const decider: Decider<number, WorkCommand, WorkEvent> = {
  initialState: 0,
  decide({ type, data: { aggregateId: _, ...data } }) {
    return [{ type: type === 'AddItem' ? 'ItemAdded' : 'WorkRequested', data } as WorkEvent];
  },
  evolve: (count) => count + 1,
};
const aggregate: Aggregate<number, WorkCommand, WorkEvent, never> = {
  type: 'bench',
  decider,
  commands: [addItem, requestWork],
  events: [itemAdded, workRequested],
};

const workSent = defineEvent({
  type: 'WorkSent',
  schemaVersion: 1,
  description: 'An item is to be added.',
  data: z.object({}),
});
const workPutOff = defineEvent({
  type: 'WorkPutOff',
  schemaVersion: 1,
  description: 'There is something to do at a later time.',
  data: z.object({ dueAt: z.string() }),
});
const workWasDue = defineEvent({
  type: 'WorkWasDue',
  schemaVersion: 1,
  description: 'That time has come.',
  data: z.object({}),
});
type ProcessEvent = EventOf<typeof workSent> | EventOf<typeof workPutOff> | EventOf<typeof workWasDue>;

/** One instance for each aggregate. */
const workProcess: ProcessManager<null, z.output<typeof request>, ProcessEvent> = {
  name: 'bench-process',
  description: 'Answers a request for work.',
  events: [workSent, workPutOff, workWasDue],
  eventTypes: [workRequested.type],
  instanceOf: (event) => event.aggregateId,
  messageOf: (event: RecordedEvent) => request.parse(event.data),
  initialState: null,
  decide(input) {
    switch (input.kind) {
      case 'message': {
        const { dueAt } = input.message;
        return [dueAt === null ? { type: 'WorkSent', data: {} } : { type: 'WorkPutOff', data: { dueAt } }];
      }
      case 'timer':
        return [{ type: 'WorkWasDue', data: {} }];
      case 'refusal':
        return [];
      default:
        return input satisfies never;
    }
  },
  evolve: (state) => state,
  effectsOf(event, _state, { instanceId }): ProcessEffect[] {
    switch (event.type) {
      case 'WorkSent': {
        const command = { type: addItem.name, data: { aggregateId: instanceId, ...sampleEventData() } };
        return [{ kind: 'send', command }];
      }
      case 'WorkPutOff':
        return [{ kind: 'setTimer', timer: 'work', dueAt: new Date(event.data.dueAt) }];
      case 'WorkWasDue':
        return [];
      default:
        return event satisfies never;
    }
  },
  view(event): ProcessStepView {
    const isWaiting = event.type === 'WorkPutOff';
    return {
      step: 'work',
      stepStatus: isWaiting ? 'WAITING' : 'DONE',
      detail: null,
      status: isWaiting ? 'RUNNING' : 'COMPLETED',
    };
  },
};

/** The system's clock, which can be put forward: so what is due later becomes due at one instant, when all is ready. */
class ForwardClock implements Clock {
  #aheadMs = 0;

  now(): Date {
    return new Date(Date.now() + this.#aheadMs);
  }

  wakeAt(instant: Date, wake: () => void): () => void {
    return systemClock.wakeAt(new Date(instant.getTime() - this.#aheadMs), wake);
  }

  /** To this instant, or some milliseconds after it. */
  putForward(instant: Date): void {
    this.#aheadMs += Math.max(0, instant.getTime() - this.now().getTime());
  }
}

const actor: Actor = { kind: 'ADMIN', id: null };

/** The product's engine inside this process, with an aggregate and a process, without HTTP and without other read tables. */
export class WorkEngine {
  readonly #engine: Engine;
  readonly #database: Database;
  readonly #clock: ForwardClock;

  private constructor(engine: Engine, database: Database, clock: ForwardClock) {
    this.#engine = engine;
    this.#database = database;
    this.#clock = clock;
  }

  static async open(settings: DatabaseSettings): Promise<WorkEngine> {
    const database = await openDatabase(settings);
    await migrate(database);
    const clock = new ForwardClock();
    const engine = await Engine.start({
      database,
      masterKey: Buffer.alloc(32, 1),
      aggregates: [aggregate as Aggregate],
      projections: [],
      processes: [workProcess as ProcessManager],
      clock,
      ids: randomIds,
      logger: createLogger('error'),
    });
    return new WorkEngine(engine, database, clock);
  }

  /** The position of the log's last event. */
  get head(): number {
    return this.#engine.tail.head;
  }

  /** An instant that comes with `putForward`, and not before. */
  later(): Date {
    return new Date(this.#clock.now().getTime() + 24 * 3_600_000);
  }

  /** Makes everything due that is due by then. */
  putForward(instant: Date): void {
    this.#clock.putForward(instant);
    this.#engine.wake();
  }

  /** Adds an item now. */
  async addItem(id: string): Promise<void> {
    await this.#execute(addItem.name, { aggregateId: id, ...sampleEventData() });
  }

  /** Queues adding an item: as soon as may be, or for later. */
  async enqueueItem(id: string, dueAt?: Date): Promise<void> {
    const commandId = randomIds.ordered();
    const data = { aggregateId: id, ...sampleEventData() };
    const enqueued = { commandId, name: addItem.name, data, actor, correlationId: commandId };
    const { outcome } = await this.#engine.executor.enqueue(enqueued, { dueAt });
    if (outcome !== 'accepted') throw new Error(`The command was ${outcome}`);
  }

  /** Has the process add an item or, with a time, set a timer: in each case to a new aggregate. */
  async requestWork(dueAt?: Date): Promise<void> {
    await this.#execute(requestWork.name, { aggregateId: randomUUID(), dueAt: dueAt?.toISOString() ?? null });
  }

  /**
   * Resolves as soon as the log has come so far.
   * @param onEvents told of how many events there are more, whenever there are
   * @throws where the log stands still
   */
  reaches(position: number, onEvents: (count: number) => void = () => {}): Promise<void> {
    const { tail } = this.#engine;
    let seen = tail.head;
    if (seen >= position) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        unfollow();
      };
      const timer = setTimeout(() => {
        end();
        reject(new Error(`The log stands still: ${position - seen} events before the one that was waited for`));
      }, PATIENCE_MS);
      const unfollow = tail.follow(() => {
        onEvents(tail.head - seen);
        seen = tail.head;
        timer.refresh();
        if (seen < position) return;
        end();
        resolve();
      });
    });
  }

  /** Waits until everything that follows the log has come to its end: so nothing is left over for the next turn. */
  async settle(): Promise<void> {
    const { followers } = this.#engine;
    const reached = await Promise.all(followers.map((follower) => follower.reach(this.head, PATIENCE_MS)));
    if (!reached.every(Boolean)) throw new Error('A follower of the log did not reach its end');
  }

  /**
   * How commands that were run after a position turned out.
   * @param type of the event that each of them must have appended, exactly once
   */
  async tally(type: string, after: number): Promise<Tally> {
    const [row] = await this.#database.derived.query(TALLY, after, type);
    return row as Tally;
  }

  async close(): Promise<void> {
    await this.#engine.stop();
    await this.#database.close();
  }

  async #execute(name: string, data: object): Promise<void> {
    const commandId = randomIds.ordered();
    const { outcome } = await this.#engine.executor.execute({ commandId, name, data, actor, correlationId: commandId });
    if (outcome !== 'succeeded') throw new Error(`The command was ${outcome}`);
  }
}

export interface Tally {
  /** All, of whatever type. */
  appended: number;
  /** Of the type. */
  events: number;
  /** Commands of those events that have succeeded. */
  succeeded: number;
  /** What is in the queue still. */
  queued: number;
}

const TALLY = `
  SELECT count(*)::int AS appended,
         count(*) FILTER (WHERE event.type = $2)::int AS events,
         count(DISTINCT command_id) FILTER (WHERE event.type = $2 AND command.status = 'SUCCEEDED')::int AS succeeded,
         (SELECT count(*)::int FROM command_queue) AS queued
  FROM events AS event JOIN commands AS command USING (command_id) WHERE event.position > $1::bigint`;
