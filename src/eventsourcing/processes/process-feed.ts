import { z } from 'zod';
import type { SqlClient } from '../../platform/database.ts';
import type { CheckpointMove } from '../followers/checkpoints.ts';
import type { FollowerTask } from '../followers/follower-task.ts';
import { shortQueuedCommand } from '../log/append-format.ts';
import type { NewQueuedCommand } from '../log/append-unit.ts';
import { mustBeReadable, type RecordedEvent } from '../log/event.ts';
import { idCausedBy } from './effect-work.ts';
import { messageCommand } from './process-aggregate.ts';
import type { ProcessManager } from './process-manager.ts';

const FEED =
  'SELECT feed_process($1, $2::int, $3::uuid, $4::bigint, $5::bigint, $6::jsonb, $7::jsonb, $8::timestamptz) AS fed';
const fedRow = z.tuple([z.object({ fed: z.boolean() })]);

/**
 * Puts the events that a process takes into the queue, for its instances, in the order of the log. The checkpoint moves
 * with them, so each is queued once; the queue does the rest.
 */
export class ProcessFeed implements FollowerTask {
  readonly name: string;
  readonly version = 1;
  readonly #process: ProcessManager;
  readonly #client: SqlClient;
  readonly #onQueued: () => void;
  readonly #eventTypes: ReadonlySet<string>;

  /** @param onQueued called after something was queued */
  constructor(process: ProcessManager, client: SqlClient, onQueued: () => void) {
    this.name = `process:${process.name}`;
    this.#process = process;
    this.#client = client;
    this.#onQueued = onQueued;
    this.#eventTypes = new Set(process.eventTypes);
  }

  concerns({ type }: RecordedEvent): boolean {
    return this.#eventTypes.has(type);
  }

  /** @throws {UnreadableEvent} its instance cannot be told: it is parked by its stream, for a newer server to take it */
  laneOf(event: RecordedEvent): string {
    mustBeReadable(event);
    return this.#process.instanceOf(event) ?? '';
  }

  async handle(events: readonly RecordedEvent[], move: CheckpointMove): Promise<(() => void) | undefined> {
    for (const event of events) mustBeReadable(event);
    const commands = events.flatMap((event) => {
      const instanceId = this.#process.instanceOf(event);
      return instanceId === undefined ? [] : [shortQueuedCommand(this.#message(event, instanceId))];
    });
    const { name, version, owner, from, to, now } = move;
    const parking = move.parking === undefined ? null : JSON.stringify(move.parking);
    const answer = await this.#client.query(
      FEED,
      name,
      version,
      owner,
      from,
      to,
      parking,
      JSON.stringify(commands),
      now,
    );
    if (!fedRow.parse(answer)[0].fed) return undefined;
    return commands.length === 0 ? () => {} : this.#onQueued;
  }

  observe(): void {}

  forget(): void {}

  parked(): void {}

  /** What was fed stays fed: nothing is replaced. */
  async outdated(): Promise<void> {}

  replaced(): void {}

  #message({ eventId, position, correlationId }: RecordedEvent, instanceId: string): NewQueuedCommand {
    const { name } = this.#process;
    return {
      commandId: idCausedBy(name, eventId),
      name: messageCommand(name),
      aggregateType: name,
      aggregateId: instanceId,
      input: { instanceId, position },
      fingerprint: '',
      actor: { kind: 'PROCESS', id: name },
      correlationId,
      causationId: eventId,
    };
  }
}
