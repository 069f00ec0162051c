import type { Causation, CausationNode } from '../../eventsourcing/history/causation.ts';
import { counted } from '../counted.ts';
import type { TracedCommand, TracedEvent } from './remote-causes.ts';

type Node = CausationNode<TracedCommand, TracedEvent>;
type Trace = Causation<TracedCommand, TracedEvent>;

/** Ids that were made at about the same time begin alike; they differ at the end. */
const SHORT_ID = 8;
/** Of what somebody else has said: a line stays a line. */
const MAX_TEXT = 160;

/** Deeper ones are not moved further to the right: they say instead how deep they are. */
const MAX_INDENTS = 40;

interface Row {
  readonly line: string;
  readonly node: Node;
}

/**
 * A trace as a tree of lines: ▸ a command, • an event; when, after the root; who sent it, where that was not a process;
 * what became of it, where it was not done. What was asked about is marked.
 */
export function treeText({ root, path }: Trace, longIds: boolean): string {
  const begun = instantOf(root);
  const rows = rowsOf(root);
  const asked = path.at(-1);
  const width = Math.max(...rows.map(({ line, node }) => line.length + nameOf(node).length));
  const lines = rows.map(({ line, node }) => {
    const parts = [
      `${line}${nameOf(node)}`.padEnd(width),
      idOf(node, longIds),
      node === root ? begun.toISOString() : after(begun, instantOf(node)).padStart(10),
      aboutOf(node, longIds),
      ...detailsOf(node),
      ...(node === asked && path.length > 1 ? ['◀ asked about'] : []),
    ];
    return parts.join('  ').trimEnd();
  });
  return `${lines.join('\n')}\n`;
}

/** How much it is, and how long it took. */
export function sumText({ root }: Trace, others: number, correlationId: string): string {
  const nodes = rowsOf(root).map(({ node }) => node);
  const instants = nodes.map((node) => instantOf(node).getTime());
  const took = instants.reduce((last, it) => Math.max(last, it), 0) - instantOf(root).getTime();
  const commands = nodes.filter(({ command }) => command !== null).length;
  const counts = `${counted(commands, 'command')} and ${counted(nodes.length - commands, 'event')} within ${seconds(took)} s.`;
  if (others === 0) return `${counts}\n`;
  return `${counts} ${counted(others, 'more has', 'more have')} the same correlationId, and ${others === 1 ? 'was' : 'were'} not caused by these: ${correlationId}\n`;
}

/** Each node with the lines that lead to it; without recursion, however deep it is. */
function rowsOf(root: Node): Row[] {
  const rows: Row[] = [];
  const open = [{ node: root, line: '', below: '', depth: 0 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { node, line, below } = next;
    rows.push({ line: `${line}${node.command === null ? '•' : '▸'} `, node });
    const { children } = node;
    const depth = next.depth + 1;
    const isDeep = depth > MAX_INDENTS;
    for (const [at, child] of [...children.entries()].reverse()) {
      const isLast = at === children.length - 1;
      const branch = isDeep ? `${depth}⋯ ` : isLast ? '└ ' : '├ ';
      const trunk = isDeep ? '' : isLast ? '  ' : '│ ';
      open.push({ node: child, line: `${below}${branch}`, below: `${below}${trunk}`, depth });
    }
  }
  return rows;
}

function nameOf({ command, event }: Node): string {
  return command?.name ?? event?.type ?? '';
}

function idOf({ command, event }: Node, isLong: boolean): string {
  return shortened(command?.commandId ?? event?.eventId ?? '', isLong);
}

function shortened(id: string, isLong: boolean): string {
  return isLong || id.length <= SHORT_ID ? id : `…${id.slice(-SHORT_ID)}`;
}

function instantOf({ command, event }: Node): Date {
  return command?.submittedAt ?? event?.recordedAt ?? new Date(0);
}

function after(begun: Date, instant: Date): string {
  const milliseconds = instant.getTime() - begun.getTime();
  return `${milliseconds < 0 ? '-' : '+'}${seconds(Math.abs(milliseconds))} s`;
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1_000).toFixed(3);
}

function aboutOf({ command, event }: Node, longIds: boolean): string {
  const { aggregateType = '', aggregateId = '' } = command ?? event ?? {};
  const version = event === null ? '' : ` v${event.version}`;
  return `${aggregateType} ${plain(shortened(aggregateId, longIds))}${version}`;
}

function detailsOf({ command }: Node): string[] {
  if (command === null) return [];
  const { actor, status, rejection, error, dueAt } = command;
  const isOfProcess = actor.kind === 'PROCESS';
  const who = isOfProcess ? [] : [`by ${actor.kind}${actor.id === null ? '' : ` ${plain(actor.id)}`}`];
  if (rejection !== null) return [...who, `${status} ${rejection.code}: ${plain(rejection.message)}`];
  if (error !== null) return [...who, `${status}: ${plain(error)}`];
  if (status === 'SUCCEEDED') return who;
  return [...who, dueAt === null ? status : `${status}, due ${dueAt.toISOString()}`];
}

/** One line that a terminal shows as it is: what was sent may be anything. */
function plain(text: string): string {
  const line = text.replace(/[\p{C}\s]+/gu, ' ').trim();
  return line.length > MAX_TEXT ? `${line.slice(0, MAX_TEXT)}…` : line;
}
