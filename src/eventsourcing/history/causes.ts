import { type Causation, type CauseId, type CausingCommand, type CausingEvent, causationOf } from './causation.ts';

/** Where commands and events are looked up by who was the cause of them. */
export interface CauseSource<Command, Event> {
  findCommand(commandId: string): Promise<Command | undefined>;
  findEvent(eventId: string): Promise<Event | undefined>;
  /** All that began with one request, as far as it is no more than so many. */
  eventsOf(correlationId: string, limit: number): Promise<readonly Event[]>;
  commandsOf(correlationId: string, limit: number): Promise<readonly Command[]>;
}

interface Correlated {
  readonly correlationId: string;
}

/** More belongs together than is looked at. */
export class TooMuchToTrace extends Error {
  override readonly name = 'TooMuchToTrace';
  readonly correlationId: string;

  constructor(correlationId: string, limit: number) {
    super(`More than ${limit} commands and events have the correlationId ${correlationId}.`);
    this.correlationId = correlationId;
  }
}

/**
 * Traces a command or event to its root, and all that followed from that. What has the same correlation is read; and, if
 * its root was caused by something of another one, what has that one.
 * @param limit of commands and events together
 * @returns undefined where there is no such command or event
 * @throws {TooMuchToTrace}
 */
export async function trace<Command extends CausingCommand & Correlated, Event extends CausingEvent & Correlated>(
  source: CauseSource<Command, Event>,
  about: CauseId,
  limit: number,
): Promise<Causation<Command, Event> | undefined> {
  const commands = new Map<string, Command>();
  const events = new Map<string, Event>();
  const read = new Set<string>();
  let next: Correlated | undefined = await find(source, about);
  while (next !== undefined && !read.has(next.correlationId)) {
    const { correlationId } = next;
    read.add(correlationId);
    const left = () => limit - commands.size - events.size + 1;
    // In this order: the command of an event is stored with it, so each event's is found.
    for (const event of await source.eventsOf(correlationId, left())) events.set(event.eventId, event);
    for (const command of await source.commandsOf(correlationId, left())) commands.set(command.commandId, command);
    if (left() <= 0) throw new TooMuchToTrace(correlationId, limit);
    const root = causationOf(commands.values(), events.values(), about)?.root;
    const cause = root?.command?.causationId ?? root?.event?.causationId;
    if (cause === null || cause === undefined) break;
    next = (await source.findEvent(cause)) ?? (await source.findCommand(cause));
  }
  return causationOf(commands.values(), events.values(), about);
}

function find<Command, Event>(
  source: CauseSource<Command, Event>,
  about: CauseId,
): Promise<Command | Event | undefined> {
  return 'commandId' in about ? source.findCommand(about.commandId) : source.findEvent(about.eventId);
}
