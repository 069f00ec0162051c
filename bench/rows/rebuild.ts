import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from '../context.ts';
import { createFilledStore, EVENTS_PER_CART } from '../filled-store.ts';
import { alternate } from '../harness/measuring.ts';
import { Remote } from '../harness/remote.ts';
import type { EngineUnderTest } from '../harness/store.ts';
import { failureOf } from '../report.ts';
import type { RebuildMethods } from '../workers/rebuild.ts';

/** A projection rebuilt from the whole log, against merely reading the same events. */
export async function rebuildRow({ report, times }: Context, engine: EngineUnderTest): Promise<void> {
  const { store, copies } = await createFilledStore(engine, times.longLog / 10);
  const remote = new Remote<RebuildMethods>('rebuild');
  try {
    // Where a server keeps the one that it made for itself.
    const masterKey = readFileSync(join(store.environment['DATA_DIR'] ?? '', 'master.key'), 'utf8').trim();
    await remote.call('open', { settings: store.settings, masterKey, carts: copies });
    const figures = await alternate(
      { read: () => remote.call('read', undefined), rebuild: () => remote.call('rebuild', undefined) },
      times,
    );
    report.add({
      name: 'rebuild',
      engine,
      unit: 'events/s',
      against: `reading the same ${(copies * EVENTS_PER_CART).toLocaleString('en')} events with Prisma's findMany`,
      goal: { atLeast: 0.5 },
      ours: figures.rebuild.perSecond,
      reference: figures.read.perSecond,
      failure: failureOf(figures.read, figures.rebuild),
      details: figures,
    });
  } finally {
    await remote.stop();
    await store.remove();
  }
}
