import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Actor } from '../../../src/eventsourcing/actor.ts';
import { type CommandOutcome, Overloaded } from '../../../src/eventsourcing/commands/command.ts';
import type { Engine } from '../../../src/eventsourcing/engine.ts';
import { canonicalJson } from '../../../src/eventsourcing/json.ts';
import type { RecordedEvent } from '../../../src/eventsourcing/log/event.ts';
import { type Database, openDatabase } from '../../../src/platform/database.ts';
import { describeEachStore, embeddedStores, openMigrated, type TestStore } from '../../support/stores.ts';
import { tallyStream } from '../../support/tally.ts';
import { readWholeLog, rejected, request, startTallyEngine, succeeded } from '../../support/tally-engine.ts';

const CUSTOMER: Actor = { kind: 'CUSTOMER', id: 'anna' };

const range = (count: number, from = 1) => Array.from({ length: count }, (_, at) => from + at);
const versionsOf = (events: readonly RecordedEvent[]) => events.map(({ version }) => version);

describeEachStore('The command executor', (kind) => {
  let store: TestStore;
  let database: Database;
  let engine: Engine;
  /** As if in another process, with a cache of its own. An embedded store has room for one: there it is the same. */
  let rival: Engine;
  const closing: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    store = await kind.create();
    database = await openMigrated(store);
    engine = await startTallyEngine(database);
    closing.push(store.remove, database.close, () => engine.stop());
    rival = kind.engine === 'pglite' ? engine : await startRival();
  });
  afterAll(async () => {
    for (const close of closing.reverse()) await close();
  });
  async function startRival(): Promise<Engine> {
    const rivalDatabase = await openDatabase(store.settings);
    const started = await startTallyEngine(rivalDatabase);
    closing.push(rivalDatabase.close, () => started.stop());
    return started;
  }

  const run = (...parameters: Parameters<typeof request>) => engine.executor.execute(request(...parameters));
  const add = (tallyId: string, amount = 1) => run('Add', { tallyId, amount });
  const streamOf = (tallyId: string) => engine.log.readStreams([tallyStream(tallyId)]);
  const amountsOf = async (tallyId: string) =>
    (await streamOf(tallyId)).map(({ data }) => (data as { amount: number }).amount);
  const batchesWhile = async (work: () => Promise<unknown>) => {
    const spy = engine.log.append;
    let batches = 0;
    engine.log.append = (...parameters) => {
      batches += 1;
      return spy.apply(engine.log, parameters);
    };
    await work().finally(() => Reflect.deleteProperty(engine.log, 'append'));
    return batches;
  };

  describe('commands that come together', () => {
    it('are each done once, in the order in which they came', async () => {
      const [tallyId, others] = [randomUUID(), range(150).map(() => randomUUID())];
      const outcomes = await Promise.all(
        range(300).map((amount) => add(amount % 2 === 0 ? tallyId : (others[(amount - 1) / 2] ?? ''), amount)),
      );
      expect(outcomes.map((it) => succeeded(it).receipt.replayed)).not.toContain(true);
      expect(await amountsOf(tallyId)).toEqual(range(150).map((it) => it * 2));
      expect(await Promise.all(others.map(amountsOf))).toEqual(range(150).map((it) => [it * 2 - 1]));
      const positions = outcomes.flatMap((it) => succeeded(it).receipt.position ?? []);
      expect(new Set(positions).size).toBe(300);
    });

    it('share appends, also where all are for one stream', async () => {
      const tallyId = randomUUID();
      const outcomes: CommandOutcome[] = [];
      const batches = await batchesWhile(async () => {
        outcomes.push(...(await Promise.all(range(200).map((amount) => add(tallyId, amount)))));
      });
      expect(batches).toBeLessThan(10);
      expect(outcomes.map((it) => succeeded(it).receipt.version)).toEqual(range(200));
      expect(await amountsOf(tallyId)).toEqual(range(200));
      expect(versionsOf(await streamOf(tallyId))).toEqual(range(200));
    });

    it('find in their receipts the version and position of their own last event', async () => {
      const tallyId = randomUUID();
      const outcomes = await Promise.all([
        add(tallyId, 5),
        run('Add', { tallyId, amount: 0 }),
        add(tallyId, 7),
        run('Lock', { tallyId }),
        add(tallyId, 9),
      ]);
      const events = await streamOf(tallyId);
      expect(outcomes.map((it) => it.receipt?.version)).toEqual([1, 1, 2, 3, 3]);
      expect(outcomes.map((it) => it.receipt?.position)).toEqual([
        events[0]?.position,
        null,
        events[1]?.position,
        events[2]?.position,
        null,
      ]);
      expect(outcomes.map((it) => it.outcome)).toEqual([
        'succeeded',
        'succeeded',
        'succeeded',
        'succeeded',
        'rejected',
      ]);
    });

    it('carry their id, actor, correlation and cause in their events', async () => {
      const tallyId = randomUUID();
      const sent = request('Add', { tallyId, amount: 1 }, { actor: CUSTOMER });
      await engine.executor.execute({ ...sent, correlationId: randomUUID() });
      const caused = { ...request('Add', { tallyId, amount: 2 }), causationId: sent.commandId };
      await engine.executor.execute(caused);
      const [first, second] = await streamOf(tallyId);
      expect(first).toMatchObject({ commandId: sent.commandId, actor: CUSTOMER, causationId: sent.commandId });
      expect(first?.correlationId).not.toBe(sent.correlationId);
      expect(second).toMatchObject({ commandId: caused.commandId, causationId: caused.commandId });
    });
  });

  describe('expectedVersion', () => {
    it('lets a command pass that saw the newest version', async () => {
      const tallyId = randomUUID();
      await run('Add', { tallyId, amount: 1 }, { expectedVersion: 0 });
      expect(succeeded(await run('Add', { tallyId, amount: 2 }, { expectedVersion: 1 })).receipt.version).toBe(2);
    });

    it('rejects one that did not, with the events since; the same commandId then succeeds with the right one', async () => {
      const [tallyId, commandId] = [randomUUID(), randomUUID()];
      await Promise.all(range(4).map((amount) => add(tallyId, amount)));
      const late = rejected(await run('Add', { tallyId, amount: 9 }, { commandId, expectedVersion: 1 }));
      expect(late.rejection).toMatchObject({ code: 'VERSION_CONFLICT', expectedVersion: 1, actualVersion: 4 });
      expect(versionsOf(late.eventsSince ?? [])).toEqual([2, 3, 4]);
      expect(late.receipt).toBeUndefined();
      const mended = succeeded(await run('Add', { tallyId, amount: 9 }, { commandId, expectedVersion: 4 }));
      expect(mended.receipt).toMatchObject({ version: 5, replayed: false });
    });

    it('ahead of the stream is a conflict too', async () => {
      const early = rejected(await run('Add', { tallyId: randomUUID(), amount: 1 }, { expectedVersion: 3 }));
      expect(early.rejection).toMatchObject({ code: 'VERSION_CONFLICT', actualVersion: 0 });
      expect(early.eventsSince).toEqual([]);
    });

    it('lets one of many pass that saw the same version', async () => {
      const tallyId = randomUUID();
      const outcomes = await Promise.all(
        range(50).map((amount) => run('Add', { tallyId, amount }, { expectedVersion: 0 })),
      );
      expect(outcomes.filter((it) => it.outcome === 'succeeded')).toHaveLength(1);
      for (const outcome of outcomes.slice(1)) {
        expect(rejected(outcome)).toMatchObject({ rejection: { code: 'VERSION_CONFLICT', actualVersion: 1 } });
        expect(versionsOf(rejected(outcome).eventsSince ?? [])).toEqual([1]);
      }
    });

    it('is judged by the stream as it is, not as it was in the cache', async () => {
      const tallyId = randomUUID();
      await add(tallyId);
      await rival.executor.execute(request('Add', { tallyId, amount: 2 }));
      const outcome = await run('Add', { tallyId, amount: 3 }, { expectedVersion: 2 });
      expect(succeeded(outcome).receipt.version).toBe(3);
    });
  });

  describe('a command sent again', () => {
    it('changes nothing and gets the same receipt, while the first is under way and later', async () => {
      const [tallyId, commandId] = [randomUUID(), randomUUID()];
      const sent = request('Add', { tallyId, amount: 3 }, { commandId });
      const outcomes = await Promise.all(range(20).map(() => engine.executor.execute(sent)));
      outcomes.push(await engine.executor.execute(sent), await rival.executor.execute(sent));
      const receipts = outcomes.map((it) => succeeded(it).receipt);
      expect(receipts.filter(({ replayed }) => !replayed)).toHaveLength(1);
      expect(new Set(receipts.map((it) => canonicalJson({ ...it, replayed: true }))).size).toBe(1);
      expect(await amountsOf(tallyId)).toEqual([3]);
    });

    it('is recognised whatever the order of the members of its data', async () => {
      const [tallyId, commandId] = [randomUUID(), randomUUID()];
      await run('Add', { tallyId, amount: 3, note: 'a' }, { commandId });
      const again = succeeded(await run('Add', { note: 'a', amount: 3, tallyId }, { commandId }));
      expect(again.receipt.replayed).toBe(true);
    });

    it('with other content or by another actor is CommandIdReused, and changes nothing', async () => {
      const [tallyId, commandId] = [randomUUID(), randomUUID()];
      await run('Add', { tallyId, amount: 3 }, { commandId });
      const others = await Promise.all([
        run('Add', { tallyId, amount: 4 }, { commandId }),
        run('Add', { tallyId, amount: 3 }, { commandId, actor: CUSTOMER }),
        run('Lock', { tallyId }, { commandId }),
        run('Add', { tallyId: randomUUID(), amount: 3 }, { commandId }),
      ]);
      for (const other of others) {
        expect(rejected(other).rejection).toMatchObject({ code: 'COMMAND_ID_REUSED', commandId });
        expect(rejected(other).receipt).toBeUndefined();
      }
      expect(await streamOf(tallyId)).toHaveLength(1);
    });

    it('with other content while the first is under way is CommandIdReused too', async () => {
      const [tallyId, commandId] = [randomUUID(), randomUUID()];
      const [first, second] = await Promise.all([
        run('Add', { tallyId, amount: 3 }, { commandId }),
        run('Add', { tallyId, amount: 4 }, { commandId }),
      ]);
      succeeded(first);
      expect(rejected(second).rejection.code).toBe('COMMAND_ID_REUSED');
      expect(await amountsOf(tallyId)).toEqual([3]);
    });

    it('to two engines at once is done once', async () => {
      const sent = range(50).map(() => request('Add', { tallyId: randomUUID(), amount: 1 }));
      const outcomes = await Promise.all(
        sent.map((it) => Promise.all([engine.executor.execute(it), rival.executor.execute(it)])),
      );
      for (const both of outcomes) {
        expect(both.map((it) => succeeded(it).receipt.replayed).sort()).toEqual([false, true]);
      }
      const ids = sent.map(({ data }) => (data as { tallyId: string }).tallyId);
      expect(await Promise.all(ids.map(amountsOf))).toEqual(ids.map(() => [1]));
    });

    it('is told its success, though its expectedVersion is behind by its own doing', async () => {
      const [tallyId, commandId] = [randomUUID(), randomUUID()];
      await run('Add', { tallyId, amount: 3 }, { commandId, expectedVersion: 0 });
      await add(tallyId);
      const again = succeeded(await run('Add', { tallyId, amount: 3 }, { commandId, expectedVersion: 0 }));
      expect(again.receipt).toMatchObject({ version: 1, replayed: true });
    });
  });

  describe('a rejection', () => {
    it('of the business is kept: sent again it is the answer, though the state has changed', async () => {
      const [tallyId, commandId] = [randomUUID(), randomUUID()];
      await run('Lock', { tallyId });
      const first = rejected(await run('Add', { tallyId, amount: 1 }, { commandId }));
      expect(first).toMatchObject({
        rejection: { code: 'ILLEGAL_STATE', state: 'LOCKED' },
        receipt: { status: 'REJECTED', version: 1, position: null, replayed: false },
      });
      await run('Unlock', { tallyId });
      const again = rejected(await run('Add', { tallyId, amount: 1 }, { commandId }));
      expect(again.rejection).toEqual(first.rejection);
      expect(again.receipt).toEqual({ ...first.receipt, replayed: true });
      expect(await amountsOf(tallyId)).toEqual([undefined, undefined]);
    });

    it('of bad input is not kept, and names every field that is wrong', async () => {
      const [tallyId, commandId] = [randomUUID(), randomUUID()];
      const wrong = { tallyId: '', amount: -1.5 };
      const { rejection, receipt } = rejected(await run('Add', wrong, { commandId }));
      expect(receipt).toBeUndefined();
      expect(rejection.code).toBe('VALIDATION_FAILED');
      expect(rejection['fields']).toEqual(
        expect.arrayContaining([
          { path: ['tallyId'], message: 'must not be empty' },
          { path: ['amount'], message: 'must be a whole number' },
        ]),
      );
      succeeded(await run('Add', { tallyId, amount: 1 }, { commandId }));
    });

    it('by the audience or by the decider is not kept', async () => {
      const [tallyId, commandId] = [randomUUID(), randomUUID()];
      for (const name of ['Audit', 'Forbid'] as const) {
        const { rejection, receipt } = rejected(await run(name, { tallyId }, { commandId, actor: CUSTOMER }));
        expect([rejection.code, receipt]).toEqual(['FORBIDDEN', undefined]);
      }
      succeeded(await run('Audit', { tallyId }, { commandId }));
    });

    it('is never decided on what another engine has changed meanwhile', async () => {
      const tallyId = randomUUID();
      await run('Lock', { tallyId });
      await rival.executor.execute(request('Unlock', { tallyId }));
      succeeded(await add(tallyId));
    });
  });

  describe('companions', () => {
    it('succeed with their command, in one append, under its id', async () => {
      const [tallyId, otherId] = [randomUUID(), randomUUID()];
      const { receipt } = succeeded(await run('AddWithCompanion', { tallyId, otherId, amount: 4 }));
      const events = [...(await streamOf(tallyId)), ...(await streamOf(otherId))];
      expect(events.map(({ aggregateId }) => aggregateId)).toEqual([tallyId, otherId]);
      expect(events.map(({ commandId }) => commandId)).toEqual([receipt.commandId, receipt.commandId]);
      expect(receipt).toMatchObject({ version: 1, position: events[1]?.position });
    });

    it('take their command down with them', async () => {
      const [tallyId, otherId] = [randomUUID(), randomUUID()];
      await run('Lock', { tallyId: otherId });
      const outcome = rejected(await run('AddWithCompanion', { tallyId, otherId, amount: 4 }));
      expect(outcome).toMatchObject({ rejection: { code: 'ILLEGAL_STATE' }, receipt: { version: 0 } });
      expect(await streamOf(tallyId)).toEqual([]);
      expect(await streamOf(otherId)).toHaveLength(1);
    });

    it('stay with it where the database refuses one of them', async () => {
      const [tallyId, otherId] = [randomUUID(), randomUUID()];
      const note = 'poison \u0000';
      const outcomes = await Promise.allSettled([
        run('AddWithCompanion', { tallyId, otherId, amount: 4, note }),
        add(otherId, 5),
      ]);
      expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
      expect(await streamOf(tallyId)).toEqual([]);
      expect(await amountsOf(otherId)).toEqual([5]);
    });

    it('tie streams together in a batch, whatever else is done to them', async () => {
      const ids = range(6).map(() => randomUUID());
      const outcomes = await Promise.all(
        range(120).map((amount) => {
          const [tallyId = '', otherId = ''] = [ids[amount % 6], ids[(amount * 5 + 1) % 6]];
          return tallyId === otherId || amount % 3 === 0
            ? add(tallyId, amount)
            : run('AddWithCompanion', { tallyId, otherId, amount });
        }),
      );
      for (const outcome of outcomes) succeeded(outcome);
      const streams = await Promise.all(ids.map(streamOf));
      for (const events of streams) expect(versionsOf(events)).toEqual(range(events.length));
      expect(new Set(streams.flat().map(({ commandId }) => commandId)).size).toBe(120);
    });

    it('are decided anew where another engine was first, and rejected by what is, not by what was cached', async () => {
      const [tallyId, otherId] = [randomUUID(), randomUUID()];
      await run('Lock', { tallyId: otherId });
      await rival.executor.execute(request('Unlock', { tallyId: otherId }));
      succeeded(await run('AddWithCompanion', { tallyId, otherId, amount: 4 }));
      expect(await streamOf(otherId)).toHaveLength(3);
    });

    it('may be of the same type as their command', async () => {
      const [tallyId, otherId] = [randomUUID(), randomUUID()];
      await run('Mirror', { tallyId, otherId, amount: 4 });
      expect([await amountsOf(tallyId), await amountsOf(otherId)]).toEqual([[4], [4]]);
    });
  });

  describe('a command that breaks', () => {
    it.each(['Poison', 'Fail', 'Misdeclare'] as const)('(%s) fails alone among 63 innocents', async (name) => {
      const innocents = range(63).map(() => randomUUID());
      const [victim, guilty] = await Promise.all([
        Promise.allSettled(innocents.slice(0, 31).map((tallyId) => add(tallyId))),
        Promise.allSettled([run(name, { tallyId: randomUUID() })]),
        Promise.allSettled(innocents.slice(31).map((tallyId) => add(tallyId))),
      ]);
      expect(victim.map(({ status }) => status)).toEqual(victim.map(() => 'fulfilled'));
      expect(guilty.map(({ status }) => status)).toEqual(['rejected']);
      expect(await Promise.all(innocents.map(amountsOf))).toEqual(innocents.map(() => [1]));
    });

    it.each(['Poison', 'Fail', 'Misdeclare'] as const)('(%s) harms no other command of its stream', async (name) => {
      const tallyId = randomUUID();
      const outcomes = await Promise.allSettled([
        add(tallyId, 1),
        run(name, { tallyId }),
        add(tallyId, 2),
        add(tallyId, 3),
        run(name, { tallyId }),
      ]);
      expect(outcomes.map(({ status }) => status)).toEqual(
        [1, 0, 1, 1, 0].map((it) => (it ? 'fulfilled' : 'rejected')),
      );
      expect(await amountsOf(tallyId)).toEqual([1, 2, 3]);
      expect(succeeded(await add(tallyId, 4)).receipt.version).toBe(4);
    });

    it.each(['Poison', 'Fail', 'Misdeclare'] as const)('(%s) leaves a new stream new', async (name) => {
      const tallyId = randomUUID();
      await expect(run(name, { tallyId })).rejects.toThrow();
      expect(succeeded(await add(tallyId)).receipt.version).toBe(1);
    });

    it('leaves its commandId free', async () => {
      const [tallyId, commandId] = [randomUUID(), randomUUID()];
      await expect(run('Poison', { tallyId }, { commandId })).rejects.toThrow();
      succeeded(await run('Add', { tallyId, amount: 1 }, { commandId }));
    });

    it('by a commandId that is no UUID fails alone too', async () => {
      const tallyId = randomUUID();
      const outcomes = await Promise.allSettled([
        add(tallyId, 1),
        run('Add', { tallyId, amount: 2 }, { commandId: 'no uuid' }),
        add(tallyId, 3),
      ]);
      expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      expect(await amountsOf(tallyId)).toEqual([1, 3]);
    });

    it('because there is no such command is told so', async () => {
      const unknown = { ...request('Add', { tallyId: 'a', amount: 1 }), name: 'Explode' };
      await expect(engine.executor.execute(unknown)).rejects.toThrow('There is no command Explode.');
    });
  });

  describe('two engines that write the same streams at once', () => {
    it('apply every command exactly once, and leave no gap in any stream', async () => {
      const ids: string[] = range(5).map(() => randomUUID());
      const outcomes = await Promise.all(
        range(300).map((amount) => {
          const executor = amount % 2 === 0 ? engine.executor : rival.executor;
          const [tallyId = '', otherId = ''] = [ids[amount % 5], ids[(amount + 1) % 5]];
          return executor.execute(
            amount % 7 === 0
              ? request('AddWithCompanion', { tallyId, otherId, amount })
              : request('Add', { tallyId, amount }),
          );
        }),
      );
      const expected = new Map(ids.map((id) => [id, [] as number[]]));
      for (const amount of range(300)) {
        expected.get(ids[amount % 5] ?? '')?.push(amount);
        if (amount % 7 === 0) expected.get(ids[(amount + 1) % 5] ?? '')?.push(amount);
      }
      for (const outcome of outcomes) expect(succeeded(outcome).receipt.replayed).toBe(false);
      for (const id of ids) {
        const events = await streamOf(id);
        expect(versionsOf(events)).toEqual(range(events.length));
        const amounts = events.map(({ data }) => data as { amount: number; total: number });
        expect(amounts.map(({ amount }) => amount).sort((a, b) => a - b)).toEqual(
          expected.get(id)?.sort((a, b) => a - b),
        );
        // Each was decided on what those before it had made.
        let total = 0;
        for (const event of amounts) {
          total += event.amount;
          expect(event.total).toBe(total);
        }
      }
    });

    it('leave no gap in the whole log', async () => {
      const events = await readWholeLog(engine.log);
      expect(events.map(({ position }) => position)).toEqual(range(events.length));
    });
  });

  it('does the same as a queue of one, whatever comes at once (property)', async () => {
    const step = fc.record({
      at: fc.integer({ min: 0, max: 2 }),
      name: fc.constantFrom('Add', 'Lock', 'Unlock', 'Fail', 'Poison', 'AddWithCompanion' as const),
      amount: fc.integer({ min: 0, max: 9 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
        const ids = range(3).map(() => randomUUID());
        const model = ids.map(() => ({ isLocked: false, amounts: [] as number[] }));
        const expected = steps.map(({ at, name, amount }) => {
          const [own, other] = [model[at], model[(at + 1) % 3]];
          if (own === undefined || other === undefined) return 'impossible';
          if (name === 'Fail' || name === 'Poison') return 'failed';
          if (name === 'Lock' || name === 'Unlock') {
            if (own.isLocked === (name === 'Lock')) return 'rejected';
            own.isLocked = name === 'Lock';
            return 'succeeded';
          }
          if (own.isLocked || (name === 'AddWithCompanion' && other.isLocked)) return 'rejected';
          for (const it of name === 'Add' ? [own] : [own, other]) if (amount > 0) it.amounts.push(amount);
          return 'succeeded';
        });
        const outcomes = await Promise.all(
          steps.map(({ at, name, amount }) => {
            const [tallyId = '', otherId = ''] = [ids[at], ids[(at + 1) % 3]];
            const data = { Add: { tallyId, amount }, AddWithCompanion: { tallyId, otherId, amount } };
            return run(name, name === 'Add' || name === 'AddWithCompanion' ? data[name] : { tallyId }).then(
              ({ outcome }) => outcome,
              () => 'failed',
            );
          }),
        );
        expect(outcomes).toEqual(expected);
        for (const [at, id] of ids.entries()) {
          const events = await streamOf(id);
          expect(versionsOf(events)).toEqual(range(events.length));
          expect((await amountsOf(id)).filter((it) => it !== undefined)).toEqual(model[at]?.amounts);
        }
      }),
      { numRuns: 30 },
    );
  });
});

describe('The command executor under more load than it can take', () => {
  it('turns further commands away at once, and does all that it took', async () => {
    const store = await embeddedStores.create();
    const database = await openMigrated(store);
    const engine = await startTallyEngine(database);
    const tallyId = randomUUID();
    const outcomes = await Promise.allSettled(
      range(20_050).map(() => engine.executor.execute(request('Add', { tallyId, amount: 1 }))),
    );
    const refused = outcomes.filter((it) => it.status === 'rejected');
    expect(refused).toHaveLength(50);
    expect(refused.every(({ reason }) => reason instanceof Overloaded)).toBe(true);
    expect(versionsOf(await engine.log.readStreams([tallyStream(tallyId)]))).toEqual(range(20_000));
    await engine.stop();
    await database.close();
    await store.remove();
  });
});
