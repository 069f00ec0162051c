import type { CommandRecord } from '../../eventsourcing/commands/command-records.ts';
import {
  type Causation,
  type CausationNode,
  type CausationStep,
  type CauseId,
  causationSteps,
} from '../../eventsourcing/history/causation.ts';
import { TooMuchToTrace, trace } from '../../eventsourcing/history/causes.ts';
import { StoredCauses } from '../../eventsourcing/history/stored-causes.ts';
import type { RecordedEvent } from '../../eventsourcing/log/event.ts';
import { fault } from '../../graphql/faults.ts';
import { parseGlobalId } from '../../graphql/global-id.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';
import type { SharedTypes } from '../shared-types.ts';

/** Commands and events together. */
const MAX_NODES = 10_000;
/** What is typical of a node; all of them together are bounded. */
const TYPICAL_CHILDREN = 2;

type Node = CausationNode<CommandRecord, RecordedEvent>;
type Step = CausationStep<CommandRecord, RecordedEvent>;
type Trace = Causation<CommandRecord, RecordedEvent>;

/** Declares what was the cause of what; for staff. */
export function addCausation({ builder, event }: SchemaKit, shared: SharedTypes): void {
  const node = builder.objectRef<Node>('CausationNode');
  node.implement({
    description: 'Either a command or an event, and what it caused, in order.',
    audience: 'owner',
    fields: (t) => ({
      command: t.field({
        type: shared.linkTo('Command').ref,
        nullable: true,
        description: 'The command; null if it is an event.',
        resolve: (it) => it.command,
      }),
      event: t.field({
        type: event,
        nullable: true,
        description: 'The event; null if it is a command.',
        resolve: (it) => it.event,
      }),
      children: t.field({
        type: [node],
        description:
          'The events of a command, in order, and then the commands that it caused; the commands that an event caused. For all of a deep tree, ask for `steps`.',
        extensions: { typicalLength: TYPICAL_CHILDREN },
        resolve: (it) => it.children,
      }),
    }),
  });
  const step = builder.objectRef<Step>('CausationStep').implement({
    description: 'Either a command or an event, and how far it is from where all began.',
    audience: 'owner',
    fields: (t) => ({
      depth: t.int({ description: 'How many causes it has up to the root, which has 0.', resolve: (it) => it.depth }),
      command: t.field({
        type: shared.linkTo('Command').ref,
        nullable: true,
        description: 'The command; null if it is an event.',
        resolve: (it) => it.node.command,
      }),
      event: t.field({
        type: event,
        nullable: true,
        description: 'The event; null if it is a command.',
        resolve: (it) => it.node.event,
      }),
    }),
  });
  const causation = builder.objectRef<Trace>('Causation').implement({
    description: 'Where something came from, and all that followed from that.',
    audience: 'owner',
    fields: (t) => ({
      root: t.field({ type: node, description: 'Where all began, with all that it caused.', resolve: (it) => it.root }),
      path: t.field({
        type: [node],
        description: 'From the root down to what was asked about, each the cause of the next.',
        resolve: (it) => [...it.path],
      }),
      steps: t.field({
        type: [step],
        description: 'The whole tree as a list: each after its cause, with what it caused right after it.',
        resolve: (it) => [...causationSteps(it.root)],
      }),
    }),
  });
  builder.queryField('causation', (t) =>
    t.field({
      type: causation,
      nullable: true,
      audience: 'staff',
      description:
        'From any event or command up to its root, and down to all that followed; null if it is not there. Exactly one of the two. A tree of more than 10,000 is the error OPERATION_TOO_COSTLY: read `events(filter: { correlationId })` then.',
      args: {
        eventId: t.arg.id({ description: 'An event, by its UUID.' }),
        commandId: t.arg.id({ description: 'A command, by its commandId or its id.' }),
      },
      reads: ({ commandId }) =>
        commandId == null ? undefined : { type: 'command', id: parseGlobalId(commandId)?.id ?? commandId },
      resolve: async (_root, { eventId, commandId }, { engine }) => {
        const causes = new StoredCauses(engine.history, engine.commandRecords);
        try {
          return await trace(causes, causeId(eventId, commandId), MAX_NODES);
        } catch (error) {
          if (error instanceof TooMuchToTrace) throw tooMuch(error);
          throw error;
        }
      },
    }),
  );
}

/** @throws the fault BAD_USER_INPUT */
function causeId(eventId: string | null | undefined, commandId: string | null | undefined): CauseId {
  if (eventId != null && commandId == null) return { eventId: eventId.toLowerCase() };
  if (commandId != null && eventId == null)
    return { commandId: (parseGlobalId(commandId)?.id ?? commandId).toLowerCase() };
  throw fault('BAD_USER_INPUT', 'Ask for the causation of an eventId or of a commandId: exactly one of the two.');
}

function tooMuch({ correlationId, message }: TooMuchToTrace) {
  const advice = `Read them page by page with events(filter: { correlationId: "${correlationId}" }) and commands, or run: npx cartstream trace.`;
  return fault('OPERATION_TOO_COSTLY', `${message} ${advice}`);
}
