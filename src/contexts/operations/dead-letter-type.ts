import { z } from 'zod';
import { actsForStaff } from '../../eventsourcing/actor.ts';
import {
  DEAD_LETTER_STATUSES,
  type DeadLetter,
  type DeadLetterStatus,
  type DeadLetters,
  keyOfDeadLetter,
} from '../../eventsourcing/followers/dead-letters.ts';
import { cursorInstant, keysetPage, TOTAL_COUNT } from '../../graphql/keyset-page.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';

/** Beyond these, dead letters are not counted. */
const MAX_COUNT = 1_000;

const STATUS_MEANINGS: Record<DeadLetterStatus, string> = {
  OPEN: 'It waits for an operator.',
  RETRIED: 'It was tried again; if it fails again, it is open again.',
  DROPPED: 'It was given up.',
};

const letterKey = z.tuple([cursorInstant, z.guid()]);

/** A dead letter, with the way to what waits behind it. */
export interface ShownDeadLetter extends DeadLetter {
  waiting(): Promise<number>;
}

/** Declares what failed for good, for staff. */
export function addDeadLetterType(kit: SchemaKit) {
  const { builder } = kit;
  const deadLetter = builder.objectRef<ShownDeadLetter>('DeadLetter');
  const status = builder.enumType('DeadLetterStatus', {
    description: 'What became of a failure.',
    values: Object.fromEntries(
      DEAD_LETTER_STATUSES.map((name) => [name, { description: STATUS_MEANINGS[name] }]),
    ) as Record<DeadLetterStatus, { description: string }>,
  });
  builder.node(deadLetter, {
    description: 'A command, or the handling of an event, that failed again and again. For staff.',
    audience: 'owner',
    id: { resolve: ({ id }) => id },
    isTypeOf: (value) => typeof value === 'object' && value !== null && 'failedAt' in value,
    loadMany: async (ids: string[], { engine, actor }) => {
      const found = actsForStaff(actor) ? await findDeadLetters(ids, engine.deadLetters) : new Map();
      return ids.map((id) => found.get(id.toLowerCase()) ?? null);
    },
    fields: (t) => ({
      source: t.string({
        description: 'Where it failed: `command`, `process:<name>` or `projection:<name>`.',
        resolve: (it) => it.source,
      }),
      subject: t.string({ description: 'The id of the command or event.', resolve: (it) => it.subject }),
      payload: t.field({ type: 'JSON', description: 'What failed.', resolve: (it) => it.payload }),
      error: t.string({ description: 'What it said when it broke.', resolve: (it) => it.error }),
      attempts: t.int({ description: 'How often it was tried.', resolve: (it) => it.attempts }),
      failedAt: t.field({ type: 'DateTime', description: 'When it was given up.', resolve: (it) => it.failedAt }),
      waitingBehind: t.int({
        description: 'How many commands or events of the same aggregate or row cannot go on because of it.',
        resolve: (it) => it.waiting(),
      }),
      status: t.field({ type: status, description: 'What became of it.', resolve: (it) => it.status }),
      droppedReason: t.string({ nullable: true, description: 'Why it was dropped.', resolve: (it) => it.reason }),
    }),
  });

  builder.queryField('deadLetters', (t) =>
    t.connection(
      {
        type: deadLetter,
        audience: 'staff',
        description: 'What failed and is open, the newest failure first.',
        args: {
          source: t.arg.string({ description: 'Of this source: `command`, `process:<name>` or `projection:<name>`.' }),
        },
        resolve: (_root, args, { engine: { deadLetters } }) => {
          const wanted = { source: args.source ?? undefined };
          return keysetPage(args, {
            name: 'deadLetters',
            key: letterKey,
            keyOf: (letter: ShownDeadLetter) => keyOfDeadLetter(letter),
            find: async (page) => withWaiting(await deadLetters.list(wanted, page), deadLetters),
            count: () => deadLetters.count(wanted, MAX_COUNT),
          });
        },
      },
      {
        name: 'DeadLetterConnection',
        description: 'A page of dead letters.',
        fields: (connection) => ({ totalCount: connection.int(TOTAL_COUNT) }),
      },
      { name: 'DeadLetterEdge', description: 'A dead letter with its cursor.' },
    ),
  );
  return deadLetter;
}

/** Dead letters by their ids. */
export async function findDeadLetters(
  ids: readonly string[],
  deadLetters: DeadLetters,
): Promise<Map<string, ShownDeadLetter>> {
  const found = await deadLetters.find(ids);
  return new Map(withWaiting([...found.values()], deadLetters).map((it) => [it.id, it]));
}

/** What waits is looked up if it is asked for, then for all of these at once. */
function withWaiting(letters: readonly DeadLetter[], deadLetters: DeadLetters): ShownDeadLetter[] {
  let looking: Promise<Map<string, number>> | undefined;
  return letters.map((letter) => ({
    ...letter,
    async waiting() {
      looking ??= deadLetters.waitingBehind(letters);
      return (await looking).get(letter.id) ?? 0;
    },
  }));
}
