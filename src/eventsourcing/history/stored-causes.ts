import type { KeysetPage } from '../../platform/keyset.ts';
import { type CommandRecord, type CommandRecords, keyOfCommand } from '../commands/command-records.ts';
import type { RecordedEvent } from '../log/event.ts';
import type { EventHistory } from '../log/event-history.ts';
import type { CauseSource } from './causes.ts';

/** How many are read in one statement: it holds up nobody for long. */
const PAGE = 1_000;

/** What this store knows of who was the cause of what. */
export class StoredCauses implements CauseSource<CommandRecord, RecordedEvent> {
  readonly #history: EventHistory;
  readonly #records: CommandRecords;

  constructor(history: EventHistory, records: CommandRecords) {
    this.#history = history;
    this.#records = records;
  }

  async findCommand(commandId: string): Promise<CommandRecord | undefined> {
    return (await this.#records.find([commandId])).get(commandId);
  }

  findEvent(eventId: string): Promise<RecordedEvent | undefined> {
    return this.#history.find(eventId);
  }

  eventsOf(correlationId: string, limit: number): Promise<RecordedEvent[]> {
    return pageByPage(limit, async (last: RecordedEvent | undefined, page) => {
      const after = last === undefined ? undefined : ([last.position] as const);
      const { events } = await this.#history.page({ correlationId }, { ...page, after });
      return events;
    });
  }

  commandsOf(correlationId: string, limit: number): Promise<CommandRecord[]> {
    return pageByPage(limit, (last: CommandRecord | undefined, page) =>
      this.#records.list({ correlationId }, { ...page, after: last && keyOfCommand(last) }),
    );
  }
}

async function pageByPage<Item>(
  limit: number,
  read: (last: Item | undefined, page: Pick<KeysetPage, 'limit' | 'inverted'>) => Promise<readonly Item[]>,
): Promise<Item[]> {
  const all: Item[] = [];
  while (all.length < limit) {
    const size = Math.min(PAGE, limit - all.length);
    const page = await read(all.at(-1), { limit: size, inverted: false });
    all.push(...page);
    if (page.length < size) break;
  }
  return all;
}
