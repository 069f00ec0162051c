import process from 'node:process';
import { z } from 'zod';
import { type CauseId, causationSteps } from '../eventsourcing/history/causation.ts';
import { TooMuchToTrace, trace as traceCauses } from '../eventsourcing/history/causes.ts';
import { parseGlobalId } from '../graphql/global-id.ts';
import { isUuid } from '../platform/column-values.ts';
import { adviceFor, CannotAsk, endpointOptions } from './endpoint.ts';
import { Fault, GraphQLClient } from './graphql-client.ts';
import { optionProblems } from './option-problems.ts';
import { RemoteCauses } from './trace/remote-causes.ts';
import { sumText, treeText } from './trace/tree-text.ts';

const traceOptions = z.object({ ...endpointOptions, longIds: z.boolean().default(false) });

/** Commands and events together; more would be no help to anybody, and take long to fetch. */
const MAX_NODES = 100_000;

/**
 * `cartstream trace`: prints where an event or command came from, up to what began it, and all that followed.
 * @param id of an event or a command: a UUID, or a command's id as the API gives it
 * @param given the options as they were typed
 * @throws {CannotAsk}
 */
export async function trace(id: string, given: unknown): Promise<void> {
  const options = traceOptions.safeParse(given);
  if (!options.success) throw new CannotAsk(optionProblems(options.error));
  const { url, token, longIds } = options.data;
  const causes = new RemoteCauses(new GraphQLClient(url, token, () => {}));
  try {
    await causes.expectAllowed();
    process.stdout.write(await textOf(uuidIn(id), causes, longIds));
  } catch (error) {
    if (error instanceof Fault) throw new CannotAsk(adviceFor(error, url));
    if (error instanceof TooMuchToTrace) throw new CannotAsk(tooMuch(error));
    throw error;
  }
}

function uuidIn(given: string): string {
  const id = parseGlobalId(given)?.id ?? given;
  if (isUuid(id)) return id.toLowerCase();
  throw new CannotAsk('Name an event or a command by its UUID: commandId of a receipt, say, or eventId of an event.');
}

async function textOf(id: string, causes: RemoteCauses, longIds: boolean): Promise<string> {
  const command = await causes.findCommand(id);
  const event = command === undefined ? await causes.findEvent(id) : undefined;
  const about: CauseId = command === undefined ? { eventId: id } : { commandId: id };
  const correlationId = (command ?? event)?.correlationId;
  const found = await traceCauses(causes, about, MAX_NODES);
  if (found === undefined || correlationId === undefined)
    throw new CannotAsk(`There is no event and no command ${id}.`);
  const shown = new Set(causationSteps(found.root).map(({ node }) => node.command?.commandId ?? node.event?.eventId));
  const others = causes.readOf(correlationId).filter((it) => !shown.has(it)).length;
  return `${treeText(found, longIds)}\n${sumText(found, others, correlationId)}`;
}

function tooMuch({ message, correlationId }: TooMuchToTrace): string {
  return `${message} Read them page by page: events(filter: { correlationId: "${correlationId}" }) and commands, in the API.`;
}
