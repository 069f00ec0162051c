import { expect, vi } from 'vitest';
import { z } from 'zod';
import { ArchiveLists } from '../../src/eventsourcing/archive/archive-lists.ts';
import type { Engine } from '../../src/eventsourcing/engine.ts';
import { StoredEvents } from '../../src/eventsourcing/log/stored-events.ts';
import type { Finding } from '../../src/eventsourcing/seals/findings.ts';
import type { CheckpointPlace } from '../../src/eventsourcing/seals/known-checkpoint.ts';
import { parseCheckpoint } from '../../src/eventsourcing/seals/log-seal.ts';
import { LogVerifier } from '../../src/eventsourcing/seals/log-verifier.ts';
import { SealKeys } from '../../src/eventsourcing/seals/seal-keys.ts';
import { SealStore } from '../../src/eventsourcing/seals/seal-store.ts';
import { decodeWalk, encodeWalk, type Walk } from '../../src/eventsourcing/seals/walk.ts';
import type { Database } from '../../src/platform/database.ts';
import { testMasterKey } from './master-key.ts';
import { request } from './tally-engine.ts';

/** What a verification came to. */
export interface Verified {
  readonly walk: Walk;
  readonly findings: readonly Finding[];
  readonly steps: number;
}

export interface Verification {
  /** Tokens of checkpoints that were kept elsewhere. */
  readonly checkpoints?: readonly string[];
  readonly masterKey?: Buffer;
  /** Done between two steps. */
  between?(walk: Walk): Promise<unknown>;
}

/** Walks a whole log as `cartstream verify` does, step by step. */
export async function verifyLog({ log }: Pick<Database, 'log'>, options: Verification = {}): Promise<Verified> {
  const { checkpoints = [], masterKey = testMasterKey, between } = options;
  const keys = new SealKeys(masterKey);
  const [store, events, lists] = [new SealStore(log), new StoredEvents(log), new ArchiveLists(log)];
  const verifier = new LogVerifier({ store, events, lists, keys });
  const kept = checkpoints.map((token) => parseCheckpoint(token) ?? expect.fail(`no checkpoint: ${token}`));
  const findings: Finding[] = [];
  for (let walk: Walk | undefined, steps = 1; ; steps += 1) {
    const step = await verifier.step(walk && decodeWalk(encodeWalk(walk)), kept);
    findings.push(...step.findings);
    if (step.walk.isDone) return { walk: step.walk, findings, steps };
    walk = step.walk;
    await between?.(walk);
  }
}

/** Appends events, in any number of streams. */
export async function fillLog(engine: Engine, count: number, streams = 7): Promise<void> {
  for (let done = 0; done < count; ) {
    const batch = Math.min(200, count - done);
    await Promise.all(
      Array.from({ length: batch }, (_, at) =>
        engine.executor.execute(request('Add', { tallyId: `t${(done + at) % streams}`, amount: 1, note: 'ink' })),
      ),
    );
    done += batch;
  }
}

/** Waits until all that was appended by now is sealed. */
export async function untilSealed({ sealer, tail }: Engine): Promise<void> {
  const { head } = tail;
  await vi.waitFor(() => expect(sealer.state.position).toBeGreaterThanOrEqual(head), { timeout: 60_000, interval: 20 });
}

/** A place for checkpoints in memory. */
export function placeInMemory(): CheckpointPlace & { token: string | undefined } {
  const place = {
    name: 'the place of this test',
    token: undefined as string | undefined,
    read: async () => place.token,
    write: async (token: string) => {
      place.token = token;
    },
  };
  return place;
}

const sealRows = z.array(z.object({ first: z.number(), position: z.number(), epoch: z.string(), key: z.string() }));

export async function sealsOf({ log }: Pick<Database, 'log'>) {
  const sql = `SELECT first_position::int AS first, position::int AS position, epoch, key_id AS key
    FROM log_seals ORDER BY log_seals.position`;
  return sealRows.parse(await log.query(sql));
}
