import type { FollowerTask } from '../../src/eventsourcing/followers/follower-task.ts';
import { EVENT_RETRIES, LogFollower } from '../../src/eventsourcing/followers/log-follower.ts';
import type { EventLog } from '../../src/eventsourcing/log/event-log.ts';
import type { LogTail } from '../../src/eventsourcing/log/log-tail.ts';
import { Node } from '../../src/eventsourcing/node.ts';
import { systemClock } from '../../src/platform/clock.ts';
import type { Database } from '../../src/platform/database.ts';
import { randomIds } from '../../src/platform/ids.ts';
import { createLogger } from '../../src/platform/logger.ts';

export interface LoneFollower {
  readonly follower: LogFollower;
  stop(): Promise<void>;
}

/** A follower of the log at work, with no engine around it: for tasks that a test makes itself. */
export async function startLoneFollower(
  { engine, derived: client }: Database,
  log: EventLog,
  tail: LogTail,
  task: FollowerTask,
): Promise<LoneFollower> {
  const parts = { log, tail, client, clock: systemClock, ids: randomIds, logger: createLogger('silent') };
  const follower = new LogFollower({ ...parts, task, retries: EVENT_RETRIES, onLost: () => node.refresh() });
  const node = new Node({
    ...parts,
    followers: [follower],
    isAlone: engine === 'pglite',
    masterKeyIds: [],
    epoch: (await log.head()).epoch,
    onReplaced: () => {},
    leaseSeconds: 6,
  });
  await node.start();
  return {
    follower,
    async stop() {
      await follower.stop();
      await node.stop();
    },
  };
}
