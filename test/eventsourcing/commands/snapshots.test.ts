import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { SYSTEM } from '../../../src/eventsourcing/actor.ts';
import { type Aggregate, type CommandOf, defineCommand } from '../../../src/eventsourcing/commands/aggregate.ts';
import { isRejection } from '../../../src/eventsourcing/commands/decider.ts';
import type { SnapshotPolicy } from '../../../src/eventsourcing/commands/snapshot-policy.ts';
import type { Engine } from '../../../src/eventsourcing/engine.ts';
import { NotStorable, personal } from '../../../src/eventsourcing/log/codec.ts';
import { defineEvent, type EventOf } from '../../../src/eventsourcing/log/event.ts';
import { streamIdOf } from '../../../src/eventsourcing/log/stream-id.ts';
import type { Database, SqlClient } from '../../../src/platform/database.ts';
import { eventually } from '../../support/queue.ts';
import { describeEachStore, openMigrated, type TestStore } from '../../support/stores.ts';
import { type TallyCommand, type TallyEvent, type TallyState, tally, tallyStream } from '../../support/tally.ts';
import { rejected, request, startTallyEngine, succeeded } from '../../support/tally-engine.ts';

const EVERY = 5;
const state = z.strictObject({ total: z.number(), isLocked: z.boolean() });
const policy: SnapshotPolicy<TallyState> = { every: EVERY, version: 1, state };
function keeping(changes: Partial<SnapshotPolicy<TallyState>> = {}): Aggregate {
  const kept: Aggregate<TallyState, TallyCommand, TallyEvent> = { ...tally, snapshots: { ...policy, ...changes } };
  return kept as Aggregate;
}

/** Somebody whose state is personal. */
const visitorId = z.string();
const email = personal(z.string(), 'visitorId');
const greet = defineCommand({
  name: 'Greet',
  description: 'Greets a visitor.',
  audience: 'public',
  input: z.object({ visitorId, email }),
  aggregateId: (data) => data.visitorId,
});
const greeted = defineEvent({
  type: 'VisitorGreeted',
  schemaVersion: 1,
  description: 'A visitor was greeted.',
  data: z.object({ visitorId, email, before: email, times: z.number() }),
});
interface VisitorState {
  readonly visitorId: string;
  readonly email: string | null;
  readonly times: number;
}
const visitor: Aggregate<VisitorState, CommandOf<typeof greet>, EventOf<typeof greeted>> = {
  type: 'visitor',
  commands: [greet],
  events: [greeted],
  decider: {
    initialState: { visitorId: '', email: null, times: 0 },
    decide: ({ data }, { email: before, times }) => [
      { type: 'VisitorGreeted', data: { ...data, before, times: times + 1 } },
    ],
    evolve: (_, { data: { visitorId: id, email: mail, times } }) => ({ visitorId: id, email: mail, times }),
  },
  snapshots: { every: 2, version: 1, state: z.strictObject({ visitorId, email, times: z.number() }) },
};

const snapshotRow = z.object({
  stream_id: z.string(),
  version: z.number(),
  state: z.string(),
  subjects: z.array(z.string()),
});

describeEachStore('Snapshots', (kind) => {
  let store: TestStore;
  let database: Database;
  const engines: Engine[] = [];
  let eventsRead = 0;

  beforeAll(async () => {
    store = await kind.create();
    const opened = await openMigrated(store);
    const { prisma, query }: SqlClient = opened.log;
    const log: SqlClient = {
      prisma,
      async query(sql, ...parameters) {
        const rows = await query(sql, ...parameters);
        if (/position.* FROM events/s.test(sql)) eventsRead += rows.length;
        return rows;
      },
    };
    database = { ...opened, log };
  });
  afterEach(stopAll);
  afterAll(async () => {
    await database.close();
    await store.remove();
  });

  async function stopAll() {
    for (const engine of engines.splice(0)) await engine.stop();
  }
  /** As after a restart: nothing is in memory. */
  async function start(tallies: Aggregate = keeping()): Promise<Engine> {
    await stopAll();
    const engine = await startTallyEngine(database, { tallies, aggregates: [visitor as Aggregate] });
    engines.push(engine);
    return engine;
  }
  const add = async (engine: Engine, tallyId: string, amount = 1) =>
    succeeded(await engine.executor.execute(request('Add', { tallyId, amount }))).receipt;
  const greetOnce = async (engine: Engine, id: string, mail: string) =>
    succeeded(
      await engine.executor.execute({
        ...request('Lock', { tallyId: 'of no concern' }),
        name: 'Greet',
        data: { visitorId: id, email: mail },
      }),
    );
  const rowOf = async (streamId: string) => {
    const [row] = await database.log.query('SELECT * FROM snapshots WHERE stream_id = $1', streamId);
    return row === undefined ? undefined : snapshotRow.parse(row);
  };
  const taken = (streamId: string, version: number) =>
    eventually(async () => {
      const row = await rowOf(streamId);
      expect(row?.version).toBe(version);
      return row;
    });
  /** A tally of so many ones, with a snapshot of it. */
  async function longTally(length: number): Promise<string> {
    const tallyId = randomUUID();
    const engine = await start();
    for (let at = 0; at < length; at += 1) await add(engine, tallyId);
    await taken(tallyStream(tallyId), Math.floor(length / EVERY) * EVERY);
    return tallyId;
  }
  const totalOf = async (engine: Engine, tallyId: string) => {
    const [last] = (await engine.log.readStreams([tallyStream(tallyId)])).slice(-1);
    return z.object({ total: z.number() }).parse(last?.data).total;
  };

  it('are taken behind the commands, every so many events', async () => {
    const tallyId = await longTally(12);
    const row = await rowOf(tallyStream(tallyId));
    expect(row).toMatchObject({ version: 10, subjects: [] });
    expect(JSON.parse(row?.state ?? '')).toEqual({ total: 10, isLocked: false });
  });

  it('are begun from by a process that does not know the stream', async () => {
    const tallyId = await longTally(12);
    const engine = await start();
    eventsRead = 0;
    expect(await add(engine, tallyId)).toMatchObject({ version: 13 });
    expect(eventsRead).toBe(2);
    expect(await totalOf(engine, tallyId)).toBe(13);
  });

  it('are not taken of aggregates without a policy, nor of short streams', async () => {
    const before = await database.log.query('SELECT 1 FROM snapshots');
    const engine = await start(tally as Aggregate);
    const [long, short] = [randomUUID(), randomUUID()];
    for (let at = 0; at < 2 * EVERY; at += 1) await add(engine, long);
    await start();
    const keeper = engines[0] ?? engine;
    await add(keeper, short);
    await stopAll();
    expect(await database.log.query('SELECT 1 FROM snapshots')).toHaveLength(before.length);
  });

  it('are taken of what was there before them, as soon as it is read', async () => {
    const tallyId = randomUUID();
    const former = await start(tally as Aggregate);
    for (let at = 0; at < 12; at += 1) await add(former, tallyId);
    const engine = await start();
    // A rejection reads, and writes nothing to the stream.
    rejected(await engine.executor.execute(request('Unlock', { tallyId })));
    await taken(tallyStream(tallyId), 12);
  });

  const spoil = (sql: string, ...parameters: unknown[]) => database.log.query(sql, ...parameters);
  const SPOILT: Readonly<Record<string, (streamId: string, other: string) => Promise<unknown>>> = {
    'with another state': (id) =>
      spoil(`UPDATE snapshots SET state = '{"total":99,"isLocked":false}' WHERE stream_id = $1`, id),
    'with a state that is none': (id) => spoil(`UPDATE snapshots SET state = '{"total":' WHERE stream_id = $1`, id),
    'without its checksum': (id) => spoil(`UPDATE snapshots SET checksum = '' WHERE stream_id = $1`, id),
    'of another version': (id) => spoil('UPDATE snapshots SET version = version - 1 WHERE stream_id = $1', id),
    'that ends with another event': (id) =>
      spoil(
        `UPDATE snapshots SET version = 7,
           event_id = (SELECT event_id FROM events WHERE stream_id = $1 AND version = 7) WHERE stream_id = $1`,
        id,
      ),
    'of a stream that went on otherwise': (id) =>
      spoil('UPDATE snapshots SET event_id = gen_random_uuid() WHERE stream_id = $1', id),
    'that is ahead of its stream': (id) => spoil('UPDATE snapshots SET version = 1000 WHERE stream_id = $1', id),
    'of another shape': (id) => spoil(`UPDATE snapshots SET shape = 'another' WHERE stream_id = $1`, id),
    'that is foreign': (id, other) =>
      spoil(
        `UPDATE snapshots AS own SET (version, event_id, shape, state, checksum) =
           (SELECT version, event_id, shape, state, checksum FROM snapshots WHERE stream_id = $2)
         WHERE own.stream_id = $1`,
        id,
        other,
      ),
    'that is not there': (id) => spoil('DELETE FROM snapshots WHERE stream_id = $1', id),
  };

  it.each(Object.keys(SPOILT))('are worth nothing %s: the log is read, and another is taken', async (spoilt) => {
    const [tallyId, other] = [await longTally(12), await longTally(11)];
    await SPOILT[spoilt]?.(tallyStream(tallyId), tallyStream(other));
    const engine = await start();
    expect(await add(engine, tallyId)).toMatchObject({ version: 13 });
    expect(await totalOf(engine, tallyId)).toBe(13);
    await taken(tallyStream(tallyId), 12);
    const again = await start();
    eventsRead = 0;
    await add(again, tallyId);
    expect(eventsRead).toBe(1);
  });

  it.each<[string, Partial<SnapshotPolicy<TallyState>>]>([
    ['version of the policy', { version: 2 }],
    ['shape of the state', { state: state.extend({ total: z.number().min(-5) }) }],
  ])('of another %s are not looked at, whatever they say', async (_, changes) => {
    const tallyId = await longTally(12);
    const engine = await start(keeping(changes));
    eventsRead = 0;
    await add(engine, tallyId);
    expect(eventsRead).toBe(12);
    expect(await totalOf(engine, tallyId)).toBe(13);
  });

  it('of other events are not looked at: who wrote them may know what this program does not', async () => {
    const tallyId = await longTally(12);
    const more = defineEvent({ ...(tally.events[1] ?? greeted), type: 'TallyMarked', description: 'It was marked.' });
    const engine = await start({ ...keeping(), events: [...tally.events, more] });
    eventsRead = 0;
    await add(engine, tallyId);
    expect(eventsRead).toBe(12);
  });

  it('that cannot be made, or written, harm nobody', async () => {
    const [unfit, unwritten] = [randomUUID(), randomUUID()];
    const engine = await start(keeping({ state: state.omit({ isLocked: true }) as never }));
    for (let at = 0; at < 12; at += 1) await add(engine, unfit);
    await stopAll();
    expect(await rowOf(tallyStream(unfit))).toBeUndefined();
    const other = await start();
    await database.log.query('ALTER TABLE snapshots RENAME COLUMN taken_at TO mislaid');
    try {
      for (let at = 0; at < 12; at += 1) await add(other, unwritten);
      await stopAll();
    } finally {
      await database.log.query('ALTER TABLE snapshots RENAME COLUMN mislaid TO taken_at');
    }
    expect(await totalOf(await start(), unwritten)).toBe(12);
  });

  it('are taken the more seldom the larger they are: no more is written than there is to read', async () => {
    const tallyId = randomUUID();
    const padded = state.extend({ padding: z.string() });
    const large = z.codec(padded, z.custom<TallyState>(), {
      decode: ({ total, isLocked }) => ({ total, isLocked }),
      encode: (it) => ({ ...it, padding: 'x'.repeat(20 * 500) }),
    });
    const engine = await start(keeping({ state: large }));
    for (let at = 0; at < 6; at += 1) await add(engine, tallyId);
    await taken(tallyStream(tallyId), EVERY);
    for (let at = 6; at < 25; at += 1) await add(engine, tallyId);
    const again = await start(keeping({ state: large }));
    expect((await rowOf(tallyStream(tallyId)))?.version).toBe(EVERY);
    await add(again, tallyId);
    await taken(tallyStream(tallyId), 26);
    expect(await totalOf(again, tallyId)).toBe(26);
  });

  it('of what could not be encrypted are refused before anything runs', async () => {
    const unfit = z.union([state, state.extend({ note: personal(z.string(), 'total') })]);
    await expect(start(keeping({ state: unfit }))).rejects.toThrow(NotStorable);
  });

  it('have what is personal in them encrypted, and name whose it is', async () => {
    const id = randomUUID();
    const engine = await start();
    for (const mail of ['one', 'two', 'three', 'four']) await greetOnce(engine, id, `${mail}@example.org`);
    const row = await taken(streamIdOf('visitor', id), 4);
    expect(row).toMatchObject({ subjects: [id] });
    expect(row?.state).not.toContain('example.org');
    expect(JSON.parse(row?.state ?? '')).toMatchObject({ email: expect.stringMatching(/^sealed\d\./), times: 4 });
    const again = await start();
    eventsRead = 0;
    await greetOnce(again, id, 'five@example.org');
    expect(eventsRead).toBe(0);
    const [last] = (await again.log.readStreams([streamIdOf('visitor', id)])).slice(-1);
    expect(last?.data).toMatchObject({ before: 'four@example.org', times: 5 });
  });

  it('of somebody who was forgotten are worth nothing: what the log still says is right', async () => {
    const id = randomUUID();
    const engine = await start();
    for (const mail of ['one', 'two']) await greetOnce(engine, id, `${mail}@example.org`);
    await taken(streamIdOf('visitor', id), 2);
    await stopAll();
    await spoil('UPDATE subject_keys SET wrapped_key = NULL, destroyed_at = now() WHERE subject_id = $1', id);
    const later = await start();
    eventsRead = 0;
    await greetOnce(later, id, 'three@example.org');
    expect(eventsRead).toBe(2);
    const [last] = (await later.log.readStreams([streamIdOf('visitor', id)])).slice(-1);
    expect(last?.data).toMatchObject({ before: null, email: null, times: 3 });
  });

  it('give the same states and answers as none, whatever is done, and wherever it begins anew', async () => {
    const step = fc.record({
      name: fc.constantFrom('Add', 'Add', 'Add', 'Lock', 'Unlock'),
      amount: fc.nat(9),
      isRestarted: fc.integer({ min: 0, max: 9 }).map((it) => it === 0),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 15, maxLength: 40 }), async (steps) => {
        const tallyId = randomUUID();
        let engine = await start();
        // The same in memory, where nothing is ever begun anew.
        let plain = tally.decider.initialState;
        const expected: unknown[] = [];
        for (const { name, amount, isRestarted } of steps) {
          if (isRestarted) engine = await start();
          const data = name === 'Add' ? { tallyId, amount } : { tallyId };
          const outcome = await engine.executor.execute({ ...request('Lock', { tallyId }), name, data });
          const command = { type: name, data } as TallyCommand;
          const decision = tally.decider.decide(command, plain, { actor: SYSTEM, now: new Date(), facts: new Map() });
          if (isRejection(decision)) {
            expect(rejected(outcome).rejection).toEqual(decision);
          } else {
            for (const event of decision) plain = tally.decider.evolve(plain, event);
            expected.push(...decision);
            expect(succeeded(outcome).receipt.version).toBe(expected.length);
          }
        }
        const events = await engine.log.readStreams([tallyStream(tallyId)]);
        expect(events.map(({ type, data }) => ({ type, data }))).toEqual(expected);
      }),
      { numRuns: 8 },
    );
  });
});
