import { type ChildProcess, fork } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { stop, track } from './processes.ts';

// Calls into a child process over its IPC channel. Both sides are bundled from the same sources and trust each other.

type Methods = Record<string, (argument: never) => Promise<unknown>>;
type Call = { id: number; method: string; argument: unknown };
type Answer = { id: number; result?: unknown; error?: string };

/** In the child: answers the parent's calls. */
export function answer(methods: Methods): void {
  const table = methods as Record<string, (argument: unknown) => Promise<unknown>>;
  process.on('message', async ({ id, method, argument }: Call) => {
    let message: Answer;
    try {
      message = { id, result: await table[method]?.(argument) };
    } catch (error) {
      message = { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
    process.send?.(message);
  });
  process.on('disconnect', () => process.exit());
}

/** A child process that runs one of the bench's entries. */
export class Remote<M extends Methods> {
  readonly child: ChildProcess;
  readonly #waiting = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  #lastId = 0;

  constructor(entry: string) {
    this.child = track(
      fork(fileURLToPath(new URL(`./${entry}.js`, import.meta.url)), {
        env: { ...process.env, NODE_ENV: 'production' },
      }),
    );
    this.child.on('message', ({ id, result, error }: Answer) => {
      const call = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) call?.resolve(result);
      else call?.reject(new Error(`${entry}: ${error}`));
    });
    this.child.on('exit', (code, signal) => {
      for (const call of this.#waiting.values()) call.reject(new Error(`${entry} ended (${signal ?? code})`));
      this.#waiting.clear();
    });
  }

  call<K extends keyof M & string>(method: K, argument: Parameters<M[K]>[0]): ReturnType<M[K]> {
    this.#lastId += 1;
    const id = this.#lastId;
    const result = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.child.send({ id, method, argument } satisfies Call);
    return result as ReturnType<M[K]>;
  }

  stop(): Promise<void> {
    return stop(this.child);
  }
}
