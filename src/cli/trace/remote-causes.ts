import { z } from 'zod';
import type { CauseSource } from '../../eventsourcing/history/causes.ts';
import { type GraphQLClient, parseAnswer } from '../graphql-client.ts';

const instant = z.iso.datetime().transform((text) => new Date(text));
const actor = z.object({ kind: z.string(), id: z.string().nullable() });

const command = z.object({
  commandId: z.string(),
  name: z.string(),
  aggregateType: z.string(),
  aggregateId: z.string(),
  status: z.string(),
  actor,
  rejection: z.object({ code: z.string(), message: z.string() }).nullable(),
  error: z.string().nullable(),
  submittedAt: instant,
  dueAt: instant.nullable(),
  correlationId: z.string(),
  causationId: z.string().nullable(),
});
/** A command, as far as a trace shows it. */
export type TracedCommand = z.output<typeof command>;
const COMMAND =
  'commandId name aggregateType aggregateId status actor { kind id } rejection error submittedAt dueAt correlationId causationId';

const event = z.object({
  eventId: z.string(),
  type: z.string(),
  aggregateType: z.string(),
  aggregateId: z.string(),
  version: z.number(),
  position: z.string(),
  recordedAt: instant,
  correlationId: z.string(),
  causationId: z.string().nullable(),
});
/** An event, as far as a trace shows it. */
export type TracedEvent = z.output<typeof event>;
const EVENT = 'eventId type aggregateType aggregateId version position recordedAt correlationId causationId';

/** The largest page that there is. */
const PAGE = 100;
const ALLOWED = 'query Allowed { events(first: 0) { nodes { eventId } } }';
const FIND_COMMAND = `query Command($id: ID!) { command(commandId: $id) { ${COMMAND} } }`;
const FIND_EVENT = `query Event($id: ID!) { event(eventId: $id) { ${EVENT} } }`;
const COMMANDS = `query Commands($id: ID!, $first: Int!, $after: String) {
  page: commands(filter: { correlationId: $id }, first: $first, after: $after) {
    nodes { ${COMMAND} } pageInfo { hasNextPage endCursor } } }`;
const EVENTS = `query Events($id: ID!, $first: Int!, $after: String) {
  page: events(filter: { correlationId: $id }, first: $first, after: $after) {
    nodes { ${EVENT} } pageInfo { hasNextPage endCursor } } }`;

/** What a server tells of who was the cause of what, page by page. Each of its methods throws a Fault. */
export class RemoteCauses implements CauseSource<TracedCommand, TracedEvent> {
  readonly #client: GraphQLClient;
  /** The ids of what was read, by correlation. */
  readonly #read = new Map<string, string[]>();

  constructor(client: GraphQLClient) {
    this.#client = client;
  }

  /** Fails where the caller may not see any of it: what is not for them looks as if it were not there. */
  async expectAllowed(): Promise<void> {
    await this.#client.sendOnce(ALLOWED);
  }

  async findCommand(id: string): Promise<TracedCommand | undefined> {
    const answer = z.object({ command: command.nullable() });
    return (await this.#ask(FIND_COMMAND, { id }, answer)).command ?? undefined;
  }

  async findEvent(id: string): Promise<TracedEvent | undefined> {
    const answer = z.object({ event: event.nullable() });
    return (await this.#ask(FIND_EVENT, { id }, answer)).event ?? undefined;
  }

  async eventsOf(correlationId: string, limit: number): Promise<TracedEvent[]> {
    const events = await this.#pages(EVENTS, event, correlationId, limit);
    for (const { eventId } of events) this.#note(correlationId, eventId);
    return events;
  }

  async commandsOf(correlationId: string, limit: number): Promise<TracedCommand[]> {
    const commands = await this.#pages(COMMANDS, command, correlationId, limit);
    for (const { commandId } of commands) this.#note(correlationId, commandId);
    return commands;
  }

  /** The ids of all that was read of one correlation. */
  readOf(correlationId: string): readonly string[] {
    return this.#read.get(correlationId) ?? [];
  }

  #note(correlationId: string, id: string): void {
    const ids = this.#read.get(correlationId);
    if (ids === undefined) this.#read.set(correlationId, [id]);
    else ids.push(id);
  }

  async #pages<Item>(query: string, item: z.ZodType<Item>, id: string, limit: number): Promise<Item[]> {
    const pageInfo = z.object({ hasNextPage: z.boolean(), endCursor: z.string().nullable() });
    const answer = z.object({ page: z.object({ nodes: z.array(item), pageInfo }) });
    const all: Item[] = [];
    for (let after: string | null = null, isMore = true; isMore && all.length < limit; ) {
      const first = Math.min(PAGE, limit - all.length);
      const read: z.output<typeof answer> = await this.#ask(query, { id, first, after }, answer);
      all.push(...read.page.nodes);
      ({ endCursor: after, hasNextPage: isMore } = read.page.pageInfo);
    }
    return all;
  }

  #ask<Answer>(query: string, variables: object, answer: z.ZodType<Answer>): Promise<Answer> {
    return this.#client.send(query, variables, (data) => parseAnswer(answer, data));
  }
}
