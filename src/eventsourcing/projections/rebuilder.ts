import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../../platform/clock.ts';
import { isDatabaseAway } from '../../platform/failures.ts';
import type { Logger } from '../../platform/logger.ts';
import type { LogFollower } from '../followers/log-follower.ts';
import { RebuildGone } from './rebuild.ts';
import type { ClaimedRebuild, Differences, RebuildRow, RebuildStore } from './rebuild-store.ts';

const RETRY_MS = 200;
/** Begun so often from the same position, each time ended by the end of the process: that is the cause. */
const MAX_ATTEMPTS = 5;

/** A projection, for what rebuilds it. */
export interface Rebuildable {
  readonly follower: LogFollower;
  /** Does what was claimed. @throws {RebuildGone}; or why it cannot be done */
  rebuild(claimed: ClaimedRebuild, signal: AbortSignal): Promise<Differences>;
}

export interface RebuilderParts {
  readonly store: RebuildStore;
  readonly projections: readonly Rebuildable[];
  /** What claims are made with; undefined while this process has no lease. */
  node(): string | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Does the rebuilds of the projections that this node owns, one at a time, and clears up after those that were cancelled.
 * One that was under way when its node died is gone on with by whichever node owns the projection next.
 */
export class Rebuilder {
  readonly #parts: RebuilderParts;
  readonly #byName: ReadonlyMap<string, Rebuildable>;
  readonly #stopped = new AbortController();
  #isAsked = true;
  #wake: (() => void) | undefined;
  #loop: Promise<void> = Promise.resolve();

  constructor(parts: RebuilderParts) {
    this.#parts = parts;
    this.#byName = new Map(parts.projections.map((it) => [it.follower.task.name, it]));
  }

  start(): void {
    this.#loop = this.#run();
  }

  /** There may be something to do. */
  wake(): void {
    this.#isAsked = true;
    this.#wake?.();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#wake?.();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      if (!this.#isAsked) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
        continue;
      }
      this.#isAsked = false;
      try {
        await this.#look();
      } catch (error) {
        if (!isDatabaseAway(error)) this.#parts.logger.error({ err: error }, 'rebuilds could not be looked at');
        await this.#again();
      }
    }
  }

  async #look(): Promise<void> {
    const { store } = this.#parts;
    for (const row of await store.open([...this.#byName.keys()])) {
      const projection = this.#byName.get(row.name);
      if (this.#stopped.signal.aborted || projection?.follower.isOwner !== true) continue;
      if (isUnderWay(row)) await this.#take(projection);
      else await store.clear(row.name);
    }
  }

  async #take(projection: Rebuildable): Promise<void> {
    const { store, node: nodeOf, clock, logger } = this.#parts;
    const { name, version } = projection.follower.task;
    const node = nodeOf();
    const claimed = node === undefined ? undefined : await store.claim(name, version, node);
    if (claimed === undefined) return;
    const about = { projection: name, run: claimed.run };
    try {
      if (claimed.attempts > MAX_ATTEMPTS) throw new Error('The process died whenever it was gone on with.');
      logger.info({ ...about, position: claimed.position }, 'a projection is being rebuilt');
      const { count, keys } = await projection.rebuild(claimed, this.#stopped.signal);
      logger[count > 0 ? 'warn' : 'info'](
        { ...about, differences: count, keys },
        count > 0 ? 'a projection was rebuilt: rows differed from those before' : 'a projection was rebuilt',
      );
    } catch (error) {
      await this.#afterFailure(claimed, error, clock.now());
    }
  }

  async #afterFailure(claimed: ClaimedRebuild, error: unknown, now: Date): Promise<void> {
    const { store, logger } = this.#parts;
    const { name, run } = claimed;
    if (this.#stopped.signal.aborted) return store.giveBack(claimed).catch(() => {});
    if (error instanceof RebuildGone || isDatabaseAway(error)) return this.#again();
    logger.error({ err: error, projection: name, run }, 'a rebuild failed: the live rows stay as they are');
    await store.fail(claimed, error, now);
    await store.clear(name);
  }

  /** Looks again soon: if it is still under way, and still this node's, it goes on. */
  async #again(): Promise<void> {
    await delay(RETRY_MS, undefined, { signal: this.#stopped.signal }).catch(() => {});
    this.#isAsked = true;
  }
}

function isUnderWay({ status }: RebuildRow): boolean {
  return status === 'RUNNING' || status === 'COMPARING';
}
