import type { CommandFilter } from '../../eventsourcing/commands/command-filter.ts';
import { type CommandKey, type CommandRecord, keyOfCommand } from '../../eventsourcing/commands/command-records.ts';
import type { RecordedEvent } from '../../eventsourcing/log/event.ts';
import { streamIdOf } from '../../eventsourcing/log/stream-id.ts';
import { type ProcessRow, processView } from '../../eventsourcing/processes/process-view.ts';
import type { AggregateName, ReadRecord } from '../../eventsourcing/reads/read-records.ts';
import type { RequestContext } from '../../graphql/context.ts';
import { visibleData } from '../../graphql/events.ts';
import { decodeIdOf } from '../../graphql/global-id.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';
import { isUuid } from '../../platform/column-values.ts';
import { actorOf, mayRead } from '../ownership.ts';
import type { PersonalRecords, SharedTypes } from '../shared-types.ts';
import { customerOrderProjection } from './order-copy.ts';
import { customerProjection } from './projection.ts';

/** Of each kind of thing there are at most so many. */
const MAX_ITEMS = 5_000;
/** So many streams, or aggregates, are read at a time. */
const AT_ONCE = 200;

/** Declares the way to all that is kept about somebody. */
export function addExportCustomer({ builder }: SchemaKit, shared: SharedTypes): void {
  builder.queryField('exportCustomer', (t) =>
    t.field({
      type: 'JSON',
      nullable: true,
      audience: 'owner',
      description: `All that is kept about one customer or guest, as JSON: what they are called, carts, orders with payments and shipments, notifications, events, commands, and, where the server records it, who was shown any of that. Of each at most ${MAX_ITEMS}; \`isComplete\` says whether that is all. Of somebody who was forgotten, what is left. Null if nothing is kept, or for anybody but themselves and staff.`,
      args: { id: t.arg.id({ required: true, description: 'The id of the customer or guest.' }) },
      resolve: async (_root, { id }, context) => {
        const customerId = decodeIdOf('Customer', id);
        return mayRead(context.actor, customerId) ? exported(customerId, shared, context) : null;
      },
    }),
  );
}

async function exported(customerId: string, shared: SharedTypes, context: RequestContext): Promise<object | null> {
  const { engine } = context;
  const limit = MAX_ITEMS;
  const [row, isKept, orders, sent] = await Promise.all([
    engine.view(customerProjection).read(customerId),
    engine.codec.knows(customerId),
    engine.view(customerOrderProjection).rows.find(`WHERE customer_id = $1 LIMIT ${limit + 1}`, customerId),
    commandsSentBy(customerId, context),
  ]);
  const cartIds = [
    // Whoever is nobody known has the id of their cart.
    ...(isUuid(customerId) ? [customerId] : []),
    ...orders.map(({ cartId }) => cartId),
    ...sent.flatMap(({ aggregateType, aggregateId }) => (aggregateType === 'cart' ? [aggregateId] : [])),
  ];
  const about = { customerId, cartIds: [...new Set(cartIds)], limit };
  const records = await Promise.all(shared.records().map((load) => load(about, context)));
  const lists: Readonly<Record<string, readonly object[]>> = Object.assign({}, ...records.map((it) => it.lists));
  const isNothing = row === undefined && !isKept && sent.length === 0;
  if (isNothing && Object.values(lists).every((list) => list.length === 0)) return null;

  const streamIds = [streamIdOf('customer', customerId), ...records.flatMap((it) => it.streamIds)];
  const events = await eventsAbout(customerId, streamIds, processStreams(records, sent, context), context);
  const commands = await commandsAbout(customerId, sent, streamIds, context);
  const reads = await readsOf(streamIds, context);
  const isForgotten = row !== undefined && row.version > 0 && row.email === null && row.name === null;
  return {
    customer: {
      id: customerId,
      personalData: isForgotten ? 'FORGOTTEN' : 'PRESENT',
      ...(row === undefined ? {} : { email: row.email, name: row.name, createdAt: row.knownSince }),
    },
    ...lists,
    events: events.slice(0, limit).map((event) => shownEvent(event, customerId, context)),
    commands: commands.slice(0, limit).map((command) => shownCommand(command, customerId, context)),
    reads: reads.slice(0, limit).map((read) => shownRead(read, customerId)),
    isComplete:
      !records.some(({ isMore }) => isMore) &&
      [orders, sent, events, commands, reads].every(({ length }) => length <= limit),
    exportedAt: new Date(),
  };
}

/** The newest first; more than a list holds only where there are more. */
async function commandsSentBy(customerId: string, context: RequestContext): Promise<CommandRecord[]> {
  const found: CommandRecord[] = [];
  for await (const page of commandPages({ sentBy: actorOf(customerId) }, context)) {
    found.push(...page);
    if (found.length > MAX_ITEMS) break;
  }
  return found;
}

/** All of these, the newest first. */
async function* commandPages(filter: CommandFilter, { engine }: RequestContext): AsyncGenerator<CommandRecord[]> {
  for (let after: CommandKey | undefined; ; ) {
    const page = await engine.commandRecords.list(filter, { after, limit: AT_ONCE, inverted: false });
    yield page;
    const last = page.at(-1);
    if (last === undefined || page.length < AT_ONCE) return;
    after = keyOfCommand(last);
  }
}

/** Processes remember whom they act for: the streams of those that began with something of theirs, some at a time. */
async function* processStreams(
  records: readonly PersonalRecords[],
  sent: readonly CommandRecord[],
  { engine }: RequestContext,
): AsyncGenerator<readonly string[]> {
  const correlations = [
    ...records.flatMap(({ correlationIds = [] }) => correlationIds),
    ...sent.map(({ correlationId }) => correlationId),
  ];
  const where = `WHERE correlation_id = ANY ($1::uuid[]) AND id > $2 ORDER BY id LIMIT ${AT_ONCE}`;
  for (const ids of inParts([...new Set(correlations)])) {
    for (let last: string | undefined = ''; last !== undefined; ) {
      const page: readonly ProcessRow[] = await engine.view(processView).rows.find(where, ids, last);
      yield page.map(({ id }) => id);
      last = page.length < AT_ONCE ? undefined : page.at(-1)?.id;
    }
  }
}

/** Events of their own streams; of processes', those that hold something of theirs. In the order of the log. */
async function eventsAbout(
  customerId: string,
  own: readonly string[],
  ofProcesses: AsyncIterable<readonly string[]>,
  context: RequestContext,
): Promise<RecordedEvent[]> {
  const found: RecordedEvent[] = [];
  const isTheirs = ({ type, data }: RecordedEvent) => context.engine.codec.isAbout(customerId, 'event', type, data);
  for (const [parts, isWanted] of [
    [inParts([...new Set(own)]), () => true] as const,
    [ofProcesses, isTheirs] as const,
  ]) {
    for await (const part of parts) {
      for await (const page of eventPages(part, context)) {
        found.push(...page.filter(isWanted));
        if (found.length > MAX_ITEMS) break;
      }
      if (found.length > MAX_ITEMS) break;
    }
  }
  return found.sort((a, b) => a.position - b.position);
}

/** All events of some streams, as many of each at a time as are no more than a list holds together. */
async function* eventPages(streamIds: readonly string[], { engine }: RequestContext): AsyncGenerator<RecordedEvent[]> {
  let open = new Map(streamIds.map((streamId) => [streamId, 0]));
  while (open.size > 0) {
    const limitEach = Math.ceil(MAX_ITEMS / open.size);
    const page = await engine.log.readStreamsAfter(open, limitEach);
    yield page;
    const full = [...groupedBy(page, ({ streamId }) => streamId)].filter(([, { length }]) => length === limitEach);
    open = new Map(full.map(([streamId, events]) => [streamId, events.at(-1)?.version ?? 0]));
  }
}

/** What they sent, and what others sent that holds something of theirs. Oldest first. */
async function commandsAbout(
  customerId: string,
  sent: readonly CommandRecord[],
  streamIds: readonly string[],
  context: RequestContext,
): Promise<CommandRecord[]> {
  const found = new Map(sent.map((command) => [command.commandId, command]));
  const aggregateIds = streamIds.map((it) => it.slice(it.indexOf('-') + 1));
  for await (const page of commandsFor([...new Set(aggregateIds)], context)) {
    if (found.size > MAX_ITEMS) break;
    for (const command of page) {
      const isTheirs = context.engine.codec.isAbout(customerId, 'command', command.name, command.input);
      if (isTheirs) found.set(command.commandId, command);
    }
  }
  return [...found.values()].sort((a, b) => a.submittedAt.getTime() - b.submittedAt.getTime());
}

/** All commands for some aggregates: most have few, which are read together. Of those with many, some come twice. */
async function* commandsFor(
  aggregateIds: readonly string[],
  context: RequestContext,
): AsyncGenerator<readonly CommandRecord[]> {
  for (const ids of inParts(aggregateIds)) {
    const first = await context.engine.commandRecords.ofAggregates(ids, AT_ONCE);
    yield first;
    for (const [aggregateId, { length }] of groupedBy(first, (command) => command.aggregateId)) {
      if (length === AT_ONCE) yield* commandPages({ aggregateId }, context);
    }
  }
}

/** What the caller may see of it, and whatever is personal in it of theirs. */
function shownEvent(event: RecordedEvent, customerId: string, { engine, actor }: RequestContext) {
  const { eventId, type, aggregateType, aggregateId, version, recordedAt, data } = event;
  const visible = visibleData(engine.log.definitionOf(type), event, actor);
  return {
    ...{ eventId, type, aggregateType, aggregateId, version, recordedAt },
    data: { ...Object(visible), ...engine.codec.personalPart(customerId, 'event', type, data) },
  };
}

/** Of what others sent, only what is personal in it of theirs. */
function shownCommand(command: CommandRecord, customerId: string, { engine }: RequestContext) {
  const { commandId, name, aggregateType, aggregateId, status, submittedAt, finishedAt, input, actor } = command;
  const { kind, id } = actorOf(customerId);
  const isOwn = actor.kind === kind && actor.id === id;
  return {
    ...{ commandId, name, aggregateType, aggregateId, status, submittedAt, finishedAt },
    sentBy: isOwn ? 'THEMSELVES' : actor.kind,
    input: isOwn ? input : engine.codec.personalPart(customerId, 'command', name, input),
  };
}

/** Who was shown any of this, where that is recorded; the newest first. */
async function readsOf(streamIds: readonly string[], { readAudit }: RequestContext): Promise<ReadRecord[]> {
  const found: ReadRecord[] = [];
  for (const part of inParts([...new Set(streamIds)])) {
    if (found.length > MAX_ITEMS) break;
    found.push(...(await readAudit.records.shown(part.map(aggregateIn), MAX_ITEMS + 1)));
  }
  return found.sort((a, b) => b.at.getTime() - a.at.getTime());
}

function aggregateIn(streamId: string): AggregateName {
  const end = streamId.indexOf('-');
  return { type: streamId.slice(0, end), id: streamId.slice(end + 1) };
}

/** Who exactly of the staff it was, is theirs. */
function shownRead({ at, actor, field, aggregate }: ReadRecord, customerId: string) {
  const { kind, id } = actorOf(customerId);
  const by = actor.kind === kind && actor.id === id ? 'THEMSELVES' : actor.kind;
  return { at, by, field, aggregateType: aggregate?.type, aggregateId: aggregate?.id };
}

function* inParts<Item>(items: readonly Item[]): Generator<readonly Item[]> {
  for (let at = 0; at < items.length; at += AT_ONCE) yield items.slice(at, at + AT_ONCE);
}

function groupedBy<Item>(items: readonly Item[], keyOf: (item: Item) => string): Map<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}
