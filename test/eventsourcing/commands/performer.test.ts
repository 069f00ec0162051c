import { fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { z } from 'zod';
import type { PerformedCommand } from '../../../src/eventsourcing/commands/performer.ts';
import type { RetryPolicy } from '../../../src/eventsourcing/commands/retry-policy.ts';
import type { Engine } from '../../../src/eventsourcing/engine.ts';
import { type Database, openDatabase } from '../../../src/platform/database.ts';
import { bundleScript, type ScriptFile } from '../../support/bundle.ts';
import { atDesk, createDesk } from '../../support/desk.ts';
import {
  askFor,
  asking,
  carrying,
  type Errands,
  errandsOf,
  greeting,
  parcel,
  performing,
  runner,
  running,
} from '../../support/errands.ts';
import { meddleWith } from '../../support/meddled-database.ts';
import {
  enqueue,
  eventually,
  finished,
  letterRows,
  queueRowOf,
  recordOf,
  statusOf,
  untilDrained,
} from '../../support/queue.ts';
import { describeEachStore, openMigrated, type TestStore } from '../../support/stores.ts';
import { emptyTallyStore } from '../../support/tally.ts';
import { startTallyEngine, succeeded, type TallyEngineOptions } from '../../support/tally-engine.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const SOON: RetryPolicy = { maxAttempts: 3, firstPauseMs: 1, longestPauseMs: 1 };
/** As many of a kind as are performed at the same time. */
const AT_ONCE = 64;

/** Begins an errand, says that it was begun, and never comes back. */
const HANGING_WORKER = `
  import { openDatabase } from './src/platform/database.ts';
  import { performing, runner } from './test/support/errands.ts';
  import { startTallyEngine } from './test/support/tally-engine.ts';

  const database = await openDatabase(JSON.parse(process.env.WORKER));
  const never = new Promise(() => {});
  const hang = async ({ commandId, attempts }) => {
    process.send({ commandId, attempts });
    await never;
  };
  await startTallyEngine(database, { aggregates: [runner], performers: performing({ hang }), leaseSeconds: 1 });
`;
const begun = z.object({ commandId: z.string(), attempts: z.number() });

/** Something that is waited for until it is opened. */
function createGate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

describeEachStore('A command that is performed', (kind) => {
  let store: TestStore;
  let database: Database;
  const engines: Engine[] = [];
  const gates: (() => void)[] = [];

  beforeAll(async () => {
    store = await kind.create();
    database = await openMigrated(store);
  });
  beforeEach(() => emptyTallyStore(database));
  afterEach(async () => {
    for (const open of gates.splice(0)) open();
    for (const engine of engines.splice(0)) await engine.stop();
  });
  afterAll(async () => {
    await database.close();
    await store.remove();
  });

  async function start(errands: Errands, options: TallyEngineOptions = {}, over = database): Promise<Engine> {
    const aggregates = [createDesk(), runner];
    const performers = performing(errands);
    const engine = await startTallyEngine(over, { aggregates, performers, commandRetries: SOON, ...options });
    engines.push(engine);
    return engine;
  }

  function gate() {
    const it = createGate();
    gates.push(it.open);
    return it;
  }

  it('is performed outside of any transaction, and decided on the state of afterwards with what that came back with', async () => {
    const id = randomUUID();
    const told: PerformedCommand[] = [];
    const engine: Engine = await start({
      'fetch milk': async (command) => {
        told.push(command);
        // Would wait for ever if this held a transaction, or the turn of its aggregate.
        succeeded(await engine.executor.execute(greeting(id)));
        return 'milk';
      },
    });
    succeeded(await engine.executor.execute(greeting(id)));
    await askFor(engine, id, 'fetch milk');
    await eventually(async () => {
      expect(await errandsOf(engine, id)).toEqual([{ errand: 'fetch milk', brought: 'milk', greetings: 2 }]);
    });
    expect(told).toMatchObject([
      { data: { runnerId: id, errand: 'fetch milk' }, state: { greetings: 1 }, attempts: 1, now: expect.any(Date) },
    ]);
    expect(await recordOf(engine, told[0]?.commandId ?? '')).toMatchObject({ status: 'SUCCEEDED', attempts: 1 });
  });

  it('that hangs holds up nothing: neither the same aggregate nor others, at once or queued', async () => {
    const [id, other] = [randomUUID(), randomUUID()];
    const { opened, open } = gate();
    const engine = await start({ hang: async () => opened.then(() => 'late'), walk: async () => 'quick' });
    const hanging = await enqueue(engine, running(id, 'hang'));
    await eventually(async () => expect(await statusOf(engine, hanging)).toBe('RUNNING'));

    const queued = await Promise.all([id, other].map((it) => enqueue(engine, greeting(it))));
    for (const it of [id, other]) {
      succeeded(await engine.executor.execute(greeting(it)));
      await askFor(engine, it, 'walk');
    }
    for (const commandId of queued) expect(await finished(engine, commandId)).toMatchObject({ status: 'SUCCEEDED' });
    for (const it of [id, other]) {
      await eventually(async () => expect(await errandsOf(engine, it)).toMatchObject([{ brought: 'quick' }]));
    }
    expect(await statusOf(engine, hanging)).toBe('RUNNING');
    open();
    expect(await finished(engine, hanging)).toMatchObject({ status: 'SUCCEEDED', attempts: 1 });
    expect(await errandsOf(engine, id)).toMatchObject([{ brought: 'quick' }, { brought: 'late', greetings: 2 }]);
  });

  it('that breaks is tried again after growing pauses, and is a dead letter in the end; others go on', async () => {
    const id = randomUUID();
    const clock = new VirtualClock();
    let isMended = false;
    const engine = await start(
      {
        climb: async () => {
          if (!isMended) throw new Error('It is too high.');
          return 'the flag';
        },
        walk: async () => 'flowers',
      },
      { clock, commandRetries: { maxAttempts: 3, firstPauseMs: 1_000, longestPauseMs: 9_000 } },
    );
    const commandId = await enqueue(engine, running(id, 'climb'));
    for (const [tried, longest] of [1_000, 2_000].entries()) {
      const pause = await eventually(async () => {
        const row = await queueRowOf(database, commandId);
        expect(row).toMatchObject({ attempts: tried + 1, owner: null });
        return (row?.retryAt?.getTime() ?? 0) - clock.now().getTime();
      });
      expect(pause).toBeGreaterThanOrEqual(longest / 2 - 1);
      expect(pause).toBeLessThanOrEqual(longest);
      await askFor(engine, id, 'walk');
      clock.advance(pause);
    }
    expect(await finished(engine, commandId)).toMatchObject({
      status: 'FAILED',
      attempts: 3,
      error: 'It is too high.',
    });
    const letters = await letterRows(database);
    expect(letters).toMatchObject([
      { source: 'command', subject: commandId, attempts: 3, status: 'OPEN', error: 'It is too high.' },
    ]);
    await askFor(engine, id, 'walk');
    const walks = { errand: 'walk', brought: 'flowers' };
    await eventually(async () => expect(await errandsOf(engine, id)).toMatchObject([walks, walks, walks]));

    isMended = true;
    succeeded(await atDesk(engine, 'Retry', { letters: letters.map((letter) => letter.id) }));
    expect(await finished(engine, commandId)).toMatchObject({ status: 'SUCCEEDED', error: null });
    expect((await errandsOf(engine, id)).at(-1)).toMatchObject({ errand: 'climb', brought: 'the flag' });
    expect(await letterRows(database)).toMatchObject([{ status: 'RETRIED' }]);
  });

  it.each(['ECONNREFUSED', 'ECONNRESET', '57P01', '08006'])(
    'that fails as a lost database does (%s) has failed: that counts, and is no reason to stop',
    async (code) => {
      const engine = await start({
        call: async () => {
          throw Object.assign(new Error(`connect ${code}`), { code });
        },
      });
      const commandId = await enqueue(engine, running(randomUUID(), 'call'));
      expect(await finished(engine, commandId)).toMatchObject({ status: 'FAILED', attempts: SOON.maxAttempts });
    },
  );

  it('that was not even tried, since whoever is to be asked is away, waits for them: that is no attempt', async () => {
    const clock = new VirtualClock();
    let isAway = true;
    let asked = 0;
    const engine = await start(
      {
        call: async () => {
          asked += 1;
          if (isAway) throw Object.assign(new Error('They are away.'), { wasTried: false });
          return 'an answer';
        },
      },
      { clock },
    );
    const commandId = await enqueue(engine, running(randomUUID(), 'call'));
    for (let time = 1; time <= SOON.maxAttempts + 1; time += 1) {
      await eventually(async () => {
        expect(asked).toBe(time);
        expect(await queueRowOf(database, commandId)).toMatchObject({ attempts: 0, owner: null });
      });
      if (time > SOON.maxAttempts) isAway = false;
      clock.advance(5_000);
    }
    expect(await finished(engine, commandId)).toMatchObject({ status: 'SUCCEEDED', attempts: 1 });
  });

  it('is performed again where the decision on what it came back with breaks', async () => {
    const id = randomUUID();
    const brought: unknown[] = [7, 'seven'];
    const seen: string[] = [];
    const engine = await start({
      count: async ({ commandId, attempts }) => {
        seen.push(`${commandId} ${attempts}`);
        return brought.shift();
      },
    });
    const commandId = await enqueue(engine, running(id, 'count'));
    expect(await finished(engine, commandId)).toMatchObject({ status: 'SUCCEEDED', attempts: 2 });
    expect(seen).toEqual([`${commandId} 1`, `${commandId} 2`]);
    expect(await errandsOf(engine, id)).toMatchObject([{ brought: 'seven' }]);
  });

  it('is only ever queued', async () => {
    const engine = await start({ walk: async () => 'flowers' });
    const id = randomUUID();
    await expect(engine.executor.execute(running(id, 'walk'))).rejects.toThrow('can only be queued');
    expect(await errandsOf(engine, id)).toEqual([]);
  });

  it('has somebody who performs it, or the engine does not start', async () => {
    await expect(startTallyEngine(database, { aggregates: [runner] })).rejects.toThrow('Nobody performs RunErrand.');
  });

  it(`and more than ${AT_ONCE} others: so many at a time, and nothing else waits for them`, async () => {
    const more = 80;
    const { opened, open } = gate();
    let now = 0;
    let most = 0;
    const engine = await start({
      hang: async () => {
        now += 1;
        most = Math.max(most, now);
        await opened;
        now -= 1;
        return 'done';
      },
    });
    const ids = Array.from({ length: AT_ONCE + more }, () => randomUUID());
    await Promise.all(ids.map((id) => askFor(engine, id, 'hang')));
    await eventually(() => expect(now).toBe(AT_ONCE));
    const greeted = await enqueue(engine, greeting(randomUUID()));
    expect(await finished(engine, greeted)).toMatchObject({ status: 'SUCCEEDED' });
    expect(now).toBe(AT_ONCE);
    open();
    await untilDrained(database);
    for (const id of ids) expect(await errandsOf(engine, id)).toHaveLength(1);
    expect(most).toBe(AT_ONCE);
    const attempts = await database.log.query(`SELECT DISTINCT attempts FROM commands WHERE name = 'RunErrand'`);
    expect(attempts, 'one that had to wait was not tried').toEqual([{ attempts: 1 }]);
  });

  it('and thousands of others wait: none is claimed that cannot begin, and what is not performed is run at once', async () => {
    const backlog = 5_000;
    let givenBack = 0;
    const counted = meddleWith(database);
    counted.onAnswer = (sql) => {
      if (sql.includes('give_back_commands')) givenBack += 1;
    };
    const { opened } = gate();
    const ends: (() => void)[] = [];
    const hang = () => Promise.race([opened, new Promise<void>((end) => ends.push(end))]).then(() => 'done');
    const engine = await start({ hang }, {}, counted);
    const hangs = Array.from({ length: backlog / 50 }, () => 'hang');
    await Promise.all(Array.from({ length: 50 }, () => askFor(engine, randomUUID(), ...hangs)));
    await eventually(() => expect(ends).toHaveLength(AT_ONCE));
    const greeted = await enqueue(engine, greeting(randomUUID()));
    expect(await finished(engine, greeted)).toMatchObject({ status: 'SUCCEEDED' });

    // One after the other they end.
    const head = await engine.tail.refresh();
    for (let ended = 1; ended <= 80; ended += 1) {
      ends.shift()?.();
      await eventually(() => expect(engine.tail.head).toBe(head + ended));
    }
    await eventually(() => expect(ends).toHaveLength(AT_ONCE));
    expect(givenBack).toBe(0);
  }, 60_000);

  it('and hundreds of another kind that are slow: there is room for it, and none is claimed in vain', async () => {
    let givenBack = 0;
    const counted = meddleWith(database);
    counted.onAnswer = (sql) => {
      if (sql.includes('give_back_commands')) givenBack += 1;
    };
    const { opened, open } = gate();
    let slow = 0;
    const errands = performing({
      queue: async () => {
        slow += 1;
        return opened.then(() => 'a stamp');
      },
    });
    const options = {
      aggregates: [createDesk(), runner, parcel],
      performers: new Map([...errands, ['CarryParcel', async () => 'carried']]),
    };
    const engine = await start({}, options, counted);
    const ids = Array.from({ length: 10 }, () => randomUUID());
    await Promise.all(ids.map((id) => askFor(engine, id, ...Array.from({ length: 60 }, () => 'queue'))));
    await eventually(() => expect(slow).toBe(AT_ONCE));
    for (let time = 0; time < 20; time += 1) {
      const commandId = await enqueue(engine, carrying(randomUUID()));
      expect(await finished(engine, commandId)).toMatchObject({ status: 'SUCCEEDED', attempts: 1 });
    }
    // Also many at once, more than there is room for.
    const many = await Promise.all(Array.from({ length: 300 }, () => enqueue(engine, carrying(randomUUID()))));
    for (const commandId of many) expect(await finished(engine, commandId)).toMatchObject({ attempts: 1 });
    expect({ slow, givenBack }).toEqual({ slow: AT_ONCE, givenBack: 0 });
    open();
    await untilDrained(database);
    expect(slow).toBe(600);
  }, 60_000);

  it('is waited for when the engine stops', async () => {
    const id = randomUUID();
    const { opened, open } = gate();
    const engine = await start({ hang: async () => opened.then(() => 'done') });
    const commandId = await enqueue(engine, running(id, 'hang'));
    await eventually(async () => expect(await statusOf(engine, commandId)).toBe('RUNNING'));
    let isStopped = false;
    const stopping = engine.stop().then(() => {
      isStopped = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(isStopped).toBe(false);
    open();
    await stopping;
    expect(await statusOf(engine, commandId)).toBe('SUCCEEDED');
    expect(await errandsOf(engine, id)).toMatchObject([{ brought: 'done' }]);
  });

  it('is told the secrets of commands that have not ended, and nothing of those that have', async () => {
    const id = randomUUID();
    const { opened, open } = gate();
    const told = new Map<string, unknown>();
    let carrier = '';
    const look: Errands[string] = async ({ data, inputOf }) => {
      const { errand } = z.object({ errand: z.string() }).parse(data);
      told.set(errand, (await inputOf(carrier))?.['password']);
      told.set(`${errand}, of nobody`, await inputOf(randomUUID()));
      return 'seen';
    };
    const engine = await start({
      'open the door': async ({ data, commandId, inputOf }) => {
        told.set('own data', z.object({ password: z.string() }).parse(data).password);
        told.set('own input', (await inputOf(commandId))?.['password']);
        return opened.then(() => 'open');
      },
      'look before': look,
      'look after': look,
    });
    carrier = await enqueue(engine, running(id, 'open the door', 'sesame'));
    await eventually(() => expect(told.get('own input')).toBe('sesame'));
    await finished(engine, await enqueue(engine, running(id, 'look before')));
    expect((await recordOf(engine, carrier)).input).toMatchObject({ password: null });
    open();
    await finished(engine, carrier);
    await finished(engine, await enqueue(engine, running(id, 'look after')));
    expect(Object.fromEntries(told)).toEqual({
      'own data': 'sesame',
      'own input': 'sesame',
      'look before': 'sesame',
      'look before, of nobody': undefined,
      'look after': null,
      'look after, of nobody': undefined,
    });
  });
});

describeEachStore('A process that is killed while it performs commands', (kind) => {
  let script: ScriptFile;
  const closing: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    script = await bundleScript(HANGING_WORKER);
  });
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });
  afterAll(() => script.remove());

  it('leaves them to another: that performs the same commands again, all at once, and nothing waits for them', async () => {
    const store = await kind.create();
    const before = await openMigrated(store);
    closing.push(store.remove);
    const id = randomUUID();
    const idle = await startTallyEngine(before, { aggregates: [runner], performers: performing({}), workers: 0 });
    await enqueue(idle, asking(id, 'hang', 'hang', 'hang'));
    await idle.stop();
    await before.close();

    const env = { ...process.env, WORKER: JSON.stringify(store.settings) };
    const worker = fork(script.path, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], env });
    closing.push(async () => worker.kill('SIGKILL'));
    const first: z.output<typeof begun>[] = [];
    worker.on('message', (message) => first.push(begun.parse(message)));
    await eventually(() => expect(first).toHaveLength(3), 30_000);
    const ended = once(worker, 'exit');
    worker.kill('SIGKILL');
    await ended;

    const database = await openDatabase(store.settings);
    closing.push(database.close);
    const again: unknown[] = [];
    const { opened, open } = createGate();
    const hang: Errands[string] = async ({ commandId, attempts }) => {
      again.push({ commandId, attempts });
      await opened;
      return 'this time';
    };
    const engine = await startTallyEngine(database, {
      aggregates: [runner],
      performers: performing({ hang }),
      leaseSeconds: 1,
    });
    closing.push(() => engine.stop());
    closing.push(async () => open());
    await eventually(() => expect(again).toHaveLength(3), 30_000);
    const meanwhile = await enqueue(engine, greeting(id));
    expect(await finished(engine, meanwhile)).toMatchObject({ status: 'SUCCEEDED' });
    open();
    for (const { commandId, attempts } of first) {
      expect(attempts).toBe(1);
      expect(await finished(engine, commandId)).toMatchObject({ status: 'SUCCEEDED', attempts: 2 });
      expect(again).toContainEqual({ commandId, attempts: 2 });
    }
    expect(await errandsOf(engine, id)).toMatchObject(first.map(() => ({ brought: 'this time' })));
  }, 60_000);
});
