import { APPENDS_IN_FLIGHT, type Context } from '../context.ts';
import { alternate, type Measurement } from '../harness/measuring.ts';
import { Remote } from '../harness/remote.ts';
import type { EngineUnderTest, Store } from '../harness/store.ts';
import { failureOf } from '../report.ts';
import type { AppendKind, AppendMethods } from '../workers/append.ts';

/** A store that one process appends to in one way. */
export class AppendProcess {
  readonly #remote: Remote<AppendMethods>;
  readonly #store: Store;

  private constructor(remote: Remote<AppendMethods>, store: Store) {
    this.#remote = remote;
    this.#store = store;
  }

  static async open(kind: AppendKind, engine: EngineUnderTest): Promise<AppendProcess> {
    const store = await engine.createStore();
    const opened = new AppendProcess(new Remote('append'), store);
    try {
      await opened.#remote.call('open', { kind, settings: store.settings });
      return opened;
    } catch (error) {
      await opened.close();
      throw error;
    }
  }

  measure(inFlight: number, durationMs: number): Promise<Measurement> {
    return this.#remote.call('measure', { inFlight, durationMs });
  }

  async close(): Promise<void> {
    await this.#remote.stop();
    await this.#store.remove();
  }
}

/** One event to a new stream, command rows and all, against what else could store it. */
export async function appendRow({ report, times }: Context, engine: EngineUnderTest): Promise<void> {
  const kind = engine.name === 'postgresql' ? 'emmett' : 'raw-insert';
  const reference = await AppendProcess.open(kind, engine);
  let ours: AppendProcess | undefined;
  let failure: string | undefined;
  try {
    ours = await AppendProcess.open('engine', engine);
  } catch (error) {
    failure = String(error);
  }
  try {
    const series = { reference: appends(reference), ...(ours === undefined ? {} : { ours: appends(ours) }) };
    const figures: Partial<Record<string, Measurement>> = await alternate<string>(series, times);
    report.add({
      name: 'append',
      engine,
      unit: 'events/s',
      against: kind === 'emmett' ? 'emmett-postgresql' : 'one raw insert per event through Prisma',
      goal: { atLeast: 6 },
      ours: figures['ours']?.perSecond,
      reference: figures['reference']?.perSecond,
      failure: failure ?? failureOf(figures['reference'], figures['ours']),
      details: figures,
    });
  } finally {
    await ours?.close();
    await reference.close();
  }
}

export function appends(process: AppendProcess): (durationMs: number) => Promise<Measurement> {
  return (durationMs) => process.measure(APPENDS_IN_FLIGHT, durationMs);
}
