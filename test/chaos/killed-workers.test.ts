import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { CommandQueue } from '../../src/eventsourcing/commands/command-queue.ts';
import { StorageCodec } from '../../src/eventsourcing/log/codec.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { type Database, openDatabase } from '../../src/platform/database.ts';
import { bundleScript, type ScriptFile } from '../support/bundle.ts';
import { atDesk, createDesk } from '../support/desk.ts';
import { createGlass } from '../support/glass.ts';
import { finished, letterRows, queueRows } from '../support/queue.ts';
import { describeEachStore, describeServerStore, openMigrated, type TestStore } from '../support/stores.ts';
import { readWholeLog, startTallyEngine, succeeded } from '../support/tally-engine.ts';
import { within } from '../support/within.ts';

/** Of what kills whoever runs it. */
const MAX_ATTEMPTS = 3;

/** How a worker dies: in its decision of that number, just before its append of that number, or just after it. */
interface Death {
  readonly in: 'decision' | 'append' | 'answer';
  readonly after: number;
}

/** Once it is told to, runs what is queued until nothing is left that could be run, unless it dies before. */
const WORKER = `
  import { setTimeout as delay } from 'node:timers/promises';
  import { openDatabase } from './src/platform/database.ts';
  import { createGlass } from './test/support/glass.ts';
  import { startTallyEngine } from './test/support/tally-engine.ts';

  const { settings, death, maxAttempts } = JSON.parse(process.env.WORKER);
  const done = { decision: 0, append: 0, answer: 0 };
  const pass = (what) => {
    done[what] += 1;
    if (death?.in === what && death.after === done[what]) process.kill(process.pid, 'SIGKILL');
  };
  const glass = createGlass(({ note }) => {
    pass('decision');
    if (note === 'deadly') process.kill(process.pid, 'SIGKILL');
  });
  const database = await openDatabase(settings);
  const told = new Promise((resolve) => process.once('message', resolve));
  process.send('ready');
  await told;
  const commandRetries = { maxAttempts, firstPauseMs: 10, longestPauseMs: 10 };
  const engine = await startTallyEngine(database, { aggregates: [glass], commandRetries, workers: 2, leaseSeconds: 1 });
  const { append } = engine.log;
  engine.log.append = async (units, now) => {
    pass('append');
    const appended = await append.call(engine.log, units, now);
    pass('answer');
    return appended;
  };
  const LEFT = \`SELECT 1 FROM command_queue AS queued WHERE NOT EXISTS (
    SELECT FROM command_queue AS dead WHERE dead.lane = queued.lane AND dead.dead_letter_id IS NOT NULL) LIMIT 1\`;
  while ((await database.log.query(LEFT)).length > 0) await delay(20);
  await engine.stop();
  await database.close();
  process.disconnect();
`;

let script: ScriptFile;
const closing: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  script = await bundleScript(WORKER);
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});
afterAll(() => script.remove());

/** Starts workers that begin together. @returns how each ended: its exit code, or what killed it */
async function runWorkers(
  { settings }: TestStore,
  maxAttempts: number,
  deaths: readonly (Death | undefined)[],
): Promise<unknown[]> {
  const workers = deaths.map((death): ChildProcess => {
    const env = { ...process.env, WORKER: JSON.stringify({ settings, death, maxAttempts }) };
    const worker = fork(script.path, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], env });
    closing.push(async () => worker.kill('SIGKILL'));
    return worker;
  });
  const ended = workers.map(async (worker): Promise<unknown> => {
    const [code, signal] = await once(worker, 'exit');
    return code ?? signal;
  });
  await within(60_000, 'workers are ready', Promise.all(workers.map((worker) => once(worker, 'message'))));
  for (const worker of workers) worker.send('go');
  return within(120_000, 'workers end', Promise.all(ended));
}

/** Queues touches of glasses without running any. @returns their ids */
function queueTouches({ log }: Database, touches: readonly { glassId: string; note: string }[]): Promise<string[]> {
  const queue = new CommandQueue(log, new StorageCodec(), systemClock, () => {});
  return Promise.all(
    touches.map(async (input) => {
      const commandId = randomUUID();
      const about = {
        commandId,
        correlationId: commandId,
        fingerprint: '',
        actor: { kind: 'SYSTEM', id: null },
      } as const;
      await queue.add({ ...about, name: 'Touch', aggregateType: 'glass', aggregateId: input.glassId, input });
      return commandId;
    }),
  );
}

const outcomes = z.array(z.object({ id: z.string(), status: z.string(), attempts: z.number() }));
async function outcomesOf({ log }: Database): Promise<Map<string, { status: string; attempts: number }>> {
  const rows = outcomes.parse(await log.query('SELECT command_id AS id, status, attempts FROM commands'));
  return new Map(rows.map(({ id, ...outcome }) => [id, outcome]));
}

const touched = z.object({ note: z.string() });
async function notesByGlass(database: Database): Promise<Map<string, string[]>> {
  const engine = await startTallyEngine(database, { aggregates: [createGlass(() => {})], workers: 0 });
  const notes = new Map<string, string[]>();
  for (const { aggregateType, aggregateId, data } of await readWholeLog(engine.log)) {
    if (aggregateType !== 'glass') continue;
    notes.set(aggregateId, [...(notes.get(aggregateId) ?? []), touched.parse(data).note]);
  }
  await engine.stop();
  return notes;
}

describeServerStore('One of four workers that is killed', (kind) => {
  it.each<Death>([
    { in: 'decision', after: 100 },
    { in: 'append', after: 1 },
    { in: 'answer', after: 1 },
  ])(
    '(in the middle of: $in) takes nothing with it: everything is done once, in order',
    async (death) => {
      const store = await kind.create();
      const database = await openMigrated(store);
      closing.push(store.remove, database.close);
      const glasses = Array.from({ length: 39 }, (_, at) => `glass ${at}`);
      // One is hot: more than every fourth is for it.
      const touches = Array.from({ length: 3_000 }, (_, at) => ({
        glassId: glasses[at % 4 === 0 ? 0 : at % glasses.length] ?? '',
        note: String(at),
      }));
      const ids = await queueTouches(database, touches);
      expect(await runWorkers(store, 8, [undefined, death, undefined, undefined])).toEqual([0, 'SIGKILL', 0, 0]);

      expect(await queueRows(database)).toEqual([]);
      const notesOf = (id: string) => touches.filter(({ glassId }) => glassId === id).map(({ note }) => note);
      expect(await notesByGlass(database)).toEqual(new Map(glasses.map((id) => [id, notesOf(id)])));
      const done = await outcomesOf(database);
      expect(ids.map((id) => done.get(id)?.status)).toEqual(ids.map(() => 'SUCCEEDED'));
      // What was appended is done, though its answer was lost; and perhaps nothing else was claimed just then.
      if (death.in === 'answer') return;
      const attempts = ids.map((id) => done.get(id)?.attempts ?? 0);
      // On a machine that is busy enough, one that lives is taken for dead, too.
      expect(Math.max(...attempts), 'what it had claimed was claimed again').toBeGreaterThanOrEqual(2);
    },
    240_000,
  );
});

describeEachStore('A command that kills whoever runs it', (kind) => {
  it('is a dead letter after some deaths, and all that was claimed with it is done', async () => {
    const store = await kind.create();
    closing.push(store.remove);
    const before = await openMigrated(store);
    const innocents = Array.from({ length: 30 }, (_, at) => ({ glassId: `glass ${at}`, note: 'harmless' }));
    const [earlier = '', deadly = '', later = '', ...others] = await queueTouches(before, [
      { glassId: 'deadly glass', note: 'earlier' },
      { glassId: 'deadly glass', note: 'deadly' },
      { glassId: 'deadly glass', note: 'later' },
      ...innocents,
    ]);
    await before.close();
    const ends: unknown[] = [];
    while (ends.at(-1) !== 0 && ends.length < 10) {
      ends.push(...(await runWorkers(store, MAX_ATTEMPTS, [undefined])));
    }
    expect(ends).toEqual([...Array.from({ length: MAX_ATTEMPTS }, () => 'SIGKILL'), 0]);

    const database = await openDatabase(store.settings);
    closing.push(database.close);
    const done = await outcomesOf(database);
    expect(done.get(deadly)).toEqual({ status: 'FAILED', attempts: MAX_ATTEMPTS });
    // Once beside it, and once alone.
    for (const id of [earlier, ...others]) {
      expect(done.get(id)).toMatchObject({ status: 'SUCCEEDED' });
      expect(done.get(id)?.attempts).toBeLessThanOrEqual(MAX_ATTEMPTS);
    }
    expect(await letterRows(database)).toMatchObject([
      { source: 'command', subject: deadly, status: 'OPEN', error: expect.stringContaining('died') },
    ]);
    expect((await notesByGlass(database)).get('deadly glass')).toEqual(['earlier']);

    const engine = await startTallyEngine(database, { aggregates: [createDesk(), createGlass(() => {})] });
    closing.push(() => engine.stop());
    expect(done.get(later)).toMatchObject({ status: 'QUEUED' });
    const [letter] = await letterRows(database);
    succeeded(await atDesk(engine, 'Drop', { letter: letter?.id ?? '', reason: 'It is deadly.' }));
    expect(await finished(engine, later)).toMatchObject({ status: 'SUCCEEDED' });
  }, 300_000);
});
