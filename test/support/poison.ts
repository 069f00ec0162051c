import { z } from 'zod';
import type { RetryPolicy } from '../../src/eventsourcing/commands/retry-policy.ts';
import type { Engine } from '../../src/eventsourcing/engine.ts';
import { type DeadLetter, DeadLetters } from '../../src/eventsourcing/followers/dead-letters.ts';
import { StorageCodec } from '../../src/eventsourcing/log/codec.ts';
import type { RecordedEvent } from '../../src/eventsourcing/log/event.ts';
import type { Projection } from '../../src/eventsourcing/projections/projection.ts';
import { column } from '../../src/eventsourcing/projections/read-table.ts';
import type { Database } from '../../src/platform/database.ts';
import { type TallyRow, tallyProjection } from './tally.ts';

/** Events that break what follows the log, and what becomes of them. */

/** Where an event breaks its projection: its fold throws, or its key; or the database refuses the row. */
export const POISONS = ['fold', 'key', 'row'] as const;
export type Poison = (typeof POISONS)[number];

/** Three attempts, one right after the other. */
export const SOON: RetryPolicy = { maxAttempts: 3, firstPauseMs: 1, longestPauseMs: 1 };

const noted = z.object({ note: z.string() });
const noteOf = ({ data }: RecordedEvent) => noted.safeParse(data).data?.note ?? '';

/**
 * Tallies as they are, except that events break them whose note is in `broken`. To mend one is to take it out again.
 * @param tried called with the note of each event that is folded
 */
export function poisonedProjection(
  broken: ReadonlyMap<string, Poison>,
  changes: Parameters<typeof tallyProjection>[0] = {},
  tried: (note: string) => void = () => {},
): Projection<TallyRow> {
  const sound = tallyProjection(changes);
  const breaks = (event: RecordedEvent, poison: Poison) => broken.get(noteOf(event)) === poison;
  return {
    ...sound,
    keyOf(event) {
      if (breaks(event, 'key')) throw new Error(`The key of ${noteOf(event)} is broken.`);
      return sound.keyOf(event);
    },
    evolveRow(row, event) {
      tried(noteOf(event));
      if (breaks(event, 'fold')) throw new Error(`The fold of ${noteOf(event)} is broken.`);
      const after = sound.evolveRow(row, event);
      // More than an INTEGER holds.
      return after !== undefined && breaks(event, 'row') ? { ...after, version: 2 ** 40 } : after;
    },
  };
}

const parkedRow = z.object({ position: column.safeInt(), lane: z.string() });
const letterRow = z.object({ id: z.string(), stack: z.string().nullable() });

/** What a follower has parked, in order. */
export async function parkedOf({ derived }: Database, { name }: Pick<Projection, 'name'>) {
  const sql = 'SELECT position, lane FROM parked_events WHERE source = $1 ORDER BY position';
  const rows = await derived.query(sql, `projection:${name}`);
  return rows.map((row) => parkedRow.parse(row)).map(({ position, lane }) => [position, lane] as const);
}

/** All dead letters, whatever became of them, by the position of their events. */
export async function lettersOf({ derived }: Database): Promise<(DeadLetter & { readonly stack: string | null })[]> {
  const rows = await derived.query('SELECT id, stack FROM dead_letters ORDER BY position');
  const stacks = rows.map((row) => letterRow.parse(row));
  const letters = await new DeadLetters(derived, new StorageCodec()).find(stacks.map(({ id }) => id));
  return stacks.flatMap(({ id, stack }) => {
    const letter = letters.get(id);
    return letter === undefined ? [] : [{ ...letter, stack }];
  });
}

/** Waits until a projection has gone through the whole log. */
export async function caughtUp(engine: Engine, projection: Projection<TallyRow>): Promise<void> {
  const { follower } = engine.view(projection);
  if (!(await follower.reach(engine.tail.head, 10_000)))
    throw new Error(`It is at ${follower.position} of ${engine.tail.head}.`);
}
