import type { Context } from '../context.ts';
import { alternate, type Measurement } from '../harness/measuring.ts';
import type { EngineUnderTest } from '../harness/store.ts';
import { failureOf } from '../report.ts';
import { AppendProcess, appends } from './append.ts';

/** What it costs that personal data is encrypted: the same orders, with a mail address and an address in each, both ways. */
export async function encryptionRow({ report, times }: Context, engine: EngineUnderTest): Promise<void> {
  const plain = await AppendProcess.open('engine-plain', engine);
  try {
    const personal = await AppendProcess.open('engine-personal', engine);
    try {
      const series = { plain: appends(plain), personal: appends(personal) };
      const figures: Partial<Record<string, Measurement>> = await alternate<string>(series, times);
      report.add({
        name: 'encryption',
        engine,
        unit: 'events/s',
        against: 'the same events, unencrypted',
        goal: { atLeast: 0.7 },
        ours: figures['personal']?.perSecond,
        reference: figures['plain']?.perSecond,
        failure: failureOf(figures['plain'], figures['personal']),
        details: figures,
      });
    } finally {
      await personal.close();
    }
  } finally {
    await plain.close();
  }
}
