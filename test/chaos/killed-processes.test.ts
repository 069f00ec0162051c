import { type ChildProcess, fork } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import type { RecordedEvent } from '../../src/eventsourcing/log/event.ts';
import { openDatabase } from '../../src/platform/database.ts';
import { bundleScript, type ScriptFile } from '../support/bundle.ts';
import { letterRows, queueRows } from '../support/queue.ts';
import { SCRIPTED } from '../support/scripted-process.ts';
import { describeEachStore, openMigrated, type TestStore } from '../support/stores.ts';
import { readWholeLog, tallyLog } from '../support/tally-engine.ts';
import { within } from '../support/within.ts';

const AMOUNTS = 240;

/** Where a server process dies: while it feeds an event, in a decision, just before an append, or just after it. */
const POINTS = ['feeding', 'decision', 'append', 'answer'] as const;
interface Death {
  readonly in: (typeof POINTS)[number];
  readonly after: number;
}

/**
 * Adds amounts to tallies, each its own, and has a process add them to others: at once, when a timer is due, or to a
 * third one, where the second is locked. Ends when nothing is left to be done.
 */
const SERVER = `
  import { setTimeout as delay } from 'node:timers/promises';
  import { v5 } from 'uuid';
  import { openDatabase } from './src/platform/database.ts';
  import { createScripted } from './test/support/scripted-process.ts';
  import { request, startTallyEngine } from './test/support/tally-engine.ts';

  const { settings, death } = JSON.parse(process.env.SERVER);
  const passed = { feeding: 0, decision: 0, append: 0, answer: 0 };
  const pass = (point) => {
    passed[point] += 1;
    if (death?.in === point && death.after === passed[point]) process.kill(process.pid, 'SIGKILL');
  };
  const scripted = createScripted({ onDecide: () => pass('decision') });
  const instanceOf = (event) => { pass('feeding'); return scripted.instanceOf(event); };
  const database = await openDatabase(settings);
  const engine = await startTallyEngine(database, { processes: [{ ...scripted, instanceOf }], leaseSeconds: 1 });
  const { append } = engine.log;
  engine.log.append = async (units, now) => {
    pass('append');
    const appended = await append.call(engine.log, units, now);
    pass('answer');
    return appended;
  };

  // Sent again by whoever follows one that died: with the same ids.
  const commandId = (at) => v5(String(at), '5c8c2c5e-6a0d-4d0f-9f5c-0c1f5a1f4e11');
  await engine.executor.execute(request('Lock', { tallyId: 'locked' }, { commandId: commandId(0) }));
  const noteOf = (at) => [
    \`timer \${at}: set bell 0.05 > send Add to\${at % 5} \${at}\`,
    \`shared \${at % 10}: send Add to\${at % 5} \${at}\`,
    \`refused \${at}: otherwise send Add back \${at}; send Add locked \${at}\`,
  ][at % 3];
  let last = 0;
  const tell = async () => {
    while (last < ${AMOUNTS}) {
      const at = (last += 1);
      const data = { tallyId: \`from\${at % 4}\`, amount: at, note: noteOf(at) };
      await engine.executor.execute(request('Add', data, { commandId: commandId(at) }));
    }
  };
  await Promise.all([tell(), tell(), tell(), tell(), tell()]);

  const isDone = async () => {
    const { head } = engine.tail;
    if (engine.followers.some(({ position }) => position < head)) return false;
    return (await database.log.query('SELECT 1 FROM command_queue')).length === 0 && engine.tail.head === head;
  };
  while (!(await isDone())) await delay(20);
  await engine.stop();
  await database.close();
  process.disconnect();
`;

const amountData = z.object({ amount: z.number(), note: z.string() });
const heardData = z.object({ heard: z.string() });

describeEachStore('A server that is killed at random while processes are at work', (kind) => {
  let script: ScriptFile;
  let store: TestStore;
  let server: ChildProcess | undefined;

  beforeAll(async () => {
    script = await bundleScript(SERVER);
    store = await kind.create();
    await (await openMigrated(store)).close();
  });
  afterEach(() => server?.kill('SIGKILL'));
  afterAll(async () => {
    script.remove();
    await store.remove();
  });

  async function run(death: Death | undefined): Promise<unknown> {
    const env = { ...process.env, SERVER: JSON.stringify({ settings: store.settings, death }) };
    server = fork(script.path, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], env });
    const [code, signal] = await within(120_000, 'a server ends', once(server, 'exit'));
    return code ?? signal;
  }

  it('does in the end what each input asked for, once', async () => {
    const deaths = POINTS.map((point) => ({ in: point, after: randomInt(1, 40) }));
    const about = JSON.stringify(deaths);
    for (const death of deaths) expect(await run(death), about).toBe('SIGKILL');
    expect(await run(undefined), about).toBe(0);

    const database = await openDatabase(store.settings);
    try {
      const events = await readWholeLog(tallyLog(database));
      const all = Array.from({ length: AMOUNTS }, (_, at) => at + 1);
      const given = events.filter((it) => it.type === 'TallyAdded' && it.aggregateId.startsWith('from'));
      const taken = events.filter((it) => it.type === 'TallyAdded' && /^(to|back)/.test(it.aggregateId));
      expect(amountsIn(given), about).toEqual(all);
      expect(amountsIn(taken), about).toEqual(all);
      expect(amountsIn(taken.filter(({ aggregateId }) => aggregateId === 'back'))).toEqual(
        all.filter((at) => at % 3 === 2),
      );

      const heard = new Map<string, string[]>();
      for (const { aggregateType, aggregateId, data } of events) {
        if (aggregateType !== SCRIPTED) continue;
        heard.set(aggregateId, [...(heard.get(aggregateId) ?? []), heardData.parse(data).heard]);
      }
      const expected = new Map<string, string[]>();
      for (const { note } of given.map(({ data }) => amountData.parse(data))) {
        const [instance = ''] = note.split(':');
        const later = { timer: ['timer bell'], refused: ['refusal Add REJECTED ILLEGAL_STATE'] };
        const inputs = [`message ${note}`, ...(later[instance.split(' ')[0] as keyof typeof later] ?? [])];
        expected.set(instance, [...(expected.get(instance) ?? []), ...inputs]);
      }
      expect(heard, about).toEqual(expected);

      expect(await queueRows(database)).toEqual([]);
      expect(await letterRows(database)).toEqual([]);
      const open = await database.log.query(`SELECT name FROM commands WHERE status NOT IN ('SUCCEEDED', 'REJECTED')`);
      expect(open).toEqual([]);
    } finally {
      await database.close();
    }
  }, 300_000);
});

function amountsIn(events: readonly RecordedEvent[]): number[] {
  return events.map(({ data }) => amountData.parse(data).amount).toSorted((a, b) => a - b);
}
