import { FINDING_KINDS, type Finding, type FindingKind } from '../../eventsourcing/seals/findings.ts';
import { type Checkpoint, parseCheckpoint } from '../../eventsourcing/seals/log-seal.ts';
import type { VerifiedStep } from '../../eventsourcing/seals/log-verifier.ts';
import { decodeWalk, encodeWalk } from '../../eventsourcing/seals/walk.ts';
import { fault } from '../../graphql/faults.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';

const MAX_CHECKPOINTS = 20;
const MEANINGS: Record<FindingKind, string> = {
  CHANGED: 'An event is not as it was sealed.',
  MISSING: 'An event that was sealed, or must have been there, is gone.',
  MOVED: 'An event stands at another place than the one at which it was sealed.',
  EXTRA: 'An event stands before the first or behind the last of the log.',
  SEAL: 'A seal is gone, was changed, or is not signed by this store.',
  UNSEALED: 'Nothing of the log is sealed.',
  CHECKPOINT: 'The log does not hold a checkpoint that was kept elsewhere.',
  CUT: 'The end of the log is gone.',
  ARCHIVE: 'What archived events are found by does not lead to them, or to one that was never archived.',
};

/** Declares the walk through the log that finds what was changed in it. For admins. */
export function addLogVerification({ builder }: SchemaKit): void {
  const kind = builder.enumType('LogFindingKind', {
    description: 'What is wrong with the log.',
    values: Object.fromEntries(FINDING_KINDS.map((it) => [it, { description: MEANINGS[it] }])) as Record<
      FindingKind,
      { description: string }
    >,
  });
  const finding = builder.objectRef<Finding>('LogFinding').implement({
    description: 'Something in the log that is not as it was sealed.',
    audience: 'owner',
    fields: (t) => ({
      kind: t.field({ type: kind, description: 'What it is.', resolve: (it) => it.kind }),
      // As a number with a fraction: whoever forges an event may put it at a position that no integer of JSON can be.
      position: t.float({
        nullable: false,
        description: 'Of the event; of a seal’s first event; of the last one where what follows is gone.',
        resolve: (it) => it.position,
      }),
      message: t.string({ description: 'What it is, in words for people.', resolve: (it) => it.message }),
    }),
  });
  const verification = builder.objectRef<VerifiedStep>('LogVerification').implement({
    description: 'One step of a walk through the log, which compares it with its seals.',
    audience: 'owner',
    fields: (t) => ({
      position: t.field({
        type: 'SafeInt',
        description: 'How many events were walked so far.',
        resolve: ({ walk }) => walk.position,
      }),
      total: t.field({ type: 'SafeInt', description: 'How many there are.', resolve: ({ walk }) => walk.total }),
      sealedTo: t.field({
        type: 'SafeInt',
        description: 'Up to here they are sealed, so far.',
        resolve: ({ walk }) => walk.sealed,
      }),
      checkpoint: t.string({
        nullable: true,
        description:
          'The newest seal so far, as a line of text: kept elsewhere, it proves later that the log still holds it.',
        resolve: ({ walk }) => walk.checkpoint,
      }),
      findings: t.field({
        type: [finding],
        description: 'What this step found, in the order of the log; the first twenty.',
        resolve: (it) => [...it.findings],
      }),
      findingCount: t.field({
        type: 'SafeInt',
        description: 'How much was found so far, from the first step on.',
        resolve: ({ walk }) => walk.findings,
      }),
      isDone: t.boolean({
        nullable: false,
        description: 'Whether this was the last step.',
        resolve: ({ walk }) => walk.isDone,
      }),
      cursor: t.string({
        nullable: false,
        description: 'Sent as `after`, has the next step go on here.',
        resolve: ({ walk }) => encodeWalk(walk),
      }),
    }),
  });
  builder.queryField('verifyLog', (t) =>
    t.field({
      type: verification,
      audience: 'admin',
      reads: 'nothing',
      description:
        'Walks a part of the log and compares it with its seals: what was changed, taken away or put in is found. `npx cartstream verify` walks all of it.',
      args: {
        after: t.arg.string({
          description: 'The `cursor` of the step before; from the first event, if it is left out.',
        }),
        checkpoints: t.arg.stringList({
          description: 'Checkpoints that were kept elsewhere, which the log must hold; the same for each step.',
        }),
      },
      resolve: async (_root, { after, checkpoints }, { engine }) => {
        const walk = after == null ? undefined : decodeWalk(after);
        if (after != null && walk === undefined) throw fault('BAD_USER_INPUT', 'after must be a cursor of verifyLog.');
        return engine.verifier.step(walk, (checkpoints ?? []).map(toCheckpoint));
      },
    }),
  );
}

function toCheckpoint(token: string, at: number): Checkpoint {
  const checkpoint = at < MAX_CHECKPOINTS ? parseCheckpoint(token) : undefined;
  if (checkpoint !== undefined) return checkpoint;
  throw fault('BAD_USER_INPUT', `checkpoints must be at most ${MAX_CHECKPOINTS}, each as verifyLog gives them.`);
}
