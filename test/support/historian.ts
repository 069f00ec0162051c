import type { CommandView, Page } from './operator.ts';
import { Operator } from './operator.ts';
import type { Input } from './shop.ts';

/** Somebody who reads the log, and asks what was the cause of what. */

export interface EventView {
  readonly __typename: string;
  readonly eventId: string;
  readonly type: string;
  readonly aggregateType: string;
  readonly aggregateId: string;
  readonly version: number;
  readonly position: string;
  readonly recordedAt: string;
  readonly actor: { readonly kind: string; readonly id: string | null };
  readonly commandId: string | null;
  readonly correlationId: string;
  readonly causationId: string | null;
}

export const LOGGED = `__typename eventId type aggregateType aggregateId version position recordedAt actor { kind id }
  commandId correlationId causationId`;
const SENT = 'commandId name status aggregateType aggregateId causationId correlationId actor { kind id }';
const STEP = `command { ${SENT} } event { ${LOGGED} }`;
const PAGE = 'totalCount edges { cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }';

export const EVENTS = `query Events($filter: EventFilter, $first: Int, $after: String, $last: Int, $before: String) {
  events(filter: $filter, first: $first, after: $after, last: $last, before: $before) { nodes { ${LOGGED} } ${PAGE} } }`;
export const EVENTS_APPENDED = `subscription Log($filter: EventFilter, $after: Position) {
  eventsAppended(filter: $filter, after: $after) { position events { ${LOGGED} } } }`;
export const CAUSATION = `query Causation($eventId: ID, $commandId: ID) {
  causation(eventId: $eventId, commandId: $commandId) {
    root { ${STEP} children { ${STEP} } } path { ${STEP} } steps { depth ${STEP} } } }`;

export interface Appended {
  readonly eventsAppended: { readonly position: string; readonly events: readonly EventView[] };
}

type SentCommand = Pick<
  CommandView,
  'commandId' | 'name' | 'status' | 'aggregateType' | 'aggregateId' | 'causationId' | 'correlationId' | 'actor'
>;

export interface CausationNodeView {
  readonly command: SentCommand | null;
  readonly event: EventView | null;
}

export interface CausationView {
  readonly root: CausationNodeView & { readonly children: readonly CausationNodeView[] };
  readonly path: readonly CausationNodeView[];
  readonly steps: readonly (CausationNodeView & { readonly depth: number })[];
}

export class Historian extends Operator {
  async events(filter: Input = {}, page: Input = {}): Promise<Page<EventView>> {
    return (await this.read<{ events: Page<EventView> }>(EVENTS, { filter, ...page })).events;
  }

  /** All that a filter wants, page by page. */
  async allEvents(filter: Input = {}, first = 100): Promise<EventView[]> {
    const all: EventView[] = [];
    for (let after: string | null = null, more = true; more; ) {
      const page: Page<EventView> = await this.events(filter, { first, after });
      all.push(...page.nodes);
      [after, more] = [page.pageInfo.endCursor, page.pageInfo.hasNextPage];
    }
    return all;
  }

  async causation(of: Input): Promise<CausationView | null> {
    return (await this.read<{ causation: CausationView | null }>(CAUSATION, of)).causation;
  }
}

/** What a node is called: the name of a command, the type of an event. */
export function nameOf({ command, event }: CausationNodeView): string {
  return command?.name ?? event?.type ?? '';
}

/** What a node is known by. */
export function idOf({ command, event }: CausationNodeView): string {
  return command?.commandId ?? event?.eventId ?? '';
}
