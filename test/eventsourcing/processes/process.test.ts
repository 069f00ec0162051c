import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { CommandRequest } from '../../../src/eventsourcing/commands/command.ts';
import type { Engine } from '../../../src/eventsourcing/engine.ts';
import { idCausedBy } from '../../../src/eventsourcing/processes/effect-work.ts';
import { type Database, openDatabase } from '../../../src/platform/database.ts';
import { atDesk, createDesk } from '../../support/desk.ts';
import {
  amountsOf,
  enqueue,
  eventsOf,
  eventually,
  finished,
  letterRows,
  queueRows,
  receiptOf,
  recordOf,
  statusOf,
  untilNothingRuns,
} from '../../support/queue.ts';
import { createScripted, heardBy, job, SCRIPTED } from '../../support/scripted-process.ts';
import { describeEachStore, openMigrated, type TestStore } from '../../support/stores.ts';
import { emptyTallyStore } from '../../support/tally.ts';
import {
  readWholeLog,
  rejected,
  request,
  startTallyEngine,
  succeeded,
  type TallyEngineOptions,
} from '../../support/tally-engine.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const ONE_ATTEMPT = { maxAttempts: 1, firstPauseMs: 1, longestPauseMs: 1 };
const SECOND = 1_000;

const range = (count: number, from = 1) => Array.from({ length: count }, (_, at) => from + at);

describeEachStore('A process', (kind) => {
  let store: TestStore;
  let database: Database;
  let clock: VirtualClock;
  const engines: Engine[] = [];

  beforeAll(async () => {
    store = await kind.create();
    database = await openMigrated(store);
  });
  beforeEach(async () => {
    await emptyTallyStore(database);
    clock = new VirtualClock();
  });
  afterEach(() => stopAll());
  afterAll(async () => {
    await database.close();
    await store.remove();
  });

  async function start(options: TallyEngineOptions = {}): Promise<Engine> {
    const engine = await startTallyEngine(database, {
      clock,
      processes: [createScripted()],
      aggregates: [createDesk(), job],
      commandRetries: ONE_ATTEMPT,
      ...options,
    });
    engines.push(engine);
    return engine;
  }
  async function stopAll(): Promise<void> {
    await Promise.all(engines.splice(0).map((it) => it.stop()));
  }
  /** Everything that was in this process's hands is gone; on PGlite the folder is opened again. */
  async function reopen(): Promise<void> {
    await stopAll();
    await database.close();
    database = await openDatabase(store.settings);
  }
  /** Adds amounts with notes to one tally, as one batch. */
  async function tell(engine: Engine, notes: readonly string[], tallyId = 'teller'): Promise<CommandRequest[]> {
    const sent = notes.map((note) => request('Add', { tallyId, amount: 1, note }));
    await Promise.all(sent.map(async (it) => succeeded(await engine.executor.execute(it))));
    return sent;
  }
  const hears = (engine: Engine, instance: string, expected: readonly string[]) =>
    eventually(async () => expect(await heardBy(engine, instance)).toEqual(expected));
  /** All that is due now has been fed and run. */
  const settled = async (engine: Engine) => {
    const instance = randomUUID();
    await tell(engine, [`${instance}: nothing`]);
    await hears(engine, instance, [`message ${instance}: nothing`]);
    await untilNothingRuns(database);
  };
  async function actOnAll(engine: Engine, name: 'Retry' | 'Drop'): Promise<void> {
    const open = (await letterRows(database)).filter(({ status }) => status === 'OPEN').map(({ id }) => id);
    if (name === 'Retry') succeeded(await atDesk(engine, 'Retry', { letters: open }));
    else for (const letter of open) succeeded(await atDesk(engine, 'Drop', { letter, reason: 'It is in the way.' }));
  }

  describe('takes messages', () => {
    it('once each, and those of an instance in the order of the log', async () => {
      const engine = await start({ workers: 4 });
      const notes = range(400).map((at) => `p${at % 7}: note ${at}`);
      const told = range(5).map((teller) =>
        tell(
          engine,
          notes.filter((_, at) => at % 5 === teller - 1),
          `teller ${teller}`,
        ),
      );
      await Promise.all(told);
      const log = await readWholeLog(engine.log);
      const expected = range(7, 0).map((instance) =>
        log
          .filter(({ aggregateType }) => aggregateType === 'tally')
          .map(({ data }) => (data as { note: string }).note)
          .filter((note) => note.startsWith(`p${instance}:`))
          .map((note) => `message ${note}`),
      );
      for (const [instance, heard] of expected.entries()) await hears(engine, `p${instance}`, heard);
      expect(expected.flat()).toHaveLength(400);
      const attempts = await database.log.query('SELECT DISTINCT status, attempts FROM commands');
      expect(attempts).toEqual([{ status: 'SUCCEEDED', attempts: 1 }]);
    });

    it('of events that were there before it', async () => {
      const before = await start({ processes: [] });
      await tell(before, ['p: first', 'p: second', 'of nobody']);
      await stopAll();
      await hears(await start(), 'p', ['message p: first', 'message p: second']);
    });

    it('once, though the feed begins anew, and remembers whom they came from', async () => {
      const engine = await start();
      const [sent] = await tell(engine, ['p: send Add b 5']);
      await eventually(async () => expect(await amountsOf(engine, 'b')).toEqual([5]));
      await stopAll();
      await database.log.query('UPDATE checkpoints SET position = 0');
      const again = await start();
      await settled(again);
      expect(await heardBy(again, 'p')).toEqual(['message p: send Add b 5']);
      expect(await amountsOf(again, 'b')).toEqual([5]);
      const [told] = await eventsOf(again, 'teller');
      const [event] = await again.log.readStreams([`${SCRIPTED}-p`]);
      expect(event).toMatchObject({
        commandId: idCausedBy(SCRIPTED, told?.eventId ?? ''),
        correlationId: sent?.correlationId,
        actor: { kind: 'PROCESS', id: SCRIPTED },
      });
      expect(await recordOf(again, event?.commandId ?? '')).toMatchObject({ causationId: told?.eventId });
    });
  });

  describe('sends commands', () => {
    it('with ids made from what caused them, in order, in the name of the process', async () => {
      const engine = await start();
      const [sent] = await tell(engine, ['p: send Add b 5; send Add b 6 | send Add c 7; send Add b 8']);
      await eventually(async () => expect(await amountsOf(engine, 'b')).toEqual([5, 6, 8]));
      await eventually(async () => expect(await amountsOf(engine, 'c')).toEqual([7]));
      const [own] = await engine.log.readStreams([`${SCRIPTED}-p`]);
      const cause = own?.commandId ?? '';
      const ids = [...(await eventsOf(engine, 'b')), ...(await eventsOf(engine, 'c'))].map(
        ({ commandId }) => commandId,
      );
      expect(ids).toEqual([0, 1, 3, 2].map((at) => idCausedBy(cause, `${SCRIPTED}-p`, at)));
      expect(await recordOf(engine, ids[0] ?? '')).toMatchObject({
        status: 'SUCCEEDED',
        actor: { kind: 'PROCESS', id: SCRIPTED },
        issuer: { type: SCRIPTED, id: 'p' },
        correlationId: sent?.correlationId,
        causationId: cause,
      });
      // Nobody is told of what went well.
      await settled(engine);
      expect(await heardBy(engine, 'p')).toHaveLength(2);
    });

    it('behind those that wait for the same aggregate', async () => {
      const engine = await start();
      await finished(engine, await enqueue(engine, request('Fail', { tallyId: 'b' })));
      await enqueue(engine, request('Add', { tallyId: 'b', amount: 1 }));
      await tell(engine, ['p: send Add b 2']);
      await settled(engine);
      await enqueue(engine, request('Add', { tallyId: 'b', amount: 3 }));
      await actOnAll(engine, 'Drop');
      await eventually(async () => expect(await amountsOf(engine, 'b')).toEqual([1, 2, 3]));
    });

    it('also while the clock is behind the log', async () => {
      const engine = await start();
      await tell(engine, ['p: nothing']);
      clock.advance(-3_600 * SECOND);
      await tell(engine, ['p: send Add b 2; send Add locked 3', 'q: send Forbid b']);
      await eventually(async () => expect(await amountsOf(engine, 'b')).toEqual([2]));
      await hears(engine, 'q', ['message q: send Forbid b', 'refusal Forbid REJECTED FORBIDDEN']);
    });
  });

  describe('is told what its commands came to nothing by', () => {
    it('a rejection', async () => {
      const engine = await start();
      await engine.executor.execute(request('Lock', { tallyId: 'locked' }));
      const notes = [
        'p1: otherwise send Add b 1; send Add locked 5',
        'p2: otherwise send Add b 2; send Unlock locked @7',
        'p3: otherwise send Add b 3; send Forbid b',
        'p4: otherwise send Add b 4; send Add b -1000000000',
      ];
      await tell(engine, notes.slice(0, 3));
      for (const [at, refusal] of [
        'Add REJECTED ILLEGAL_STATE',
        'Unlock REJECTED VERSION_CONFLICT',
        'Forbid REJECTED FORBIDDEN',
      ].entries()) {
        await hears(engine, `p${at + 1}`, [`message ${notes[at]}`, `refusal ${refusal}`]);
      }
      await eventually(async () => expect((await amountsOf(engine, 'b')).toSorted()).toEqual([1, 2, 3]));
      const [, refusal] = await engine.log.readStreams([`${SCRIPTED}-p1`]);
      const record = await recordOf(engine, refusal?.commandId ?? '');
      expect(record).toMatchObject({ name: `${SCRIPTED}.refusal`, actor: { kind: 'PROCESS', id: SCRIPTED } });
      expect(await recordOf(engine, record.causationId ?? '')).toMatchObject({ name: 'Add', status: 'REJECTED' });
    });

    it('an operator who cancelled or dropped it, or a deadline', async () => {
      const engine = await start();
      await finished(engine, await enqueue(engine, request('Fail', { tallyId: 'b' })));
      // What they send waits behind what has failed.
      await tell(engine, ['p1: send Fail b', 'p2: send Add b 1', 'p3: send Add b 2', 'p4: send Add b 3']);
      const waiting = await eventually(async () => {
        const records = await Promise.all((await queueRows(database)).map(({ id }) => recordOf(engine, id)));
        const sent = records.filter(({ issuer }) => issuer !== null);
        expect(sent).toHaveLength(4);
        return sent;
      });
      const sentBy = (instance: string) => waiting.find(({ issuer }) => issuer?.id === instance)?.commandId ?? '';
      succeeded(await atDesk(engine, 'Cancel', { target: sentBy('p2') }));
      await hears(engine, 'p2', ['message p2: send Add b 1', 'refusal Add CANCELLED']);
      await database.log.query(
        'UPDATE command_queue SET deadline = $2::timestamptz WHERE command_id = $1::uuid',
        sentBy('p3'),
        clock.now(),
      );
      engine.wake();
      await hears(engine, 'p3', ['message p3: send Add b 2', 'refusal Add TIMED_OUT']);
      await actOnAll(engine, 'Drop');
      await finished(engine, sentBy('p1'));
      expect(await heardBy(engine, 'p1'), 'that it failed is not the end of it').toEqual(['message p1: send Fail b']);
      await actOnAll(engine, 'Drop');
      await hears(engine, 'p1', ['message p1: send Fail b', 'refusal Fail DROPPED']);
      await eventually(async () => expect(await amountsOf(engine, 'b')).toEqual([3]));
      expect(await heardBy(engine, 'p4')).toEqual(['message p4: send Add b 3']);
    });
  });

  describe('sets timers', () => {
    it('that fire once, when they are due, and not before', async () => {
      const engine = await start();
      await tell(engine, ['p: set bell 60 > send Add b 5']);
      await settled(engine);
      clock.advance(60 * SECOND - 1);
      await settled(engine);
      expect(await heardBy(engine, 'p')).toEqual(['message p: set bell 60 > send Add b 5']);
      clock.advance(1);
      await hears(engine, 'p', ['message p: set bell 60 > send Add b 5', 'timer bell']);
      await eventually(async () => expect(await amountsOf(engine, 'b')).toEqual([5]));
      clock.advance(600 * SECOND);
      await settled(engine);
      expect(await heardBy(engine, 'p')).toHaveLength(2);
    });

    it.each([
      ['replaced by a later event', ['p: set bell 60', 'p: set bell 120'], 120],
      ['replaced by an earlier instant', ['p: set bell 120', 'p: set bell 60'], 60],
      ['replaced by an event of the same append', ['p: set bell 60 | set bell 120'], 120],
      ['replaced by an effect of the same event', ['p: set bell 60; set bell 120'], 120],
      ['cancelled by a later event', ['p: set bell 60', 'p: cancel bell'], undefined],
      ['cancelled by an event of the same append', ['p: set bell 60 | cancel bell'], undefined],
      ['cancelled by an effect of the same event', ['p: set bell 60; cancel bell'], undefined],
      ['cancelled and set again', ['p: set bell 60', 'p: cancel bell | set bell 90'], 90],
      ['set, cancelled and set', ['p: set bell 60 | cancel bell; set bell 90 | set other 1; cancel other'], 90],
    ] as const)('%s: one by one, or all in one batch', async (_, notes, seconds) => {
      const heard = notes.flatMap((note) => note.split('|').map(() => `message ${note}`));
      const fires = async (engine: Engine) => {
        await hears(engine, 'p', heard);
        clock.advance((seconds ?? 10_000) * SECOND - 1);
        await settled(engine);
        expect(await heardBy(engine, 'p')).toEqual(heard);
        clock.advance(1);
        await settled(engine);
        expect(await heardBy(engine, 'p')).toEqual(seconds === undefined ? heard : [...heard, 'timer bell']);
        clock.advance(10_000 * SECOND);
        await settled(engine);
        expect(await heardBy(engine, 'p')).toHaveLength(heard.length + (seconds === undefined ? 0 : 1));
        expect(await queueRows(database)).toEqual([]);
      };
      const oneByOne = await start();
      for (const [at, note] of notes.entries()) {
        await tell(oneByOne, [note]);
        await hears(oneByOne, 'p', heard.slice(0, heard.lastIndexOf(`message ${notes[at]}`) + 1));
      }
      await fires(oneByOne);
      await stopAll();

      await emptyTallyStore(database);
      const before = await start({ processes: [] });
      await tell(before, notes);
      await before.stop();
      const inOne = await start();
      await fires(inOne);
      // One append of all that was decided.
      const appended = await database.log.query(
        `SELECT DISTINCT recorded_at FROM events WHERE type = 'ScriptStepped' AND stream_id = '${SCRIPTED}-p' AND data->>'heard' LIKE 'message%'`,
      );
      expect(appended).toHaveLength(1);
    });

    it('of each name and each instance its own', async () => {
      const engine = await start();
      const notes = [
        'p: set bell 60; set horn 90',
        'q: set bell 120 | set horn 30',
        'p: cancel horn',
        'q: cancel bell',
      ];
      await tell(engine, notes);
      await settled(engine);
      clock.advance(200 * SECOND);
      await settled(engine);
      expect((await heardBy(engine, 'p')).slice(-1)).toEqual(['timer bell']);
      expect((await heardBy(engine, 'q')).slice(-1)).toEqual(['timer horn']);
      expect(await queueRows(database)).toEqual([]);
    });

    it('that fire although they were set in the past', async () => {
      const engine = await start();
      await tell(engine, ['p: set bell -60']);
      await hears(engine, 'p', ['message p: set bell -60', 'timer bell']);
    });

    it('that survive a restart, and fire once where they came due meanwhile', async () => {
      const first = await start();
      await tell(first, ['p: set bell 60 > send Add b 5', 'q: set bell 3600', 'r: set bell 30 > set bell 30']);
      await settled(first);
      await reopen();
      clock.advance(60 * SECOND);
      const second = await start();
      await hears(second, 'p', ['message p: set bell 60 > send Add b 5', 'timer bell']);
      await settled(second);
      expect(await heardBy(second, 'q')).toEqual(['message q: set bell 3600']);
      await reopen();
      clock.advance(3_540 * SECOND);
      const third = await start();
      await hears(third, 'q', ['message q: set bell 3600', 'timer bell']);
      await settled(third);
      expect(await heardBy(third, 'p')).toHaveLength(2);
      expect(await amountsOf(third, 'b')).toEqual([5]);
    });

    it('that are not told before what is only looked at then', async () => {
      const engine = await start();
      await tell(engine, ['p: set bell 60']);
      for (const name of ['Lock', 'Unlock', 'Lock'] as const) {
        succeeded(await engine.executor.execute(request(name, { tallyId: 'p' })));
      }
      await settled(engine);
      expect(await heardBy(engine, 'p')).toEqual(['message p: set bell 60']);
      clock.advance(60 * SECOND);
      const heard = ['message p: set bell 60', 'message TallyLocked 3', 'timer bell'];
      await hears(engine, 'p', heard);
      // Looked at once more before the next one: heard already, it is nothing new.
      await tell(engine, ['p: set bell 60']);
      await settled(engine);
      clock.advance(60 * SECOND);
      await hears(engine, 'p', [...heard, 'message p: set bell 60', 'timer bell']);
    });
  });

  describe('that breaks', () => {
    it('parks its instance: what comes for it waits, others go on; mended, it goes on in order', async () => {
      const broken = new Set(['p: poison']);
      const engine = await start({ processes: [createScripted({ broken })] });
      await tell(engine, ['p: set bell 60', 'p: poison', 'p: behind', 'q: nothing']);
      await hears(engine, 'q', ['message q: nothing']);
      await hears(engine, 'p', ['message p: set bell 60']);
      const [letter] = await eventually(async () => {
        const letters = await letterRows(database);
        expect(letters).toHaveLength(1);
        return letters;
      });
      expect(letter).toMatchObject({
        source: `process:${SCRIPTED}`,
        lane: `${SCRIPTED}-p`,
        error: 'This breaks it: message p: poison',
        payload: { command: `${SCRIPTED}.message`, input: { instanceId: 'p', position: 2 } },
        status: 'OPEN',
      });
      clock.advance(60 * SECOND);
      await tell(engine, ['p: later', 'q: send Add b 1']);
      await settled(engine);
      expect(await heardBy(engine, 'p')).toEqual(['message p: set bell 60']);
      await eventually(async () => expect(await amountsOf(engine, 'b')).toEqual([1]));
      broken.clear();
      await actOnAll(engine, 'Retry');
      const heard = ['set bell 60', 'poison', 'behind'].map((note) => `message p: ${note}`);
      await hears(engine, 'p', [...heard, 'timer bell', 'message p: later']);
    });

    it('on an effect that cannot be is parked, too, and nothing of it is done; dropped, it goes on without', async () => {
      const engine = await start();
      await tell(engine, ['p: send Add b 1 | send Explode b', 'p: behind']);
      await eventually(async () => {
        expect(await letterRows(database)).toMatchObject([{ error: 'No aggregate takes the command Explode.' }]);
      });
      expect(await heardBy(engine, 'p')).toEqual([]);
      await actOnAll(engine, 'Drop');
      await hears(engine, 'p', ['message p: behind']);
      expect(await amountsOf(engine, 'b')).toEqual([]);
    });

    it('on a timer keeps the timer, whatever is set meanwhile', async () => {
      let isBroken = true;
      const onDecide = (heard: string) => {
        if (heard === 'timer bell' && isBroken) throw new Error('It is broken.');
      };
      const engine = await start({ processes: [createScripted({ onDecide })] });
      await tell(engine, ['p: set bell 60 > send Add b 1']);
      await settled(engine);
      clock.advance(60 * SECOND);
      await eventually(async () => expect(await letterRows(database)).toHaveLength(1));
      await tell(engine, ['p: behind']);
      await settled(engine);
      isBroken = false;
      await actOnAll(engine, 'Retry');
      await hears(engine, 'p', ['message p: set bell 60 > send Add b 1', 'timer bell', 'message p: behind']);
    });

    it('where nobody knows for whom an event is, parks what comes from its stream', async () => {
      const lost = new Set(['p: lost']);
      const engine = await start({ processes: [createScripted({ lost })], eventRetries: ONE_ATTEMPT });
      await tell(engine, ['p: before', 'p: lost', 'p: behind', 'q: behind'], 'a');
      await tell(engine, ['p: of another', 'r: of another'], 'b');
      await hears(engine, 'r', ['message r: of another']);
      const letters = await letterRows(database);
      expect(letters).toMatchObject([{ source: `process:${SCRIPTED}`, lane: 'stream tally-a', status: 'OPEN' }]);
      await tell(engine, ['q: later'], 'a');
      await tell(engine, ['r: later'], 'b');
      await hears(engine, 'r', ['message r: of another', 'message r: later']);
      // Those of an instance stay in order, also across streams.
      expect(await heardBy(engine, 'p')).toEqual(['message p: before']);
      expect(await heardBy(engine, 'q')).toEqual([]);
      lost.clear();
      await actOnAll(engine, 'Retry');
      await hears(engine, 'q', ['message q: behind', 'message q: later']);
      const heard = ['before', 'lost', 'behind', 'of another'].map((note) => `message p: ${note}`);
      await hears(engine, 'p', heard);
    });
  });

  describe('gives a command its outcome', () => {
    const doing = (note: string, commandId = randomUUID()) => ({
      ...request('Lock', { tallyId: '' }, { commandId }),
      name: 'Do',
      data: { jobId: `job of ${commandId}`, note },
    });

    it('that stays RUNNING until then, and has that outcome for good', async () => {
      const engine = await start();
      const [good, bad] = [doing('p: set bell 60 > conclude'), doing('q: set bell 60 > conclude CALLED_OFF')];
      for (const it of [good, bad]) {
        const begun = await engine.executor.execute(it);
        expect(begun).toMatchObject({
          outcome: 'accepted',
          receipt: { status: 'RUNNING', version: 1, replayed: false },
        });
      }
      await settled(engine);
      for (const it of [good, bad]) {
        expect(await recordOf(engine, it.commandId)).toMatchObject({ status: 'RUNNING', finishedAt: null });
        const again = await engine.executor.execute(it);
        expect(again).toMatchObject({
          outcome: 'accepted',
          receipt: { status: 'RUNNING', version: 1, replayed: true },
        });
      }
      clock.advance(60 * SECOND);
      expect(await finished(engine, good.commandId)).toMatchObject({
        status: 'SUCCEEDED',
        version: 1,
        finishedAt: clock.now(),
      });
      expect(await finished(engine, bad.commandId)).toMatchObject({
        status: 'REJECTED',
        rejection: { code: 'CALLED_OFF' },
      });
      // From its position on the log holds what the process did, too.
      const { position } = await recordOf(engine, good.commandId);
      const [, rung] = await engine.log.readStreams([`${SCRIPTED}-p`]);
      expect(position).toBeGreaterThanOrEqual(rung?.position ?? Number.POSITIVE_INFINITY);

      // Whatever the process says of them later.
      await tell(engine, [`r: conclude ${good.commandId} NO_MORE | conclude ${bad.commandId}`]);
      await settled(engine);
      const told = [await engine.executor.execute(good), await engine.executor.execute(bad)];
      expect(receiptOf(succeeded(told[0] ?? never()))).toMatchObject({ status: 'SUCCEEDED', position, replayed: true });
      expect(rejected(told[1] ?? never())).toMatchObject({
        rejection: { code: 'CALLED_OFF' },
        receipt: { status: 'REJECTED', replayed: true },
      });
    });

    it('also where it was queued, or sent by a process, which is told of a rejection', async () => {
      const engine = await start();
      const queued = doing('p: conclude');
      await enqueue(engine, queued);
      expect(await finished(engine, queued.commandId)).toMatchObject({ status: 'SUCCEEDED', version: 1 });
      const note = 's: otherwise send Add b 5; send Do j1 q: conclude NO';
      await tell(engine, [note]);
      await hears(engine, 's', [`message ${note}`, 'refusal Do REJECTED NO']);
      await eventually(async () => expect(await amountsOf(engine, 'b')).toEqual([5]));
    });

    it('at once where there is nothing to do', async () => {
      const engine = await start();
      const idle = doing('');
      expect(succeeded(await engine.executor.execute(idle)).receipt).toMatchObject({ status: 'SUCCEEDED', version: 0 });
      const queued = doing('');
      await enqueue(engine, queued);
      expect(await finished(engine, queued.commandId)).toMatchObject({ status: 'SUCCEEDED', version: 0 });
      expect(await statusOf(engine, idle.commandId)).toBe('SUCCEEDED');
    });
  });
});

function never(): never {
  throw new Error('It is not there.');
}
