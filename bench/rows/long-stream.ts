import type { Context } from '../context.ts';
import { alternate } from '../harness/measuring.ts';
import { Remote } from '../harness/remote.ts';
import type { EngineUnderTest } from '../harness/store.ts';
import { failureOf, progress } from '../report.ts';
import type { LongStreamMethods } from '../workers/long-stream.ts';

/** A command for an aggregate with a long history, which this process has never seen, against one with a short history. */
export async function longStreamRow({ report, times }: Context, engine: EngineUnderTest): Promise<void> {
  const store = await engine.createStore();
  const remote = new Remote<LongStreamMethods>('long-stream');
  const series = (way: 'short' | 'long') => (durationMs: number) => remote.call(way, { durationMs });
  try {
    const events = times.longStream;
    const begun = Date.now();
    await remote.call('open', { settings: store.settings, events });
    progress(
      `  filled a stream of ${events.toLocaleString('en')} events in ${((Date.now() - begun) / 1000).toFixed(1)} s`,
    );
    const figures = await alternate({ short: series('short'), long: series('long') }, times);
    report.add({
      name: 'long-stream',
      engine,
      unit: 'ms, p50',
      against: `100 events in the stream instead of ${events.toLocaleString('en')}`,
      goal: { atMost: 1.5 },
      ours: figures.long.p50,
      reference: figures.short.p50,
      failure: failureOf(figures.short, figures.long),
      details: figures,
    });
  } finally {
    await remote.stop();
    await store.remove();
  }
}
