import type { Clock } from '../../platform/clock.ts';
import type { Database } from '../../platform/database.ts';
import type { Aggregate } from '../commands/aggregate.ts';
import { positionAt } from '../log/log-instants.ts';
import { type ArchivePace, LARGE_BATCHES, SMALL_BATCHES } from './archive-pace.ts';
import { ArchiveStore, type EndedStream, type EventToArchive, type NewSegment } from './archive-store.ts';
import { packRecord } from './archived-command.ts';
import { packSegment, segmentOf, unpackSegment } from './segment.ts';

/** A stretch of the log in which nothing has ended is passed; so many of them in one batch. */
const MAX_STRETCHES = 25;

/** What became of one batch, and how much is left. */
export interface ArchivedBatch {
  readonly events: number;
  readonly commands: number;
  /** Streams of which events were archived. */
  readonly streams: number;
  /** The log was looked through up to here … */
  readonly position: number;
  /** … and is to be up to there. */
  readonly upTo: number;
  /** Nothing is left that is so old. */
  readonly isDone: boolean;
}

export interface ArchiverParts {
  readonly database: Pick<Database, 'engine' | 'derived'>;
  /** With processes among them. */
  readonly aggregates: readonly Pick<Aggregate, 'endsWith'>[];
  readonly clock: Clock;
  /** As the engine takes it, unless it is given. */
  readonly pace?: ArchivePace;
}

/**
 * Moves what is old and has ended out of the tables that everything works on, batch by batch: first the events of streams
 * that came to their end, in the order in which they did, then commands. A batch is moved by one statement: whatever
 * happens, an event is in the one place or in the other. How far it has come is stored with it, so it goes on where it was.
 *
 * Nothing has to stand still meanwhile, and several may do this at once: a batch that was prepared while another was moved
 * is given up, and the next goes on from there.
 */
export class Archiver {
  readonly #store: ArchiveStore;
  readonly #parts: Required<ArchiverParts>;
  readonly #endings: readonly string[];
  /** Of this process, one at a time. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: ArchiverParts) {
    this.#parts = { pace: parts.database.engine === 'pglite' ? SMALL_BATCHES : LARGE_BATCHES, ...parts };
    this.#store = new ArchiveStore(parts.database.derived);
    this.#endings = [...new Set(parts.aggregates.flatMap(({ endsWith }) => endsWith ?? []))].sort();
  }

  /**
   * Archives the next batch of what came to its end before an instant, and before now.
   * @throws what the driver throws
   */
  next(before: Date): Promise<ArchivedBatch> {
    const batch = this.#last.then(() => {
      const now = this.#parts.clock.now();
      return this.#next(before < now ? before : now, now);
    });
    this.#last = batch.catch(() => {});
    return batch;
  }

  /**
   * Gives the room of what was archived back to the tables, where nobody else does: a server has its autovacuum. An
   * embedded store stands still meanwhile.
   */
  async makeRoom(): Promise<void> {
    if (this.#parts.database.engine === 'pglite') await this.#store.makeRoom();
  }

  /** How many commands are to be archived; no more than a limit. */
  commandsLeft(before: Date, limit: number): Promise<number> {
    return this.#store.countFinished(before, limit);
  }

  async #next(before: Date, now: Date): Promise<ArchivedBatch> {
    const events = await this.#archiveEvents(before, now);
    if (events.position < events.upTo || events.events > 0) return { ...events, commands: 0, isDone: false };
    return { ...events, ...(await this.#archiveCommands(before)) };
  }

  /** Where others archive meanwhile, nothing is done: what they have done is not to be done any more. */
  async #archiveEvents(before: Date, now: Date): Promise<Omit<ArchivedBatch, 'commands' | 'isDone'>> {
    const upTo = await positionAt(this.#parts.database.derived, new Date(before.getTime() - 1));
    const endings = this.#endings.join(' ');
    const progress = await this.#store.progress();
    // Where other types of events are endings now, what was passed is looked through again.
    const from = progress.endings === endings ? progress.position : 0;
    if (from >= upTo) return { events: 0, streams: 0, position: upTo, upTo };
    const found = await this.#endedAfter(from, upTo);
    const chosen = this.#chosen(found, await this.#oldest(found.streams));
    const position = chosen.position;
    const segments = await this.#segmentsWith(chosen.events);
    const positions = chosen.events.map((event) => event.position);
    const isDone = await this.#store.moveEvents(progress.batch, segments, positions, { position, endings }, now);
    const streams = new Set(chosen.events.map(({ streamId }) => streamId)).size;
    return isDone
      ? { events: positions.length, streams, position, upTo }
      : { events: 0, streams: 0, position: from, upTo };
  }

  async #endedAfter(from: number, upTo: number): Promise<{ streams: readonly EndedStream[]; end: number }> {
    const { stretch, events } = this.#parts.pace;
    let after = from;
    for (let stretches = 0; stretches < MAX_STRETCHES; stretches += 1) {
      const end = Math.min(after + stretch, upTo);
      const streams = await this.#store.ended(after, end, this.#endings, events);
      // As many as were asked for: there may be more in this stretch.
      if (streams.length === events) return { streams, end: streams.at(-1)?.position ?? end };
      if (streams.length > 0 || end === upTo) return { streams, end };
      after = end;
    }
    return { streams: [], end: after };
  }

  #oldest(streams: readonly EndedStream[]): Promise<EventToArchive[]> | readonly EventToArchive[] {
    return streams.length === 0 ? [] : this.#store.oldest(streams, this.#parts.pace.events);
  }

  /** As many events as a batch takes, and how far the log is looked through with them. */
  #chosen(found: { streams: readonly EndedStream[]; end: number }, oldest: readonly EventToArchive[]) {
    const { pace } = this.#parts;
    const segments = new Set<number>();
    const events: EventToArchive[] = [];
    for (const event of oldest) {
      segments.add(segmentOf(event.position));
      if (segments.size > pace.segments) break;
      events.push(event);
    }
    if (events.length === oldest.length && events.length < pace.events) return { events, position: found.end };
    // The last one may not be done: the next batch begins with it.
    const last = events.at(-1)?.streamId;
    const at = found.streams.findIndex(({ streamId }) => streamId === last);
    const done = found.streams[at - 1]?.position;
    return { events, position: done ?? (found.streams[0]?.position ?? 1) - 1 };
  }

  async #segmentsWith(events: readonly EventToArchive[]): Promise<NewSegment[]> {
    const added = new Map<number, EventToArchive[]>();
    for (const event of events) {
      const number = segmentOf(event.position);
      const others = added.get(number);
      if (others === undefined) added.set(number, [event]);
      else others.push(event);
    }
    const before = added.size === 0 ? new Map() : await this.#store.segments([...added.keys()]);
    return Promise.all(
      [...added].map(async ([number, news]): Promise<NewSegment> => {
        const segment = before.get(number);
        const lines = segment === undefined ? [] : await unpackSegment(segment.events);
        const all = [...lines, ...news.map(({ line }) => line)];
        const instants = [segment?.recordedFrom, ...news.map(({ recordedAt }) => recordedAt)];
        return {
          number,
          count: all.length,
          from: new Date(Math.min(...instants.flatMap((it) => it?.getTime() ?? []))),
          types: [...new Set([...(segment?.types ?? []), ...news.map(({ type }) => type)])].sort(),
          events: (await packSegment(all)).toString('base64'),
        };
      }),
    );
  }

  async #archiveCommands(before: Date): Promise<Pick<ArchivedBatch, 'commands' | 'isDone'>> {
    const finished = await this.#store.finished(before, this.#parts.pace.commands);
    if (finished.length === 0) return { commands: 0, isDone: true };
    const records = await Promise.all(
      finished.map(async ({ commandId, record }) => ({
        id: commandId,
        record: (await packRecord(record)).toString('base64'),
      })),
    );
    // Somebody else may have moved these meanwhile: then there may be others.
    return { commands: await this.#store.moveCommands(records), isDone: false };
  }
}
