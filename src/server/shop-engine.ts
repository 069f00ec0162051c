import { contexts } from '../contexts/index.ts';
import { Archiver } from '../eventsourcing/archive/archiver.ts';
import { Engine } from '../eventsourcing/engine.ts';
import type { EngineSettings } from '../eventsourcing/engine-settings.ts';
import type { Clock } from '../platform/clock.ts';
import type { Database } from '../platform/database.ts';
import { createProcesses, type ProcessSettings, processEndings } from '../processes/index.ts';
import { type OutsideParties, performersWith } from './outside-parties.ts';

export type ShopEngineSettings = Omit<ProcessSettings, 'paymentProvider'> & Pick<EngineSettings, 'leaseSeconds'>;
export type ShopEngineParts = Pick<
  EngineSettings,
  | 'database'
  | 'clock'
  | 'ids'
  | 'logger'
  | 'masterKey'
  | 'otherMasterKeys'
  | 'forgottenList'
  | 'checkpointPlace'
  | 'onReplaced'
> & {
  readonly outside: OutsideParties;
};

/** The engine with all contexts and processes, over a migrated database. */
export function startShopEngine({ leaseSeconds, ...processes }: ShopEngineSettings, parts: ShopEngineParts) {
  const { outside, ...engineParts } = parts;
  return Engine.start({
    ...engineParts,
    aggregates: contexts.flatMap((context) => context.aggregates),
    projections: contexts.flatMap((context) => context.projections),
    processes: createProcesses({ ...processes, paymentProvider: outside.payments.name }),
    performers: performersWith(outside),
    ...(leaseSeconds === undefined ? {} : { leaseSeconds }),
  });
}

/** Archives what has ended in a store, beside servers or without one. */
export function shopArchiver(database: Database, clock: Clock): Archiver {
  const aggregates = [...contexts.flatMap((context) => context.aggregates), ...processEndings];
  return new Archiver({ database, aggregates, clock });
}
