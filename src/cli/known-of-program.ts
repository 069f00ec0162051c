import type { Settings } from '../config.ts';
import { contexts } from '../contexts/index.ts';
import type { KnownOfProgram } from '../eventsourcing/backup/until-commands.ts';
import { protectedMembers } from '../eventsourcing/keys/protected-fields.ts';
import { Shield } from '../eventsourcing/keys/shield.ts';
import { processAggregate } from '../eventsourcing/processes/process-aggregate.ts';
import type { ProcessManager } from '../eventsourcing/processes/process-manager.ts';
import { processView } from '../eventsourcing/processes/process-view.ts';
import { columnOf } from '../eventsourcing/projections/read-table.ts';
import { createProcesses } from '../processes/index.ts';
import { shopEngineSettings } from './shop-engine-settings.ts';

/** Every process of this program. */
export function processesOf(settings: Settings): readonly ProcessManager[] {
  return createProcesses({ ...shopEngineSettings(settings), paymentProvider: settings.PAYMENT_PROVIDER });
}

/** What a restore has to know of contexts and processes. */
export function knownOfProgram(settings: Settings): KnownOfProgram {
  const aggregates = [
    ...contexts.flatMap((context) => context.aggregates),
    ...processesOf(settings).map((process) => processAggregate(process)),
  ];
  const commands = aggregates.flatMap((aggregate) => aggregate.commands);
  const readTables = [...contexts.flatMap(({ projections }) => projections), processView].map(({ table }) => table);
  return {
    readTables: readTables.map(({ name }) => name),
    personal: new Map(
      readTables.flatMap(({ name, row }) =>
        [...(Shield.of('row', name, row)?.personalMembers() ?? [])].flatMap(([owner, members]) =>
          members.map((member) => [`${name}.${columnOf(member)}`, columnOf(owner)] as const),
        ),
      ),
    ),
    performed: commands.filter(({ performed }) => performed === true).map(({ name }) => name),
    secretive: commands
      .filter(({ input }) => [...protectedMembers(input).values()].some(({ kind }) => kind === 'secret'))
      .map(({ name }) => name),
  };
}
