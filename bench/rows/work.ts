import { COMMANDS_IN_FLIGHT, type Context } from '../context.ts';
import { alternate, type Measurement } from '../harness/measuring.ts';
import { Remote } from '../harness/remote.ts';
import type { EngineUnderTest } from '../harness/store.ts';
import { failureOf } from '../report.ts';
import type { Turn, WorkMethods } from '../workers/work.ts';

type Way = Exclude<keyof WorkMethods, 'open'>;
type Figures = Partial<Record<string, Measurement>>;

const ROWS = [
  { name: 'queued', way: 'queued', unit: 'commands/s', goal: { atLeast: 0.5 } },
  { name: 'queued-whole', way: 'queuedWhole', unit: 'commands/s', goal: { atLeast: 0.5 } },
  { name: 'timers', way: 'timers', unit: 'timers/s', goal: { atLeast: 0.4 } },
] as const;
export const WORK_ROWS: string[] = ROWS.map(({ name }) => name);

/** Commands from the queue, and timers, against commands that are run as they come. */
export async function workRows(context: Context, engine: EngineUnderTest): Promise<void> {
  const rows = ROWS.filter(({ name }) => context.wants(name));
  const ways: Way[] = ['immediate', ...rows.map(({ way }) => way)];
  const figures = await measure(context, engine, ways, COMMANDS_IN_FLIGHT);
  const { immediate } = figures;
  for (const { name, way, unit, goal } of rows) {
    context.report.add({
      name,
      engine,
      unit,
      against: 'the same engine, commands that are run as they come',
      goal,
      ours: figures[way]?.perSecond,
      reference: immediate?.perSecond,
      failure: failureOf(immediate, figures[way]),
      details: { immediate, [way]: figures[way] },
    });
  }
}

/** From an event to what a process does about it, against one command that nobody answers. */
export async function processLatencyRow(context: Context, engine: EngineUnderTest): Promise<void> {
  const figures = await measure(context, engine, ['immediate', 'processAnswers'], 1);
  const { immediate, processAnswers } = figures;
  context.report.add({
    name: 'process-latency',
    engine,
    unit: 'ms, p50',
    against: 'one command alone on the same engine',
    goal: { atMost: 10 },
    ours: processAnswers?.p50,
    reference: immediate?.p50,
    failure: failureOf(immediate, processAnswers),
    details: figures,
  });
}

/** Takes turns on one fresh store, in a process of its own. */
async function measure(
  { times }: Context,
  engine: EngineUnderTest,
  ways: readonly Way[],
  inFlight: number,
): Promise<Figures> {
  const store = await engine.createStore();
  const remote = new Remote<WorkMethods>('work');
  const series = (way: Way) => (durationMs: number) => remote.call(way, { inFlight, durationMs } satisfies Turn);
  try {
    await remote.call('open', store.settings);
    return await alternate<string>(Object.fromEntries(ways.map((way) => [way, series(way)])), times);
  } finally {
    await remote.stop();
    await store.remove();
  }
}
