import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../../platform/database.ts';
import type { Notifications } from '../../platform/notifications.ts';
import type { CommandWatch } from '../commands/command-watch.ts';
import type { Scheduler } from '../commands/scheduler.ts';
import type { LogFollower } from '../followers/log-follower.ts';
import type { Node } from '../node.ts';
import type { LogTail } from './log-tail.ts';

const CHANNEL = 'cartstream';
/** How often a server looks for what others did, where it cannot hear them. */
const DEAF_POLL_MS = 200;
/** And where it can: for what a lost connection swallowed. */
const POLL_MS = 2_000;

export interface NewsParts {
  readonly database: Database;
  readonly tail: LogTail;
  readonly node: Node;
  readonly scheduler: Scheduler;
  readonly commandWatch: CommandWatch;
  readonly followers: readonly LogFollower[];
  /** Called where a rebuild may have been begun or ended, or a projection may have become this node's. */
  onRebuild(): void;
}

/**
 * Carries word of what was committed to whom it concerns: from within this process at once, from others over
 * LISTEN/NOTIFY, and by looking where that connection is lost. Word is only a reason to look; nothing relies on it.
 */
export class News {
  readonly #parts: NewsParts;
  readonly #stopped = new AbortController();
  #notifications: Notifications | undefined;
  #polling: Promise<void> = Promise.resolve();

  constructor(parts: NewsParts) {
    this.#parts = parts;
  }

  start(): void {
    const { database, followers } = this.#parts;
    let isAgain = false;
    this.#notifications = database.listen(
      CHANNEL,
      (word) => this.hear(word),
      () => {
        // The connection was lost, perhaps because the database crashed.
        if (isAgain) for (const follower of followers) follower.doubt();
        isAgain = true;
        void this.#look();
      },
    );
    if (this.#notifications !== undefined) this.#polling = this.#poll(this.#notifications);
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await Promise.all([this.#polling, this.#notifications?.stop()]);
  }

  /** `log <position>`, `checkpoint <position> <name>`, `queue`, `work`, `rebuild` or `nodes`. */
  hear(word: string): void {
    const { tail, node, scheduler, commandWatch, followers, onRebuild } = this.#parts;
    const [what, position, name] = word.split(' ');
    switch (what) {
      case 'log':
        tail.announce(Number(position));
        return;
      case 'queue':
      case 'work':
        scheduler.wake();
        commandWatch.wake();
        for (const follower of followers) follower.lookAtParking();
        return;
      case 'checkpoint':
        followers.find(({ task }) => task.name === name)?.hear(Number(position));
        return;
      case 'nodes':
        node.refresh();
        return;
      case 'rebuild':
        onRebuild();
        return;
      default:
    }
  }

  async #poll(notifications: Notifications): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      await delay(notifications.isListening ? POLL_MS : DEAF_POLL_MS, undefined, { signal }).catch(() => {});
      await this.#look();
    }
  }

  async #look(): Promise<void> {
    try {
      await this.#parts.tail.refresh();
      for (const word of ['work', 'nodes', 'rebuild']) this.hear(word);
    } catch {
      // The next look is soon; whoever needs the database now is told by their own statement.
    }
  }
}
