import type { Context } from '../context.ts';
import { alternate, type Measurement } from '../harness/measuring.ts';
import type { EngineUnderTest } from '../harness/store.ts';
import { failureOf } from '../report.ts';
import { AppendProcess, appends } from './append.ts';

/** What it costs that the log is sealed behind the appends: the same engine with its sealer, and without. */
export async function sealedAppendRow({ report, times }: Context, engine: EngineUnderTest): Promise<void> {
  const unsealed = await AppendProcess.open('engine-unsealed', engine);
  try {
    const sealed = await AppendProcess.open('engine', engine);
    try {
      const series = { unsealed: appends(unsealed), sealed: appends(sealed) };
      const figures: Partial<Record<string, Measurement>> = await alternate<string>(series, times);
      report.add({
        name: 'sealed-append',
        engine,
        unit: 'events/s',
        against: 'the same appends, without seals',
        goal: { atLeast: 0.95 },
        ours: figures['sealed']?.perSecond,
        reference: figures['unsealed']?.perSecond,
        failure: failureOf(figures['unsealed'], figures['sealed']),
        details: figures,
      });
    } finally {
      await sealed.close();
    }
  } finally {
    await unsealed.close();
  }
}
