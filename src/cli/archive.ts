import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { readSettings, type Settings } from '../config.ts';
import { systemClock } from '../platform/clock.ts';
import { FolderInUse } from '../platform/folder-lock.ts';
import { createLogger } from '../platform/logger.ts';
import { shopArchiver } from '../server/shop-engine.ts';
import { ArchiveApi, type ToldBatch } from './archive/archive-api.ts';
import { counted } from './counted.ts';
import { CannotAsk, endpointOptions, endpointUrl, urlOf } from './endpoint.ts';
import { GraphQLClient } from './graphql-client.ts';
import { optionProblems } from './option-problems.ts';
import { type Progress, showProgress } from './replay/progress.ts';
import { openStore } from './store.ts';
import { expectStore } from './store-to-read.ts';

const UNITS = { d: 86_400_000, h: 3_600_000, m: 60_000 } as const;
const duration = z
  .string()
  .regex(/^\d{1,6}[dhm]$/, 'must be a number of days, hours or minutes: 90d, 12h or 30m')
  .transform((text) => Number(text.slice(0, -1)) * (UNITS[z.enum(['d', 'h', 'm']).parse(text.at(-1))] ?? 0));

const archiveOptions = z.object({
  olderThan: duration.optional(),
  pause: z
    .string()
    .regex(/^\d{1,6}$/, 'must be a number of milliseconds')
    .transform(Number),
  url: endpointUrl.optional(),
  token: endpointOptions.token,
});

/** The exit code of what was ended by Ctrl-C. */
const INTERRUPTED = 130;
const MAX_COUNT = 1_000_000;

/** Where archiving is done: in this process, or by a server. */
interface Archive {
  next(before: Date, isCounting: boolean): Promise<ToldBatch>;
  /** When all is done. */
  makeRoom(): Promise<void>;
  close(): Promise<void>;
}

/**
 * `cartstream archive`: archives batch by batch, with a pause in between, until nothing is left that is so old. In the
 * database of DATABASE_URL it does so itself, beside any servers; in an embedded store, too, or else the server does that
 * has it open. Interrupted, it has done what it has done.
 * @param given the options as they were typed
 * @throws {CannotAsk}
 */
export async function archive(given: unknown): Promise<void> {
  const options = archiveOptions.safeParse(given);
  if (!options.success) throw new CannotAsk(optionProblems(options.error));
  const settings = readSettings();
  const { olderThan = settings.ARCHIVE_AFTER_DAYS * UNITS.d, pause } = options.data;
  const place = await placeOf(options.data, settings);
  const interruption = new AbortController();
  const interrupt = () => interruption.abort();
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  try {
    const done = await archiveAll(place, new Date(Date.now() - olderThan), pause, interruption.signal);
    process.stdout.write(summaryOf(done));
  } finally {
    await place.close();
  }
  // The schema engine keeps a timer that would hold the process for seconds.
  process.exit(interruption.signal.aborted ? INTERRUPTED : 0);
}

async function placeOf({ url, token }: z.output<typeof archiveOptions>, settings: Settings): Promise<Archive> {
  if (url !== undefined) return atServer(url, token);
  try {
    return await inProcess(settings);
  } catch (error) {
    if (!(error instanceof FolderInUse)) throw error;
    return atServer(urlOf(settings), token);
  }
}

function atServer(url: string, token: string | undefined): Archive {
  const api = new ArchiveApi(new GraphQLClient(url, token, () => {}), url);
  return {
    next: (before, isCounting) => api.next(before, isCounting),
    makeRoom: async () => {},
    close: async () => {},
  };
}

async function inProcess(settings: Settings): Promise<Archive> {
  if (settings.DATABASE_URL === undefined) expectStore(settings.DATA_DIR);
  const database = await openStore(settings, createLogger(settings.LOG_LEVEL));
  const archiver = shopArchiver(database, systemClock);
  return {
    async next(before, isCounting) {
      const { position: processed, upTo: total, ...batch } = await archiver.next(before);
      const commandsLeft = isCounting ? await archiver.commandsLeft(before, MAX_COUNT) : 0;
      return { ...batch, processed, total, commandsLeft };
    },
    makeRoom: () => archiver.makeRoom(),
    close: () => database.close(),
  };
}

interface Done {
  readonly events: number;
  readonly streams: number;
  readonly commands: number;
  readonly isAll: boolean;
}

async function archiveAll(place: Archive, before: Date, pauseMs: number, signal: AbortSignal): Promise<Done> {
  let done: Done = { events: 0, streams: 0, commands: 0, isAll: false };
  let [eventBar, commandBar]: (Progress | undefined)[] = [];
  let isCounting = false;
  try {
    while (!signal.aborted) {
      const batch = await place.next(before, isCounting);
      done = {
        events: done.events + batch.events,
        streams: done.streams + batch.streams,
        commands: done.commands + batch.commands,
        isAll: batch.isDone,
      };
      eventBar ??= showProgress('Looking through the log', batch.total, ['archived'], true);
      eventBar.reach(batch.processed, { archived: done.events });
      if (isCounting) {
        eventBar.end();
        const total = done.commands + batch.commandsLeft;
        commandBar = showProgress('Archiving commands', total, ['archived'], true);
      }
      commandBar?.reach(done.commands, { archived: done.commands });
      // As soon as the events are done, it is counted once how many commands there are.
      isCounting = commandBar === undefined && batch.processed >= batch.total;
      if (batch.isDone) break;
      await sleep(pauseMs, undefined, { signal }).catch(() => {});
    }
  } finally {
    eventBar?.end();
    commandBar?.end();
  }
  if (done.isAll && done.events + done.commands > 0) await place.makeRoom();
  return done;
}

function summaryOf({ events, streams, commands, isAll }: Done): string {
  const what = `${counted(events, 'event')} of ${counted(streams, 'stream')} and ${counted(commands, 'command')}`;
  if (!isAll) return `${what} were archived. It was interrupted: run it again, and it goes on from there.\n`;
  if (events + commands === 0) return 'Nothing is left that is so old: nothing was archived.\n';
  return `${what} were archived. Nothing is left that is so old.\n`;
}
