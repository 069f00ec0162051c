/** A command, as far as it says what it came from. */
export interface CausingCommand {
  readonly commandId: string;
  /** The command or event that caused it. */
  readonly causationId: string | null;
  readonly submittedAt: Date;
}

/** An event, as far as it says what it came from. */
export interface CausingEvent {
  readonly eventId: string;
  /** The command that it came from. */
  readonly causationId: string | null;
  /** Compared with others': a number, or the text that clients are shown. */
  readonly position: number | string;
}

/** Either a command or an event, and what it caused. */
export interface CausationNode<Command, Event> {
  readonly command: Command | null;
  readonly event: Event | null;
  /** Its events, in order of position, and then the commands that it caused, in the order in which they were sent. */
  readonly children: readonly CausationNode<Command, Event>[];
}

/** Where something came from, and all that followed. */
export interface Causation<Command, Event> {
  readonly root: CausationNode<Command, Event>;
  /** From the root down to what was asked about. */
  readonly path: readonly CausationNode<Command, Event>[];
}

/** A node with how far below the root it is. */
export interface CausationStep<Command, Event> {
  readonly depth: number;
  readonly node: CausationNode<Command, Event>;
}

/** Names one command or event. */
export type CauseId = { readonly commandId: string } | { readonly eventId: string };

interface Growing<Command, Event> extends CausationNode<Command, Event> {
  readonly causationId: string | null;
  readonly children: Growing<Command, Event>[];
}

/**
 * Makes the tree that a command or event belongs to, of what is known of its surroundings: up to where nothing is known
 * of the cause, and from there down again. What does not belong to it is left out. Causes that go in a circle, which no
 * command or event truly has, are cut where they were met.
 * @returns undefined where it is not among what is known
 */
export function causationOf<Command extends CausingCommand, Event extends CausingEvent>(
  commands: Iterable<Command>,
  events: Iterable<Event>,
  about: CauseId,
): Causation<Command, Event> | undefined {
  const nodes = nodesOf(commands, events);
  const start = nodes.get('commandId' in about ? keyOfCommand(about.commandId) : keyOfEvent(about.eventId));
  if (start === undefined) return undefined;
  const met = new Set([start]);
  for (let cause = causeOf(start, nodes); cause !== undefined && !met.has(cause); cause = causeOf(cause, nodes)) {
    met.add(cause);
  }
  const path = [...met].reverse();
  const [root = start] = path;
  // Each has one cause, and the root none here: so whatever hangs together with the root is a tree.
  for (const node of nodes.values()) if (node !== root) causeOf(node, nodes)?.children.push(node);
  for (const { children } of nodes.values()) children.sort(inOrder);
  return { root, path };
}

/** All of a tree, each node before what it caused; as deep as it may be. */
export function causationSteps<Command, Event>(
  root: CausationNode<Command, Event>,
): readonly CausationStep<Command, Event>[] {
  const steps: CausationStep<Command, Event>[] = [];
  const open: CausationStep<Command, Event>[] = [{ depth: 0, node: root }];
  for (let step = open.pop(); step !== undefined; step = open.pop()) {
    steps.push(step);
    const depth = step.depth + 1;
    for (const node of [...step.node.children].reverse()) open.push({ depth, node });
  }
  return steps;
}

const keyOfCommand = (id: string) => `command ${id}`;
const keyOfEvent = (id: string) => `event ${id}`;

function nodesOf<Command extends CausingCommand, Event extends CausingEvent>(
  commands: Iterable<Command>,
  events: Iterable<Event>,
): Map<string, Growing<Command, Event>> {
  const nodes = new Map<string, Growing<Command, Event>>();
  for (const command of commands) {
    const { commandId, causationId } = command;
    nodes.set(keyOfCommand(commandId), { command, event: null, causationId, children: [] });
  }
  for (const event of events) {
    const { eventId, causationId } = event;
    nodes.set(keyOfEvent(eventId), { command: null, event, causationId, children: [] });
  }
  return nodes;
}

/** An event comes from a command; a command from an event that a process took, or from another command. */
function causeOf<Command, Event>(
  { event, causationId }: Growing<Command, Event>,
  nodes: ReadonlyMap<string, Growing<Command, Event>>,
): Growing<Command, Event> | undefined {
  if (causationId === null) return undefined;
  const command = nodes.get(keyOfCommand(causationId));
  return event === null ? (nodes.get(keyOfEvent(causationId)) ?? command) : command;
}

function inOrder<Command extends CausingCommand, Event extends CausingEvent>(
  a: CausationNode<Command, Event>,
  b: CausationNode<Command, Event>,
): number {
  if (a.event !== null && b.event !== null) return a.event.position < b.event.position ? -1 : 1;
  if (a.command === null || b.command === null) return a.event === null ? 1 : -1;
  const [first, second] = [a.command.submittedAt.getTime(), b.command.submittedAt.getTime()];
  return first - second || (a.command.commandId < b.command.commandId ? -1 : 1);
}
