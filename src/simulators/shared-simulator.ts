import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { FolderInUse } from '../platform/folder-lock.ts';
import type { Logger } from '../platform/logger.ts';
import { ledgerMark, type Simulator, SimulatorPortTaken } from './simulator.ts';

const LOOK_EVERY_MS = 1_000;
const JOIN_WITHIN_MS = 5_000;
const HEALTH_TIMEOUT_MS = 1_000;

export interface SharedOptions {
  readonly simulator: string;
  readonly host: string;
  readonly port: number;
  readonly ledgerFile: string;
  readonly logger: Logger;
  readonly begin: () => Promise<Simulator>;
}

const NOT_OURS = { simulator: '', ledger: '' };
const health = z.object({ simulator: z.string(), ledger: z.string() }).catch(NOT_OURS);

/** One simulator of several processes: one of them serves it, the others watch whether it still does. */
export class SharedSimulator {
  readonly url: string;
  readonly #options: SharedOptions;
  #own: Simulator | undefined;
  #watching: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;

  static async start(options: SharedOptions): Promise<SharedSimulator> {
    const until = Date.now() + JOIN_WITHIN_MS;
    for (;;) {
      try {
        return new SharedSimulator(options, await options.begin());
      } catch (error) {
        if (options.port === 0 || !isTaken(error)) throw error;
        const there = await whoAnswers(urlOf(options));
        if (there !== undefined && there.simulator === options.simulator)
          return SharedSimulator.#joined(options, there.ledger);
        // Where nobody answers, whoever has it is about to serve it, or about to end.
        const isForeign = there !== undefined && error instanceof SimulatorPortTaken;
        if (isForeign || Date.now() > until) throw error;
      }
      await delay(50);
    }
  }

  /** Uses the simulator of another process. @param ledger which ledger that has open */
  static #joined(options: SharedOptions, ledger: string): SharedSimulator {
    const shared = new SharedSimulator(options, undefined);
    if (ledger === ledgerMark(options.ledgerFile)) shared.#watch();
    return shared;
  }

  private constructor(options: SharedOptions, own: Simulator | undefined) {
    this.#options = options;
    this.#own = own;
    this.url = own?.url ?? urlOf(options);
  }

  async stop(): Promise<void> {
    clearInterval(this.#watching);
    await this.#looking;
    await this.#own?.stop();
  }

  #watch(): void {
    this.#watching = setInterval(() => {
      this.#looking ??= this.#look().finally(() => {
        this.#looking = undefined;
      });
    }, LOOK_EVERY_MS);
  }

  async #look(): Promise<void> {
    const { begin, logger, simulator } = this.#options;
    if (this.#own !== undefined || (await whoAnswers(this.url)) !== undefined) return;
    try {
      this.#own = await begin();
      clearInterval(this.#watching);
      logger.info({ simulator, url: this.url }, 'this process serves the simulator now');
    } catch (error) {
      // Another one was quicker.
      if (!isTaken(error)) logger.warn({ err: error, simulator }, 'the simulator cannot be started');
    }
  }
}

/** @returns what serves the port, with empty names where that is no simulator; undefined where nothing answers */
async function whoAnswers(url: string): Promise<z.output<typeof health> | undefined> {
  try {
    const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(HEALTH_TIMEOUT_MS) });
    return health.parse(JSON.parse(await response.text()));
  } catch (error) {
    return error instanceof SyntaxError ? NOT_OURS : undefined;
  }
}

function urlOf({ host, port }: Pick<SharedOptions, 'host' | 'port'>): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function isTaken(error: unknown): boolean {
  return error instanceof FolderInUse || error instanceof SimulatorPortTaken;
}
