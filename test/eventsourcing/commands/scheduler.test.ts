import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type Actor, SYSTEM } from '../../../src/eventsourcing/actor.ts';
import type { CommandOutcome, CommandRequest, Schedule } from '../../../src/eventsourcing/commands/command.ts';
import type { CommandRecord } from '../../../src/eventsourcing/commands/command-records.ts';
import type { RetryPolicy } from '../../../src/eventsourcing/commands/retry-policy.ts';
import type { Engine } from '../../../src/eventsourcing/engine.ts';
import type { RecordedEvent } from '../../../src/eventsourcing/log/event.ts';
import { type Database, openDatabase } from '../../../src/platform/database.ts';
import { atDesk, createDesk } from '../../support/desk.ts';
import { createGlass, touching } from '../../support/glass.ts';
import {
  amountsOf,
  enqueue,
  eventsOf,
  eventually,
  finished,
  letterRows,
  queueRowOf,
  queueRows,
  receiptOf,
  recordOf,
  statusOf,
  untilDrained,
  untilNothingRuns,
} from '../../support/queue.ts';
import { describeEachStore, describeServerStore, openMigrated, type TestStore } from '../../support/stores.ts';
import {
  emptyTallyStore,
  type TallyCommand,
  type TallyEvent,
  type TallyState,
  tallyDecider,
} from '../../support/tally.ts';
import {
  readWholeLog,
  rejected,
  request,
  startTallyEngine,
  succeeded,
  type TallyEngineOptions,
} from '../../support/tally-engine.ts';
import { TcpProxy } from '../../support/tcp-proxy.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';
import { within } from '../../support/within.ts';

const CUSTOMER: Actor = { kind: 'CUSTOMER', id: 'anna' };
const CONTEXT = { actor: SYSTEM, now: new Date(0), facts: new Map<string, never>() };
const MINUTE = 60_000;
const ONE_ATTEMPT: RetryPolicy = { maxAttempts: 1, firstPauseMs: 1, longestPauseMs: 1 };
const SOON: RetryPolicy = { maxAttempts: 3, firstPauseMs: 1, longestPauseMs: 1 };

const range = (count: number, from = 1) => Array.from({ length: count }, (_, at) => from + at);

describeEachStore('The queue of commands', (kind) => {
  let store: TestStore;
  let database: Database;
  const engines: Engine[] = [];

  beforeAll(async () => {
    store = await kind.create();
    database = await openMigrated(store);
  });
  beforeEach(() => emptyTallyStore(database));
  afterEach(async () => {
    await Promise.all(engines.splice(0).map((it) => it.stop()));
  });
  afterAll(async () => {
    await database.close();
    await store.remove();
  });

  async function start(options: TallyEngineOptions = {}): Promise<Engine> {
    const engine = await startTallyEngine(database, options);
    engines.push(engine);
    return engine;
  }
  /** A command as another version of the program may have queued it. */
  async function enqueueRow(name: string, input: Readonly<Record<string, unknown>>, tallyId: string, due?: Date) {
    const id = randomUUID();
    const row = { id, n: name, t: 'tally', a: tallyId, d: input, f: 'of another version', k: 'SYSTEM', due };
    await database.log.query('SELECT enqueue_commands($1::jsonb, $2::timestamptz)', JSON.stringify([row]), new Date(0));
    return id;
  }
  async function dropAll(engine: Engine): Promise<void> {
    for (const { id, status } of await letterRows(database)) {
      if (status === 'OPEN') succeeded(await atDesk(engine, 'Drop', { letter: id, reason: 'It is in the way.' }));
    }
  }
  const countCommands = async () => (await database.log.query('SELECT 1 FROM commands')).length;
  const later = (clock: VirtualClock, ms: number) => new Date(clock.now().getTime() + ms);
  /** The scheduler has looked at everything that was due when this was called, and run it. */
  const looked = async (engine: Engine) => {
    const id = await enqueue(engine, request('Add', { tallyId: randomUUID(), amount: 1 }));
    expect(await finished(engine, id)).toMatchObject({ status: 'SUCCEEDED' });
    await untilNothingRuns(database);
  };

  describe('takes a command', () => {
    it('and answers that it is queued; it runs with the actor and the ids that it came with', async () => {
      const engine = await start();
      const [tallyId, causationId] = [randomUUID(), randomUUID()];
      const sent = { ...request('Add', { tallyId, amount: 3 }, { actor: CUSTOMER }), causationId };
      const { commandId, correlationId } = sent;
      expect(await engine.executor.enqueue(sent, {})).toEqual({
        outcome: 'accepted',
        aggregateId: tallyId,
        receipt: { commandId, correlationId, status: 'QUEUED', version: null, position: null, replayed: false },
      });
      const record = await finished(engine, commandId);
      const [event] = await eventsOf(engine, tallyId);
      expect(record).toMatchObject({
        status: 'SUCCEEDED',
        attempts: 1,
        version: 1,
        position: 1,
        eventCount: 1,
        causationId,
      });
      expect(record).toMatchObject({ actor: CUSTOMER, input: { tallyId, amount: 3 }, dueAt: null, issuer: null });
      expect(event).toMatchObject({ commandId, correlationId, causationId: commandId, actor: CUSTOMER });
      expect(await queueRows(database)).toEqual([]);
    });

    it('once: the same again is told how it stands, another content that the id is taken', async () => {
      const clock = new VirtualClock();
      const engine = await start({ clock });
      const [tallyId, commandId] = [randomUUID(), randomUUID()];
      const sent = request('Add', { tallyId, amount: 3 }, { commandId });
      const schedule: Schedule = { dueAt: later(clock, MINUTE), deadline: later(clock, 2 * MINUTE) };
      await enqueue(engine, sent, schedule);
      const again = await Promise.all(range(5).map(() => engine.executor.enqueue(sent, schedule)));
      for (const outcome of again) {
        expect(outcome).toMatchObject({ outcome: 'accepted', receipt: { status: 'QUEUED', replayed: true } });
      }
      const others = [
        request('Add', { tallyId, amount: 4 }, { commandId }),
        request('Add', { tallyId, amount: 3 }, { commandId, actor: CUSTOMER }),
        request('Lock', { tallyId }, { commandId }),
      ];
      for (const other of others) {
        expect(rejected(await engine.executor.enqueue(other, {})).rejection).toMatchObject({
          code: 'COMMAND_ID_REUSED',
        });
      }
      clock.advance(MINUTE);
      await finished(engine, commandId);
      expect(receiptOf(await engine.executor.enqueue(sent, schedule))).toMatchObject({ version: 1, replayed: true });
      expect(await amountsOf(engine, tallyId)).toEqual([3]);
      expect(await countCommands()).toBe(1);
    });

    it('and tells the outcome to whoever sends it again after its deadline', async () => {
      const clock = new VirtualClock();
      const engine = await start({ clock });
      const sent = request('Add', { tallyId: randomUUID(), amount: 3 });
      const schedule = { deadline: later(clock, MINUTE) };
      await enqueue(engine, sent, schedule);
      await finished(engine, sent.commandId);
      clock.advance(2 * MINUTE);
      const again = succeeded(await engine.executor.enqueue(sent, schedule));
      expect(again.receipt).toMatchObject({ status: 'SUCCEEDED', replayed: true });
    });

    it('the first of two with the same id, whatever the other is', async () => {
      const engine = await start();
      const [tallyId, commandId] = [randomUUID(), randomUUID()];
      const outcomes = await Promise.all([
        engine.executor.enqueue(request('Add', { tallyId, amount: 1 }, { commandId }), {}),
        engine.executor.enqueue(request('Add', { tallyId, amount: 2 }, { commandId }), {}),
      ]);
      expect(outcomes).toMatchObject([{ outcome: 'accepted' }, { rejection: { code: 'COMMAND_ID_REUSED' } }]);
      await finished(engine, commandId);
      expect(await amountsOf(engine, tallyId)).toEqual([1]);
    });

    it('only where it could be run: what is wrong is said at once, and nothing is stored', async () => {
      const clock = new VirtualClock();
      const engine = await start({ clock });
      const tallyId = randomUUID();
      const add = () => request('Add', { tallyId, amount: 1 });
      const now = clock.now();
      const refused: [CommandOutcome, string][] = [
        [await engine.executor.enqueue(request('Add', { tallyId: '', amount: -1 }), {}), 'VALIDATION_FAILED'],
        [await engine.executor.enqueue(request('Audit', { tallyId }, { actor: CUSTOMER }), {}), 'FORBIDDEN'],
        [await engine.executor.enqueue(add(), { deadline: now }), 'VALIDATION_FAILED'],
        [
          await engine.executor.enqueue(add(), { dueAt: later(clock, 5), deadline: later(clock, 5) }),
          'VALIDATION_FAILED',
        ],
        [
          await engine.executor.enqueue(add(), { dueAt: later(clock, 5), deadline: later(clock, 4) }),
          'VALIDATION_FAILED',
        ],
        [await engine.executor.enqueue(add(), { dueAt: later(clock, -9), deadline: now }), 'VALIDATION_FAILED'],
      ];
      for (const [outcome, code] of refused) {
        expect(rejected(outcome)).toMatchObject({ rejection: { code } });
        expect(outcome.receipt).toBeUndefined();
      }
      expect(await countCommands()).toBe(0);
      expect(await queueRows(database)).toEqual([]);
    });

    it('beside one that the database refuses: that one alone is told', async () => {
      const engine = await start();
      const innocents = range(20).map(() => request('Add', { tallyId: randomUUID(), amount: 1 }));
      const bad = [
        request('Add', { tallyId: randomUUID(), amount: 1, note: 'poison \u0000' }),
        request('Add', { tallyId: randomUUID(), amount: 1 }, { commandId: 'no uuid' }),
      ];
      const outcomes = await Promise.allSettled(
        [...innocents.slice(0, 7), ...bad, ...innocents.slice(7)].map((it) => engine.executor.enqueue(it, {})),
      );
      expect(outcomes.flatMap(({ status }, at) => (status === 'rejected' ? [at] : []))).toEqual([7, 8]);
      for (const { commandId } of innocents)
        expect(await finished(engine, commandId)).toMatchObject({ status: 'SUCCEEDED' });
    });

    it('whose id is sent to be run at once, too: it is told how it stands', async () => {
      const clock = new VirtualClock();
      const engine = await start({ clock });
      const sent = request('Add', { tallyId: randomUUID(), amount: 1 });
      await enqueue(engine, sent, { dueAt: later(clock, MINUTE) });
      const now = await engine.executor.execute(sent);
      expect(now).toMatchObject({ outcome: 'accepted', receipt: { status: 'QUEUED', version: null, replayed: true } });
      const other = await engine.executor.execute({ ...sent, actor: CUSTOMER });
      expect(rejected(other).rejection.code).toBe('COMMAND_ID_REUSED');
      clock.advance(MINUTE);
      await finished(engine, sent.commandId);
      const done = succeeded(await engine.executor.execute(sent));
      expect(done.receipt).toMatchObject({ status: 'SUCCEEDED', version: 1, replayed: true });
    });

    it('whose id was run at once before: it is told the outcome, and nothing is queued', async () => {
      const engine = await start();
      const sent = request('Add', { tallyId: randomUUID(), amount: 1 });
      await engine.executor.execute(sent);
      const again = succeeded(await engine.executor.enqueue(sent, {}));
      expect(again.receipt).toMatchObject({ status: 'SUCCEEDED', version: 1, replayed: true });
      expect(await queueRows(database)).toEqual([]);
    });
  });

  describe('runs commands', () => {
    it('once each, and in the order of their aggregate, however many work on it', async () => {
      const engine = await start({ workers: 4 });
      // A hot one, some warm ones, and many that are seldom met.
      const tallyOf = (at: number) => {
        if (at % 4 === 0) return 'hot';
        return at % 4 === 1 ? `warm ${at % 7}` : `cold ${at % 1_999}`;
      };
      const expected = new Map<string, number[]>();
      const queued = range(10_000).map((at) => {
        const tallyId = tallyOf(at);
        const amounts = expected.get(tallyId) ?? [];
        amounts.push(at);
        expected.set(tallyId, amounts);
        return enqueue(engine, request('Add', { tallyId, amount: at }));
      });
      await Promise.all(queued);
      await untilDrained(database, 120_000);
      const done = new Map<string, number[]>();
      for (const { aggregateId, data } of await readWholeLog(engine.log)) {
        const amounts = done.get(aggregateId) ?? [];
        amounts.push((data as { amount: number }).amount);
        done.set(aggregateId, amounts);
      }
      expect(done).toEqual(expected);
      const outcomes = await database.log.query(
        'SELECT status, attempts, count(*)::int AS count FROM commands GROUP BY 1, 2',
      );
      expect(outcomes).toEqual([{ status: 'SUCCEEDED', attempts: 1, count: 10_000 }]);
    }, 180_000);

    it('not before they are due, and then at once', async () => {
      const clock = new VirtualClock();
      const engine = await start({ clock });
      const tallyId = randomUUID();
      const dueAt = later(clock, MINUTE);
      const id = await enqueue(engine, request('Add', { tallyId, amount: 7 }), { dueAt });
      // Others of its aggregate, that are due earlier, do not wait for it.
      await enqueue(engine, request('Add', { tallyId, amount: 1 }));
      await enqueue(engine, request('Add', { tallyId, amount: 2 }), { dueAt: later(clock, -MINUTE) });
      await looked(engine);
      clock.advance(MINUTE - 1);
      await looked(engine);
      expect(await statusOf(engine, id)).toBe('QUEUED');
      expect((await amountsOf(engine, tallyId)).toSorted()).toEqual([1, 2]);
      clock.advance(1);
      expect(await finished(engine, id)).toMatchObject({ status: 'SUCCEEDED', attempts: 1, dueAt, finishedAt: dueAt });
      expect((await amountsOf(engine, tallyId)).at(-1)).toBe(7);
    });

    it('when the time has come on the clock of the wall', async () => {
      const engine = await start();
      const dueAt = new Date(Date.now() + 150);
      const id = await enqueue(engine, request('Add', { tallyId: randomUUID(), amount: 7 }), { dueAt });
      const { finishedAt } = await finished(engine, id);
      expect(finishedAt?.getTime()).toBeGreaterThanOrEqual(dueAt.getTime());
      expect(Date.now() - dueAt.getTime()).toBeLessThan(2_000);
    });

    it('those that became due while nothing ran, in the order in which they were due', async () => {
      const clock = new VirtualClock();
      const first = await start({ clock });
      const tallyId = randomUUID();
      for (const amount of [3, 1, 2]) {
        await enqueue(first, request('Add', { tallyId, amount }), { dueAt: later(clock, amount * MINUTE) });
      }
      await first.stop();
      clock.advance(10 * MINUTE);
      const second = await start({ clock });
      await untilDrained(database);
      expect(await amountsOf(second, tallyId)).toEqual([1, 2, 3]);
    });

    it('that it has claimed to their end, when it is stopped', async () => {
      const first = await start({ clock: new VirtualClock(), workers: 2 });
      const ids = await Promise.all(
        range(1_000).map((at) => enqueue(first, request('Add', { tallyId: `of ${at % 20}`, amount: at }))),
      );
      await eventually(() => expect(first.tail.head).toBeGreaterThan(0));
      await first.stop();
      const left = await queueRows(database);
      expect(left.filter(({ owner, isSuspect, attempts }) => owner !== null || isSuspect || attempts > 0)).toEqual([]);
      const second = await start({ clock: new VirtualClock() });
      await untilDrained(database);
      const records = [...(await second.commandRecords.find(ids)).values()];
      expect(records.filter(({ status, attempts }) => status !== 'SUCCEEDED' || attempts !== 1)).toEqual([]);
      expect(records).toHaveLength(1_000);
    });

    it('in the order in which they were queued, though the clock jumps back', async () => {
      const clock = new VirtualClock();
      const engine = await start({ clock, commandRetries: ONE_ATTEMPT, aggregates: [createDesk()] });
      const tallyId = randomUUID();
      const broken = await enqueue(engine, request('Fail', { tallyId }));
      await finished(engine, broken);
      const amounts = range(5);
      for (const amount of amounts) {
        clock.advance(-MINUTE);
        await enqueue(engine, request('Add', { tallyId, amount }));
      }
      await dropAll(engine);
      await untilDrained(database);
      expect(await amountsOf(engine, tallyId)).toEqual(amounts);
    });

    it('also where an answer of the database was overtaken by the clock', async () => {
      const clock = new VirtualClock();
      const engine = await start({ clock });
      const ids = [];
      for (const at of range(30)) {
        // Moved while the scheduler looks whether there is more to do, sooner or later.
        ids.push(
          await enqueue(engine, request('Add', { tallyId: randomUUID(), amount: at }), { dueAt: later(clock, 1) }),
        );
        clock.advance(1);
      }
      for (const id of ids) expect(await finished(engine, id)).toMatchObject({ status: 'SUCCEEDED' });
    });
  });

  describe('a command with a deadline', () => {
    it('that has passed is timed out, and never run', async () => {
      const clock = new VirtualClock();
      const first = await start({ clock });
      const [tallyId, dueAt] = [randomUUID(), later(clock, MINUTE)];
      const late = await enqueue(first, request('Add', { tallyId, amount: 1 }), {
        dueAt,
        deadline: later(clock, 2 * MINUTE),
      });
      const punctual = await enqueue(first, request('Add', { tallyId, amount: 2 }), {
        dueAt,
        deadline: later(clock, 3 * MINUTE),
      });
      await first.stop();
      clock.advance(2 * MINUTE);
      const second = await start({ clock });
      expect(await finished(second, punctual)).toMatchObject({ status: 'SUCCEEDED' });
      const record = await finished(second, late);
      expect(record).toMatchObject({ status: 'TIMED_OUT', attempts: 0, version: null, position: null });
      expect(record.finishedAt).toEqual(clock.now());
      expect(await amountsOf(second, tallyId)).toEqual([2]);
      expect(await letterRows(database)).toEqual([]);
    });

    it('that passes while it waits behind a broken one is timed out then', async () => {
      const clock = new VirtualClock();
      const retries = { maxAttempts: 9, firstPauseMs: 10 * MINUTE, longestPauseMs: 10 * MINUTE };
      const engine = await start({ clock, commandRetries: retries });
      const tallyId = randomUUID();
      const broken = await enqueue(engine, request('Fail', { tallyId }), { deadline: later(clock, 2 * MINUTE) });
      const waiting = await enqueue(engine, request('Add', { tallyId, amount: 1 }), { deadline: later(clock, MINUTE) });
      await eventually(async () =>
        expect(await queueRowOf(database, broken)).toMatchObject({ attempts: 1, owner: null }),
      );
      clock.advance(MINUTE - 1);
      await looked(engine);
      expect(await statusOf(engine, waiting)).toBe('QUEUED');
      clock.advance(1);
      expect(await finished(engine, waiting)).toMatchObject({ status: 'TIMED_OUT', attempts: 0 });
      expect(await statusOf(engine, broken)).toBe('QUEUED');
      clock.advance(MINUTE);
      expect(await finished(engine, broken)).toMatchObject({ status: 'TIMED_OUT', attempts: 1 });
      expect(await queueRows(database)).toEqual([]);
    });

    it('that passes when it is about to be decided is timed out, and those behind it are run', async () => {
      const clock = new VirtualClock();
      let isSlow = true;
      const desk = createDesk(async () => {
        if (isSlow) clock.advance(2 * MINUTE);
        isSlow = false;
      });
      const engine = await start({ clock, aggregates: [desk] });
      const [deskId, target] = [randomUUID(), randomUUID()];
      const ofDesk = { ...request('Lock', { tallyId: '' }), name: 'Retry', data: { deskId, letters: [] } };
      const late = { ...request('Lock', { tallyId: '' }), name: 'Cancel', data: { deskId, target } };
      const ids = await Promise.all([
        enqueue(engine, late, { deadline: later(clock, MINUTE) }),
        enqueue(engine, ofDesk),
      ]);
      expect(await Promise.all(ids.map((id) => finished(engine, id)))).toMatchObject([
        { status: 'TIMED_OUT', version: null },
        { status: 'SUCCEEDED', version: 1, attempts: 1 },
      ]);
    });
  });

  describe('a rejection', () => {
    it('is the outcome, at the first attempt, also where whoever waits could have sent it again', async () => {
      const engine = await start();
      const tallyId = randomUUID();
      await engine.executor.execute(request('Lock', { tallyId }));
      const refused: [string, string][] = [
        [await enqueue(engine, request('Add', { tallyId, amount: 1 })), 'ILLEGAL_STATE'],
        [await enqueue(engine, request('Unlock', { tallyId }, { expectedVersion: 7 })), 'VERSION_CONFLICT'],
        [await enqueue(engine, request('Forbid', { tallyId })), 'FORBIDDEN'],
      ];
      const next = await enqueue(engine, request('Unlock', { tallyId }, { expectedVersion: 1 }));
      expect(await finished(engine, next)).toMatchObject({ status: 'SUCCEEDED', version: 2 });
      for (const [id, code] of refused) {
        const record = await finished(engine, id);
        expect(record).toMatchObject({
          status: 'REJECTED',
          attempts: 1,
          rejection: { code },
          version: 1,
          position: null,
        });
      }
      expect(await letterRows(database)).toEqual([]);
      expect(await eventsOf(engine, tallyId)).toHaveLength(2);
    });

    it('is also that of a command whose input became invalid while it waited', async () => {
      const engine = await start();
      const tallyId = randomUUID();
      const id = await enqueueRow('Add', { tallyId, amount: -5 }, tallyId);
      const next = await enqueue(engine, request('Add', { tallyId, amount: 1 }));
      expect(await finished(engine, id)).toMatchObject({
        status: 'REJECTED',
        attempts: 1,
        rejection: { code: 'VALIDATION_FAILED', fields: [{ path: ['amount'] }] },
        input: { amount: -5 },
      });
      expect(await finished(engine, next)).toMatchObject({ status: 'SUCCEEDED', version: 1 });
    });
  });

  describe('a command that breaks', () => {
    it.each(['Fail', 'Poison', 'Misdeclare'] as const)(
      '(%s) is tried again after growing pauses, and is a dead letter in the end',
      async (name) => {
        const clock = new VirtualClock();
        const commandRetries = { maxAttempts: 4, firstPauseMs: 1_000, longestPauseMs: 3_000 };
        const engine = await start({ clock, commandRetries });
        const tallyId = randomUUID();
        const id = await enqueue(engine, request(name, { tallyId }, { actor: CUSTOMER }));
        for (const [attempts, longest] of [1_000, 2_000, 3_000].entries()) {
          const pause = await eventually(async () => {
            const row = await queueRowOf(database, id);
            expect(row).toMatchObject({ attempts: attempts + 1, owner: null });
            return (row?.retryAt?.getTime() ?? 0) - clock.now().getTime();
          });
          expect(pause).toBeGreaterThanOrEqual(longest / 2 - 1);
          expect(pause).toBeLessThanOrEqual(longest);
          clock.advance(pause - 1);
          await looked(engine);
          expect(await recordOf(engine, id)).toMatchObject({ status: 'QUEUED', attempts: attempts + 1 });
          clock.advance(1);
        }
        const record = await finished(engine, id);
        expect(record).toMatchObject({ status: 'FAILED', attempts: 4, version: null, finishedAt: clock.now() });
        expect(record.error).not.toBe('');
        const [letter, ...others] = await letterRows(database);
        expect(others).toEqual([]);
        expect(letter).toMatchObject({
          source: 'command',
          subject: id,
          lane: `tally-${tallyId}`,
          payload: { command: name, input: { tallyId } },
          error: record.error,
          attempts: 4,
          status: 'OPEN',
        });
        expect(letter?.stack).toContain(' at ');
        expect(await queueRowOf(database, id)).toMatchObject({ letter: letter?.id, owner: null, retryAt: null });
        expect(await eventsOf(engine, tallyId)).toEqual([]);
      },
    );

    it('is told to whoever watches it: each attempt, and its end', async () => {
      const clock = new VirtualClock();
      const engine = await start({
        clock,
        commandRetries: { maxAttempts: 2, firstPauseMs: MINUTE, longestPauseMs: MINUTE },
      });
      const dueAt = later(clock, MINUTE);
      const id = await enqueue(engine, request('Fail', { tallyId: randomUUID() }), { dueAt });
      const watch = await engine.commandWatch.watch(id);
      const until = async (status: string, attempts: number) => {
        for (;;) {
          const next = await within(40_000, `${status} after ${attempts}`, watch?.next() ?? Promise.reject());
          if (next.value?.status === status && next.value.attempts === attempts) return;
        }
      };
      clock.advance(MINUTE);
      await until('QUEUED', 1);
      clock.advance(MINUTE);
      await until('FAILED', 2);
      await watch?.return?.();
    });

    it.each(['Fail', 'Poison'] as const)(
      '(%s) holds up its aggregate, and no other of the same batch',
      async (name) => {
        const clock = new VirtualClock();
        const commandRetries = { maxAttempts: 3, firstPauseMs: MINUTE, longestPauseMs: MINUTE };
        const engine = await start({ clock, commandRetries, workers: 1, aggregates: [createDesk()] });
        const [tallyId, dueAt] = [randomUUID(), later(clock, MINUTE)];
        const add = (amount: number, id = tallyId) =>
          enqueue(engine, request('Add', { tallyId: id, amount }), { dueAt });
        const innocents = range(40).map(() => randomUUID());
        const [before, broken, ...behind] = await Promise.all([
          add(1),
          enqueue(engine, request(name, { tallyId }), { dueAt }),
          ...range(5, 2).map((amount) => add(amount)),
        ]);
        const others = await Promise.all(innocents.flatMap((id) => [add(1, id), add(2, id)]));
        for (let attempt = 1; attempt <= 3; attempt += 1) {
          clock.advance(MINUTE);
          await eventually(async () => {
            const rows = await queueRows(database);
            expect(rows.map(({ id }) => id)).toEqual([broken, ...behind]);
            expect(rows.map(({ owner }) => owner)).toEqual(rows.map(() => null));
            expect(rows.map(({ attempts }) => attempts)).toEqual([attempt, 0, 0, 0, 0, 0]);
          });
          expect(await amountsOf(engine, tallyId)).toEqual([1]);
        }
        expect(await Promise.all(innocents.map((id) => amountsOf(engine, id)))).toEqual(innocents.map(() => [1, 2]));
        for (const id of [before, ...others]) {
          expect(await finished(engine, id)).toMatchObject({ status: 'SUCCEEDED', attempts: 1 });
        }
        expect(await statusOf(engine, broken)).toBe('FAILED');
        // Whatever comes later waits too.
        const last = await enqueue(engine, request('Add', { tallyId, amount: 7 }));
        await looked(engine);
        expect(await queueRowOf(database, last)).toMatchObject({ attempts: 0, owner: null });
        await dropAll(engine);
        for (const id of [...behind, last]) {
          expect(await finished(engine, id)).toMatchObject({ status: 'SUCCEEDED', attempts: 1 });
        }
        expect(await amountsOf(engine, tallyId)).toEqual(range(7));
      },
    );

    it('does not hold up those that are run at once', async () => {
      const engine = await start({ commandRetries: ONE_ATTEMPT });
      const tallyId = randomUUID();
      await finished(engine, await enqueue(engine, request('Fail', { tallyId })));
      succeeded(await engine.executor.execute(request('Add', { tallyId, amount: 1 })));
    });

    it('only here, since this version of the program does not know it, is left for another, and not counted', async () => {
      const clock = new VirtualClock();
      const engine = await start({ clock, commandRetries: ONE_ATTEMPT });
      const tallyId = randomUUID();
      const dueAt = later(clock, MINUTE);
      const unknown = await enqueueRow('Explode', { tallyId }, tallyId, dueAt);
      const behind = await enqueue(engine, request('Add', { tallyId, amount: 1 }), { dueAt });
      for (let again = 0; again < 3; again += 1) {
        clock.advance(MINUTE);
        await looked(engine);
        await eventually(async () => {
          const rows = await queueRows(database);
          expect(rows).toMatchObject([
            { id: unknown, attempts: 0 },
            { id: behind, attempts: 0 },
          ]);
          expect(rows[0]?.retryAt?.getTime()).toBeGreaterThan(clock.now().getTime());
        });
      }
      expect(await eventsOf(engine, tallyId)).toEqual([]);
    });
  });

  describe('a dead letter', () => {
    async function breakOne(options: TallyEngineOptions = {}) {
      const glassId = randomUUID();
      const broken = new Set(['2']);
      const decided: string[] = [];
      const glass = createGlass(({ note }) => {
        decided.push(note);
        if (broken.has(note)) throw new Error(`${note} is broken.`);
      });
      const engine = await start({ commandRetries: SOON, aggregates: [createDesk(), glass], ...options });
      const ids = await Promise.all(range(4).map((note) => enqueue(engine, touching(glassId, String(note)))));
      const [, second = ''] = ids;
      expect(await finished(engine, second)).toMatchObject({ status: 'FAILED', attempts: 3 });
      const notes = async () =>
        (await engine.log.readStreams([`glass-${glassId}`])).map(({ data }) => (data as { note: string }).note);
      return { engine, broken, decided, ids, second, notes, letter: (await letterRows(database))[0]?.id ?? '' };
    }

    it('that is retried is run, and then what waits behind it, in order', async () => {
      const { engine, broken, decided, ids, second, notes, letter } = await breakOne();
      expect(await notes()).toEqual(['1']);
      expect([...new Set(decided)]).toEqual(['1', '2']);
      const before = decided.length;
      broken.clear();
      succeeded(await atDesk(engine, 'Retry', { letters: [letter] }));
      for (const id of ids) expect(await finished(engine, id)).toMatchObject({ status: 'SUCCEEDED', attempts: 1 });
      expect(await notes()).toEqual(['1', '2', '3', '4']);
      expect(decided.slice(before)).toEqual(['2', '3', '4']);
      expect((await recordOf(engine, second)).error).toBeNull();
      expect(await letterRows(database)).toMatchObject([{ id: letter, status: 'RETRIED' }]);
    });

    it('that fails again is open again, with all its attempts, and what waits goes on waiting', async () => {
      const { engine, ids, second, notes, letter } = await breakOne();
      succeeded(await atDesk(engine, 'Retry', { letters: [letter] }));
      await eventually(async () => {
        expect(await letterRows(database)).toMatchObject([{ id: letter, status: 'OPEN', attempts: 6 }]);
      });
      expect(await recordOf(engine, second)).toMatchObject({ status: 'FAILED', attempts: 3, error: '2 is broken.' });
      expect(await notes()).toEqual(['1']);
      expect(await Promise.all(ids.slice(2).map((id) => statusOf(engine, id)))).toEqual(['QUEUED', 'QUEUED']);
    });

    it('that is dropped never runs, and what waits behind it goes on', async () => {
      const { engine, decided, ids, second, notes, letter } = await breakOne();
      const before = decided.length;
      succeeded(await atDesk(engine, 'Drop', { letter, reason: 'It is beyond repair.' }));
      for (const id of ids.filter((it) => it !== second)) {
        expect(await finished(engine, id)).toMatchObject({ status: 'SUCCEEDED', attempts: 1 });
      }
      expect(await notes()).toEqual(['1', '3', '4']);
      expect(decided.slice(before)).toEqual(['3', '4']);
      expect(await statusOf(engine, second)).toBe('FAILED');
      expect(await letterRows(database)).toMatchObject([
        { id: letter, status: 'DROPPED', reason: 'It is beyond repair.' },
      ]);
    });

    it('is retried or dropped once, whoever else wants to', async () => {
      const { engine, broken, letter, notes } = await breakOne();
      broken.clear();
      const attempts = await Promise.allSettled([
        atDesk(engine, 'Retry', { letters: [letter] }),
        atDesk(engine, 'Drop', { letter, reason: 'Gone.' }),
        atDesk(engine, 'Retry', { letters: [letter] }),
      ]);
      expect(attempts.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected', 'rejected']);
      const wasDropped = attempts[1]?.status === 'fulfilled';
      await eventually(async () => expect(await notes()).toEqual(wasDropped ? ['1', '3', '4'] : ['1', '2', '3', '4']));
    });

    it('and another one are retried together', async () => {
      const { engine, broken, letter } = await breakOne();
      const other = await enqueue(engine, touching(randomUUID(), '2'));
      await finished(engine, other);
      const letters = (await letterRows(database)).map(({ id }) => id);
      expect(letters).toEqual([letter, expect.any(String)]);
      broken.clear();
      succeeded(await atDesk(engine, 'Retry', { letters }));
      expect(await finished(engine, other)).toMatchObject({ status: 'SUCCEEDED' });
      await untilDrained(database);
      expect(await queueRows(database)).toEqual([]);
    });

    it('keeps a deadline: retried after it, the command is timed out', async () => {
      const clock = new VirtualClock();
      const engine = await start({ clock, commandRetries: ONE_ATTEMPT, aggregates: [createDesk()] });
      const sent = request('Fail', { tallyId: randomUUID() });
      await enqueue(engine, sent, { deadline: later(clock, MINUTE) });
      expect(await finished(engine, sent.commandId)).toMatchObject({ status: 'FAILED' });
      clock.advance(2 * MINUTE);
      await looked(engine);
      expect(await statusOf(engine, sent.commandId)).toBe('FAILED');
      const letters = (await letterRows(database)).map(({ id }) => id);
      succeeded(await atDesk(engine, 'Retry', { letters }));
      expect(await finished(engine, sent.commandId)).toMatchObject({ status: 'TIMED_OUT' });
    });
  });

  describe('a command that is cancelled', () => {
    it('never runs, and does not hold up others', async () => {
      const clock = new VirtualClock();
      const engine = await start({ clock, aggregates: [createDesk()] });
      const [tallyId, dueAt] = [randomUUID(), later(clock, MINUTE)];
      const [target = '', other = ''] = await Promise.all(
        [1, 2].map((amount) => enqueue(engine, request('Add', { tallyId, amount }), { dueAt })),
      );
      succeeded(await atDesk(engine, 'Cancel', { target }));
      expect(await recordOf(engine, target)).toMatchObject({
        status: 'CANCELLED',
        attempts: 0,
        finishedAt: clock.now(),
      });
      clock.advance(MINUTE);
      await finished(engine, other);
      expect(await amountsOf(engine, tallyId)).toEqual([2]);
      const again = rejected(await atDesk(engine, 'Cancel', { target }));
      expect(again.rejection).toMatchObject({ code: 'ILLEGAL_STATE', state: 'CANCELLED' });
    });

    it('between two attempts makes way for those behind it', async () => {
      const clock = new VirtualClock();
      const engine = await start({ clock, aggregates: [createDesk()] });
      const tallyId = randomUUID();
      const target = await enqueue(engine, request('Fail', { tallyId }));
      await eventually(async () =>
        expect(await queueRowOf(database, target)).toMatchObject({ attempts: 1, owner: null }),
      );
      const behind = await enqueue(engine, request('Add', { tallyId, amount: 1 }));
      succeeded(await atDesk(engine, 'Cancel', { target }));
      expect(await finished(engine, behind)).toMatchObject({ status: 'SUCCEEDED' });
      expect(await statusOf(engine, target)).toBe('CANCELLED');
    });

    it('by two at once is cancelled by one', async () => {
      const clock = new VirtualClock();
      const engine = await start({ clock, aggregates: [createDesk()] });
      const target = await enqueue(engine, request('Add', { tallyId: 'a', amount: 1 }), {
        dueAt: later(clock, MINUTE),
      });
      const outcomes = await Promise.all(range(3).map(() => atDesk(engine, 'Cancel', { target })));
      expect(outcomes.map(({ outcome }) => outcome).toSorted()).toEqual(['rejected', 'rejected', 'succeeded']);
      for (const { rejection } of outcomes.filter((it) => it.outcome === 'rejected')) {
        expect(rejection).toMatchObject({ code: 'ILLEGAL_STATE', state: 'CANCELLED' });
      }
    });

    it('just when it begins to run is not cancelled: that is decided again', async () => {
      const clock = new VirtualClock();
      const seen: string[] = [];
      let target = '';
      const desk = createDesk(async (records) => {
        const status = records.get(target)?.status;
        if (status === undefined) return;
        seen.push(status);
        if (seen.length > 1) return;
        clock.advance(MINUTE);
        await eventually(async () => expect((await queueRowOf(database, target))?.owner).not.toBeNull());
      });
      const engine = await start({ clock, aggregates: [desk] });
      target = await enqueue(engine, request('Add', { tallyId: 'a', amount: 1 }), { dueAt: later(clock, MINUTE) });
      const outcome = rejected(await atDesk(engine, 'Cancel', { target }));
      expect(outcome.rejection).toMatchObject({ code: 'ILLEGAL_STATE' });
      expect(seen[0]).toBe('QUEUED');
      expect(['RUNNING', 'SUCCEEDED']).toContain(seen[1]);
      expect(await finished(engine, target)).toMatchObject({ status: 'SUCCEEDED' });
    });

    it('when it has run meanwhile is not cancelled: that is decided again', async () => {
      const clock = new VirtualClock();
      const early = await start({ clock });
      const target = await enqueue(early, request('Add', { tallyId: 'a', amount: 1 }), { dueAt: later(clock, MINUTE) });
      const before = await early.commandRecords.find([target]);
      clock.advance(MINUTE);
      expect(await finished(early, target)).toMatchObject({ status: 'SUCCEEDED' });
      await early.stop();
      const seen: string[] = [];
      const desk = createDesk(async (records) => {
        // At first it is told what was so a moment ago.
        const known = records as Map<string, CommandRecord>;
        if (seen.length === 0) for (const [id, record] of before) known.set(id, record);
        seen.push(records.get(target)?.status ?? '');
      });
      const engine = await start({ clock, aggregates: [desk] });
      const outcome = rejected(await atDesk(engine, 'Cancel', { target }));
      expect(outcome.rejection).toMatchObject({ code: 'ILLEGAL_STATE', state: 'SUCCEEDED' });
      expect(seen).toEqual(['QUEUED', 'SUCCEEDED']);
    });
  });

  describe('what a dead node leaves behind', () => {
    /** As if another node had claimed these, and died. */
    async function leaveBehind(ids: readonly string[]): Promise<void> {
      await database.log.query(
        'UPDATE command_queue SET owner = gen_random_uuid(), attempts = attempts + 1 WHERE command_id = ANY ($1::uuid[])',
        ids,
      );
      await database.log.query('SELECT sweep_nodes()::text');
    }

    it('is run one after the other, and nothing else beside it', async () => {
      const clock = new VirtualClock();
      const claimed: string[][] = [];
      const desk = createDesk(async () => {
        const rows = await queueRows(database);
        claimed.push(rows.flatMap(({ id, owner }) => (owner === null ? [] : [id])));
      });
      const engine = await start({ clock, workers: 4, aggregates: [desk] });
      const dueAt = later(clock, MINUTE);
      const cancelling = () => {
        const data = { deskId: randomUUID(), target: randomUUID() };
        return { ...request('Lock', { tallyId: '' }), name: 'Cancel', data };
      };
      const innocents = await Promise.all(range(20).map(() => enqueue(engine, cancelling(), { dueAt })));
      const suspects = await Promise.all(range(5).map(() => enqueue(engine, cancelling(), { dueAt })));
      await leaveBehind(suspects);
      clock.advance(MINUTE);
      await untilDrained(database);
      expect(claimed.slice(0, 5)).toEqual(suspects.map((id) => [id]));
      for (const id of suspects) expect(await recordOf(engine, id)).toMatchObject({ status: 'REJECTED', attempts: 2 });
      for (const id of innocents) expect(await recordOf(engine, id)).toMatchObject({ status: 'REJECTED', attempts: 1 });
    });

    it('does not wait for the rest of the queue, only for what its node has claimed already', async () => {
      const clock = new VirtualClock();
      const ids: string[] = [];
      const seen: { head: number; claimed: string[] }[] = [];
      const desk = createDesk(async () => {
        // While the first is being run, it turns out that the last one is of a node that has died.
        if (seen.length === 0) await leaveBehind(ids.slice(-1));
        const claimed = (await queueRows(database)).filter(({ owner }) => owner !== null).map(({ id }) => id);
        seen.push({ head: engine.tail.head, claimed });
      });
      const engine = await start({ clock, workers: 2, aggregates: [desk] });
      const cancelling = () => {
        const data = { deskId: randomUUID(), target: randomUUID() };
        return { ...request('Lock', { tallyId: '' }), name: 'Cancel', data };
      };
      const add = (at: number) => request('Add', { tallyId: `of ${at % 300}`, amount: 1 });
      const dueAt = later(clock, MINUTE);
      const all = [cancelling(), ...range(3_000).map(add), cancelling()];
      ids.push(...(await Promise.all(all.map((command) => enqueue(engine, command, { dueAt })))));
      clock.advance(MINUTE);
      await untilDrained(database);
      const [first, suspect] = seen;
      expect(first?.claimed.length).toBeGreaterThan(1);
      expect(suspect?.claimed).toEqual(ids.slice(-1));
      // What was claimed comes first, and perhaps what was being claimed.
      expect(suspect?.head).toBeLessThanOrEqual(4 * 256);
    });

    it('keeps its order, also where the first of it breaks', async () => {
      const clock = new VirtualClock();
      const decided: string[] = [];
      const broken = new Set(['1']);
      const glass = createGlass(({ note }) => {
        decided.push(note);
        if (broken.has(note)) throw new Error(`${note} is broken.`);
      });
      const commandRetries = { maxAttempts: 3, firstPauseMs: MINUTE, longestPauseMs: MINUTE };
      const engine = await start({ clock, commandRetries, aggregates: [glass] });
      const [glassId, dueAt] = [randomUUID(), later(clock, MINUTE)];
      const ids = await Promise.all(
        range(3).map((note) => enqueue(engine, touching(glassId, String(note)), { dueAt })),
      );
      await leaveBehind(ids);
      clock.advance(MINUTE);
      await eventually(async () => {
        expect(await queueRowOf(database, ids[0] ?? '')).toMatchObject({ attempts: 2, owner: null, isSuspect: false });
      });
      broken.clear();
      clock.advance(MINUTE);
      await untilDrained(database);
      expect([...new Set(decided)]).toEqual(['1', '2', '3']);
      const records = await Promise.all(ids.map((id) => recordOf(engine, id)));
      expect(records.map(({ status, version, attempts }) => [status, version, attempts])).toEqual([
        ['SUCCEEDED', 1, 3],
        ['SUCCEEDED', 2, 2],
        ['SUCCEEDED', 3, 2],
      ]);
    });

    it('and was begun too often is a dead letter, though nobody saw it break', async () => {
      const clock = new VirtualClock();
      const engine = await start({ clock, commandRetries: SOON });
      const tallyId = randomUUID();
      const dueAt = later(clock, MINUTE);
      const [suspect = '', behind = ''] = await Promise.all(
        [1, 2].map((amount) => enqueue(engine, request('Add', { tallyId, amount }), { dueAt })),
      );
      for (let death = 0; death < SOON.maxAttempts; death += 1) await leaveBehind([suspect]);
      clock.advance(MINUTE);
      expect(await finished(engine, suspect)).toMatchObject({
        status: 'FAILED',
        attempts: 3,
        error: expect.stringContaining('died'),
      });
      expect(await letterRows(database)).toMatchObject([{ subject: suspect, status: 'OPEN', attempts: 3 }]);
      await looked(engine);
      expect(await queueRowOf(database, behind)).toMatchObject({ attempts: 0, owner: null });
      expect(await eventsOf(engine, tallyId)).toEqual([]);
    });
  });

  it('keeps its order where a batch has to be halved, and another writer is first', async () => {
    const clock = new VirtualClock();
    const rival = await start({ clock, workers: 0 });
    const engine = await start({ clock, workers: 1, commandRetries: ONE_ATTEMPT });
    const [tallyId, dueAt] = [randomUUID(), later(clock, MINUTE)];
    await Promise.all([
      ...range(7).map((amount) => enqueue(engine, request('Add', { tallyId, amount }), { dueAt })),
      enqueue(engine, request('Poison', { tallyId: randomUUID() }), { dueAt }),
    ]);
    const { append } = engine.log;
    const sizes: number[] = [];
    engine.log.append = async (units, now) => {
      sizes.push(units.flatMap(({ commands }) => commands).length);
      if (sizes.length === 2) await rival.executor.execute(request('Add', { tallyId, amount: 99 }));
      return append.call(engine.log, units, now);
    };
    clock.advance(MINUTE);
    await untilDrained(database);
    // All at once, then the first half; it is this that the other one was faster than.
    expect(sizes.slice(0, 2)).toEqual([8, 4]);
    expect(await amountsOf(engine, tallyId)).toEqual([99, ...range(7)]);
  });

  it('beside commands that are run at once: the log is a history of them all, each done once', async () => {
    const step = fc.record({
      isQueued: fc.boolean(),
      engine: fc.nat({ max: 1 }),
      name: fc.constantFrom(
        'Add' as const,
        'Add' as const,
        'AddWithCompanion' as const,
        'Lock' as const,
        'Unlock' as const,
        'Fail' as const,
      ),
      at: fc.nat({ max: 2 }),
      amount: fc.nat({ max: 5 }),
    });
    const rounds = fc.array(fc.array(step, { minLength: 1, maxLength: 25 }), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(rounds, async (all) => {
        await emptyTallyStore(database);
        const options = { commandRetries: ONE_ATTEMPT, aggregates: [createDesk()], workers: 3 };
        const both = [await start(options), await start(options)];
        const engine = both[1];
        if (engine === undefined) throw new Error('It has not started.');
        const sent: SentCommand[] = [];
        for (const steps of all) {
          const work = steps.map(async ({ isQueued, engine: which, name, at, amount }) => {
            const ids = ['a', 'b', 'c'];
            const [tallyId = '', otherId = ''] = [ids[at], ids[(at + 1) % 3]];
            const needs = { Add: { amount }, AddWithCompanion: { otherId, amount }, Lock: {}, Unlock: {}, Fail: {} };
            const command = { ...request('Lock', { tallyId }), name, data: { tallyId, ...needs[name] } };
            if (!isQueued && name === 'Fail') return;
            sent.push({ command, isQueued });
            if (isQueued) await enqueue(engine, command);
            else await both[which]?.executor.execute(command);
          });
          await Promise.all(work);
        }
        // What broke is given up, until nothing is in the way any more.
        await eventually(async () => {
          await dropAll(engine);
          expect(await queueRows(database)).toEqual([]);
        });
        const records = await engine.commandRecords.find(sent.map(({ command }) => command.commandId));
        expectHistory(await readWholeLog(engine.log), sent, records);
        await Promise.all(engines.splice(0).map((it) => it.stop()));
      }),
      { numRuns: 12, endOnFailure: true },
    );
  }, 180_000);
});

interface SentCommand {
  readonly command: CommandRequest;
  readonly isQueued: boolean;
}

const target = z.object({ tallyId: z.string(), otherId: z.string().optional() });

/** Every command was decided once, on what was there then; queued ones of a tally in the order in which they were sent. */
function expectHistory(
  events: readonly RecordedEvent[],
  sent: readonly SentCommand[],
  records: ReadonlyMap<string, CommandRecord>,
): void {
  const states = new Map<string, TallyState[]>();
  const statesOf = (id: string) => states.get(id) ?? [tallyDecider.initialState];
  for (const event of events) {
    if (event.aggregateType !== 'tally') continue;
    const before = statesOf(event.aggregateId);
    expect(event.version, 'versions have no gaps').toBe(before.length);
    const last = before.at(-1) ?? tallyDecider.initialState;
    states.set(event.aggregateId, [...before, tallyDecider.evolve(last, z.custom<TallyEvent>().parse(event))]);
  }
  const lastOfLane = new Map<string, number>();
  for (const { command, isQueued } of sent) {
    const { commandId, name, data } = command;
    const { tallyId, otherId } = target.parse(data);
    const { status, version, attempts } = records.get(commandId) ?? {};
    const own = events.filter((event) => event.commandId === commandId);
    if (name === 'Fail') {
      expect([status, own]).toEqual(['FAILED', []]);
      continue;
    }
    expect(['SUCCEEDED', 'REJECTED'], `${name} has an outcome`).toContain(status);
    if (isQueued) {
      expect(attempts).toBe(1);
      expect(version, 'queued commands are done in order').toBeGreaterThanOrEqual(lastOfLane.get(tallyId) ?? 0);
      lastOfLane.set(tallyId, version ?? 0);
    }
    const ofTally = own.filter(({ aggregateId }) => aggregateId === tallyId);
    const state = statesOf(tallyId)[(version ?? 0) - ofTally.length] ?? tallyDecider.initialState;
    const decision = tallyDecider.decide(z.custom<TallyCommand>().parse({ type: name, data }), state, CONTEXT);
    if (status === 'SUCCEEDED') {
      expect(ofTally.map(({ type, data: happened }) => ({ type, data: happened }))).toEqual(decision);
      if (otherId !== undefined) expect(own).toHaveLength(2 * ofTally.length);
    } else {
      expect(own).toEqual([]);
      const isOthersDoing = statesOf(otherId ?? '').some(({ isLocked }) => isLocked);
      if (!isOthersDoing) expect(decision).toMatchObject({ code: 'ILLEGAL_STATE' });
    }
  }
  const asked = new Set(sent.map(({ command }) => command.commandId));
  const strangers = events.filter((it) => it.aggregateType === 'tally' && !asked.has(it.commandId ?? ''));
  expect(strangers, 'what happened was asked for').toEqual([]);
}

describeServerStore('A transaction of the queue that is lost on the way', (kind) => {
  let store: TestStore;
  let proxy: TcpProxy;
  let database: Database;

  beforeAll(async () => {
    store = await kind.create();
    if (store.settings.engine !== 'postgresql') throw new Error('It is another engine.');
    await (await openMigrated(store)).close();
    proxy = await TcpProxy.start(store.settings.url);
    database = await openDatabase({ engine: 'postgresql', url: proxy.url });
  });
  beforeEach(() => emptyTallyStore(database));
  afterAll(async () => {
    await database.close();
    await proxy.cut();
    await store.remove();
  });

  it.each([
    ['of claims', 'request'],
    ['of claims', 'answer'],
    ['of what is given back', 'request'],
    ['of what is given back', 'answer'],
    ['of an append', 'request'],
    ['of an append', 'answer'],
  ] as const)('(%s, %s lost) loses nothing, doubles nothing, and keeps the order', async (which, what) => {
    const clock = new VirtualClock();
    let isBroken = true;
    const glass = createGlass(({ note }) => {
      if (note === '2' && isBroken) throw new Error('It is broken.');
    });
    const commandRetries = { maxAttempts: 5, firstPauseMs: MINUTE, longestPauseMs: MINUTE };
    const engine = await startTallyEngine(database, { clock, aggregates: [glass], commandRetries, workers: 1 });
    try {
      const glasses: string[] = range(10).map(() => randomUUID());
      const dueAt = new Date(clock.now().getTime() + MINUTE);
      const ids = await Promise.all(
        range(4).flatMap((note) => glasses.map((id) => enqueue(engine, touching(id, String(note)), { dueAt }))),
      );
      // Its statement is known by what only that one has among its parameters, or has first.
      const marker = {
        'of claims': '12:01:00.123',
        'of what is given back': `{"id":"${ids[10]}"`,
        'of an append': '{"note":"1"}',
      }[which];
      const lost = proxy.loseNext(what, marker);
      clock.advance(MINUTE + 123);
      await within(40_000, 'it is lost', lost);
      isBroken = false;
      await eventually(async () => {
        clock.advance(MINUTE);
        expect(await queueRows(database)).toEqual([]);
      });
      for (const id of ids) expect(await recordOf(engine, id)).toMatchObject({ status: 'SUCCEEDED' });
      const notes = new Map(glasses.map((id) => [id, [] as string[]]));
      for (const { aggregateId, data } of await engine.log.readAfter(0, 1_000)) {
        notes.get(aggregateId)?.push((data as { note: string }).note);
      }
      expect([...notes.values()]).toEqual(glasses.map(() => ['1', '2', '3', '4']));
    } finally {
      await engine.stop();
    }
  });

  it.each(['request', 'answer'] as const)('(of what is queued, %s lost) queues it once', async (what) => {
    const engine = await startTallyEngine(database);
    try {
      const [tallyId, note] = [randomUUID(), randomUUID()];
      const lost = proxy.loseNext(what, note);
      const sent = request('Add', { tallyId, amount: 1, note });
      // If it was stored by then, it has perhaps been run, too.
      expect(['accepted', 'succeeded']).toContain((await engine.executor.enqueue(sent, {})).outcome);
      await within(40_000, 'it is lost', lost);
      expect(await finished(engine, sent.commandId)).toMatchObject({ status: 'SUCCEEDED', attempts: 1 });
      expect(await amountsOf(engine, tallyId)).toEqual([1]);
    } finally {
      await engine.stop();
    }
  });
});
