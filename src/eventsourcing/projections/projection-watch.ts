import { isDeepStrictEqual } from 'node:util';
import { retryWhileAway } from '../database-away.ts';
import { Watcher } from '../live/watcher.ts';
import type { ProjectionState, ProjectionStates } from './projection-states.ts';

/** How often what is watched is looked at: an owner on another node does not say how far it has come. */
const LOOK_MS = 500;

/**
 * Follows how projections stand, for as long as anyone does. A watcher is the state that it was last given, and no list of
 * what it should still get: a slow one gets fewer, newer states.
 */
export class ProjectionWatch {
  readonly #states: ProjectionStates;
  readonly #watchers = new Set<ProjectionWatcher>();
  #looking: Promise<void> | undefined;
  #planned: NodeJS.Timeout | undefined;

  constructor(states: ProjectionStates) {
    this.#states = states;
  }

  /** How many watch. */
  get watchers(): number {
    return this.#watchers.size;
  }

  /** Something has begun or ended: it is shown at once. */
  wake(): void {
    if (this.#watchers.size > 0) this.#plan(0);
  }

  /**
   * The projection as it stands, then again whenever that has changed, twice a second at most. If the database stays away,
   * the iterator throws.
   * @returns undefined if there is no such projection
   */
  async watch(name: string): Promise<AsyncIterableIterator<ProjectionState> | undefined> {
    const state = (await this.#states.find([name])).get(name);
    if (state === undefined) return undefined;
    const watcher = new ProjectionWatcher(name, state, () => this.#watchers.delete(watcher));
    this.#watchers.add(watcher);
    this.#plan(LOOK_MS);
    return watcher;
  }

  #plan(inMs: number): void {
    if (this.#looking !== undefined) return;
    clearTimeout(this.#planned);
    this.#planned = setTimeout(() => {
      this.#looking = this.#look().finally(() => {
        this.#looking = undefined;
        if (this.#watchers.size > 0) this.#plan(LOOK_MS);
      });
    }, inMs).unref();
  }

  async #look(): Promise<void> {
    const watchers = [...this.#watchers];
    if (watchers.length === 0) return;
    try {
      const names = [...new Set(watchers.map(({ name }) => name))];
      const states = await retryWhileAway(() => this.#states.find(names));
      for (const watcher of watchers) {
        const state = states.get(watcher.name);
        if (state !== undefined) watcher.show(state);
      }
    } catch (error) {
      for (const watcher of watchers) watcher.fail(error);
    }
  }
}

/** One watcher of one projection. */
class ProjectionWatcher extends Watcher<ProjectionState> {
  readonly name: string;
  #state: ProjectionState;
  #given: ProjectionState | undefined;

  /** @param leave called once, when nobody listens any more */
  constructor(name: string, state: ProjectionState, leave: () => void) {
    super(leave);
    this.name = name;
    this.#state = state;
  }

  show(state: ProjectionState): void {
    this.#state = state;
    this.wake();
  }

  protected override take(): ProjectionState | undefined {
    if (isDeepStrictEqual(this.#state, this.#given)) return undefined;
    this.#given = this.#state;
    return this.#state;
  }
}
