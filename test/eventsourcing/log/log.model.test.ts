import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import type { CommandOutcome, CommandRequest } from '../../../src/eventsourcing/commands/command.ts';
import type { Engine } from '../../../src/eventsourcing/engine.ts';
import type { RecordedEvent } from '../../../src/eventsourcing/log/event.ts';
import { type Database, openDatabase } from '../../../src/platform/database.ts';
import { describeEachStore, openMigrated, type TestStore } from '../../support/stores.ts';
import { byKey, foldLog } from '../../support/tables.ts';
import { emptyTallyStore, type TallyState, tally, tallyDecider, tallyProjection } from '../../support/tally.ts';
import { readWholeLog, request, startTallyEngine, tallyLog } from '../../support/tally-engine.ts';

/**
 * Schedules of rounds; the commands of a round run at once, on two engines that share nothing but the store, or on one
 * where the store has room for one. The model is the decider itself: what the log says must be a history in which every command was decided on the state that it
 * reports, once, and every answer must be what that history justifies.
 */

const IDS = ['a', 'b', 'c'];
const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('new' as const),
      engine: fc.nat({ max: 1 }),
      name: fc.constantFrom(
        'Add' as const,
        'Add' as const,
        'AddWithCompanion' as const,
        'Lock' as const,
        'Unlock' as const,
      ),
      at: fc.nat({ max: 2 }),
      amount: fc.nat({ max: 5 }),
      expected: fc.constantFrom('any', 'any', 'any', 'right', 'behind'),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('repeat' as const), engine: fc.nat({ max: 1 }), which: fc.nat() }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('reuse' as const), engine: fc.nat({ max: 1 }), which: fc.nat() }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('broken' as const), engine: fc.nat({ max: 1 }), at: fc.nat({ max: 2 }) }),
  },
);
const round = fc.record({
  restarts: fc.constantFrom(-1, -1, 0, 1),
  steps: fc.array(step, { minLength: 1, maxLength: 12 }),
});

interface Told {
  readonly request: CommandRequest;
  readonly outcome: CommandOutcome;
}

const target = z.object({ tallyId: z.string(), otherId: z.string().optional() });

describeEachStore('The log, against a model', (kind) => {
  let store: TestStore;
  let databases: Database[];

  beforeAll(async () => {
    store = await kind.create();
    const database = await openMigrated(store);
    databases = kind.engine === 'pglite' ? [database] : [database, await openDatabase(store.settings)];
  });
  afterAll(async () => {
    await Promise.all(databases.map((it) => it.close()));
    await store.remove();
  });

  const startEngine = (database: Database) => startTallyEngine(database, { projections: [tallyProjection()] });

  it('is a history that justifies every answer, whatever runs at once and restarts', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(round, { minLength: 1, maxLength: 6 }), async (rounds) => {
        const [database] = databases;
        if (database === undefined) throw new Error('There is no database.');
        await emptyTallyStore(database);
        const engines = await Promise.all(databases.map(startEngine));
        const engineOf = (at: number): Engine => {
          const engine = engines[at % engines.length];
          if (engine === undefined) throw new Error('There is no engine.');
          return engine;
        };
        const told: Told[] = [];
        const sent: CommandRequest[] = [];
        for (const { restarts, steps } of rounds) {
          if (restarts >= 0) {
            const at = restarts % engines.length;
            await engineOf(at).stop();
            engines[at] = await startEngine(databases[at] ?? database);
          }
          const before = versionsOf(await readWholeLog(tallyLog(database)));
          const requests = steps.flatMap((it): { engine: number; request: CommandRequest }[] => {
            if (it.kind === 'broken')
              return [{ engine: it.engine, request: request('Poison', { tallyId: IDS[it.at] ?? '' }) }];
            if (it.kind === 'repeat' || it.kind === 'reuse') {
              const again = sent[it.which % Math.max(1, sent.length)];
              if (again === undefined) return [];
              const { tallyId } = target.parse(again.data);
              const other = request('Add', { tallyId, amount: 99 }, { commandId: again.commandId });
              return [{ engine: it.engine, request: it.kind === 'repeat' ? again : other }];
            }
            const [tallyId = '', otherId = ''] = [IDS[it.at], IDS[(it.at + 1) % IDS.length]];
            const version = before.get(tallyId) ?? 0;
            const expectedVersion = { any: undefined, right: version, behind: version - 1 }[it.expected];
            const data = {
              Add: { amount: it.amount },
              AddWithCompanion: { otherId, amount: it.amount },
              Lock: {},
              Unlock: {},
            };
            const made = { ...request('Lock', { tallyId }), name: it.name, data: { tallyId, ...data[it.name] } };
            const command = expectedVersion === undefined ? made : { ...made, expectedVersion };
            sent.push(command);
            return [{ engine: it.engine, request: command }];
          });
          const outcomes = await Promise.allSettled(
            requests.map((it) => engineOf(it.engine).executor.execute(it.request)),
          );
          for (const [at, outcome] of outcomes.entries()) {
            const asked = requests[at]?.request;
            if (asked === undefined) continue;
            expect(outcome.status, `${asked.name}`).toBe(asked.name === 'Poison' ? 'rejected' : 'fulfilled');
            if (outcome.status === 'fulfilled') told.push({ request: asked, outcome: outcome.value });
          }
        }
        const events = await readWholeLog(tallyLog(database));
        expectHistory(events, told);
        await expectReplays(engineOf(0), told);
        for (const engine of engines) {
          expect(await engine.tail.refresh()).toBe(events.length);
          const view = engine.view(tallyProjection());
          expect(await view.follower.reach(events.length, 10_000)).toBe(true);
          expect(byKey(tallyProjection(), await view.rows.find(''))).toEqual(
            await foldLog(tallyProjection(), tallyLog(database)),
          );
        }
        await Promise.all(engines.map((it) => it.stop()));
      }),
      { numRuns: 15, endOnFailure: true },
    );
  }, 60_000);
});

function versionsOf(events: readonly RecordedEvent[]): Map<string, number> {
  return new Map(events.map(({ aggregateId, version }) => [aggregateId, version]));
}

function expectHistory(events: readonly RecordedEvent[], told: readonly Told[]): void {
  expect(events.map(({ position }) => position)).toEqual(events.map((_, at) => at + 1));
  /** The state of each stream at each version. */
  const states = new Map<string, TallyState[]>(IDS.map((id) => [id, [tallyDecider.initialState]]));
  for (const event of events) {
    const history = states.get(event.aggregateId) ?? [];
    expect(event.version, 'versions have no gaps').toBe(history.length);
    const last = history.at(-1) ?? tallyDecider.initialState;
    history.push(z.custom<TallyState>().parse(tally.decider.evolve(last, z.custom<never>().parse(event))));
  }
  const stateOf = (id: string, version: number) => states.get(id)?.[version] ?? tallyDecider.initialState;
  const eventsOf = Map.prototype.get.bind(
    new Map(told.map(({ request: { commandId } }) => [commandId, events.filter((it) => it.commandId === commandId)])),
  );
  const firsts = new Map<string, number>();
  const changing = new Set<string>();
  for (const { request: asked, outcome } of told) {
    const { commandId, name, data, expectedVersion } = asked;
    const { tallyId, otherId } = target.parse(data);
    const own: RecordedEvent[] = eventsOf(commandId);
    const { receipt } = outcome;
    if (receipt === undefined) {
      // Not kept: someone else's id, or another version.
      if (outcome.outcome !== 'rejected') throw new Error('A success without a receipt.');
      expect(['COMMAND_ID_REUSED', 'VERSION_CONFLICT']).toContain(outcome.rejection.code);
      if (outcome.rejection.code === 'VERSION_CONFLICT') {
        expect(outcome.rejection['expectedVersion']).toBe(expectedVersion);
        expect(outcome.rejection['actualVersion']).not.toBe(expectedVersion);
      }
      continue;
    }
    const decidedAt = receipt.version;
    if (decidedAt === null) throw new Error('It has an outcome, and no version.');
    if (!receipt.replayed) firsts.set(commandId, (firsts.get(commandId) ?? 0) + 1);
    expect(own.at(-1)?.position ?? null, 'a receipt tells the position').toBe(receipt.position);
    if (outcome.outcome === 'rejected') {
      const isLocked = stateOf(tallyId, decidedAt).isLocked;
      const mayBeOthers = name === 'AddWithCompanion' && (states.get(otherId ?? '') ?? []).some((it) => it.isLocked);
      expect(own).toEqual([]);
      expect(name === 'Unlock' ? !isLocked : isLocked || mayBeOthers, 'a rejection has its reason').toBe(true);
      continue;
    }
    if (own.length === 0) {
      expect(stateOf(tallyId, decidedAt).isLocked, 'nothing was changed while it was open').toBe(false);
      continue;
    }
    changing.add(commandId);
    expect(own.map(({ aggregateId }) => aggregateId)).toEqual(otherId === undefined ? [tallyId] : [tallyId, otherId]);
    expect(own[0]?.version).toBe(decidedAt);
    if (expectedVersion !== undefined) expect(decidedAt).toBe(expectedVersion + 1);
    for (const { aggregateId, version, data: happened, type } of own) {
      const before = stateOf(aggregateId, version - 1);
      expect(before.isLocked).toBe(type === 'TallyUnlocked');
      if (type === 'TallyAdded') {
        const { amount, total } = z.object({ amount: z.number(), total: z.number() }).parse(happened);
        expect(total, 'it was decided on what was there').toBe(before.total + amount);
      }
    }
  }
  for (const [commandId, times] of firsts) expect(times, `${commandId} was done once`).toBe(1);
  expect(new Set(events.map(({ commandId }) => commandId)), 'what happened was asked for').toEqual(changing);
}

/** Every command that was kept gives the same answer again. */
async function expectReplays(engine: Engine, told: readonly Told[]): Promise<void> {
  for (const { request: asked, outcome } of told) {
    if (outcome.receipt === undefined) continue;
    const again = await engine.executor.execute(asked);
    expect(again).toEqual({ ...outcome, receipt: { ...outcome.receipt, replayed: true } });
  }
  const fresh = { ...request('Add', { tallyId: 'a', amount: 0 }), commandId: randomUUID() };
  expect((await engine.executor.execute(fresh)).receipt?.replayed ?? false).toBe(false);
}
