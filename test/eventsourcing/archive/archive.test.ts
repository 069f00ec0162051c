import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { StoredEvents } from '../../../src/eventsourcing/log/stored-events.ts';
import type { Database } from '../../../src/platform/database.ts';
import {
  type Answers,
  answersOf,
  archiveAll,
  differing,
  FIRST_INSTANT,
  LATER,
  mixedCommands,
  tallyArchiver,
} from '../../support/archives.ts';
import { emptyTables } from '../../support/empty-tables.ts';
import { writeLog } from '../../support/log-rows.ts';
import { describeEachStore, openMigrated, type TestStore } from '../../support/stores.ts';
import { readWholeLog, tallyLog } from '../../support/tally-engine.ts';

const counts = z.tuple([z.object({ count: z.coerce.number() })]);

describeEachStore('The archive', (kind) => {
  let store: TestStore;
  let database: Database;

  beforeAll(async () => {
    store = await kind.create();
    database = await openMigrated(store);
  });

  afterAll(async () => {
    await database?.close();
    await store?.remove();
  });

  const countOf = async (table: string) =>
    counts.parse(await database.log.query(`SELECT count(*) AS count FROM ${table}`))[0].count;
  const fill = async (commands: ReturnType<typeof mixedCommands>) => {
    await emptyTables(database.log, [
      ...['events', 'streams', 'commands', 'command_queue', 'archive_segments', 'archived_events'],
      ...['archived_streams', 'archived_commands'],
    ]);
    await database.log.query("UPDATE archive_progress SET batch = 0, position = 0, endings = ''");
    await writeLog(database.log, commands);
    await database.log.query(
      `INSERT INTO streams SELECT stream_id, min(aggregate_type), min(aggregate_id), max(version) FROM events GROUP BY 1`,
    );
  };

  describe('of a mixed log', () => {
    const commands = mixedCommands(700);
    let before: Answers;

    beforeAll(async () => {
      await fill(commands);
      before = await answersOf(database, commands);
    });

    it('changes no answer of any reader, at whatever batch it stands', async () => {
      const archiver = tallyArchiver(database);
      const half = new Date((commands[350]?.recordedAt.getTime() ?? 0) + 1);
      const first = await archiveAll(archiver, half);
      expect(first.events).toBeGreaterThan(20);
      expect(differing(before, await answersOf(database, commands))).toEqual([]);
      const hot = await countOf('events');
      for (let batch = 0; batch < 3; batch += 1) await archiver.next(LATER.now());
      expect(differing(before, await answersOf(database, commands))).toEqual([]);
      const second = await archiveAll(archiver);
      expect(second.batches).toBeGreaterThan(5);
      expect(await countOf('events')).toBeLessThan(hot);
      expect(await countOf('commands')).toBe(0);
      expect(differing(before, await answersOf(database, commands))).toEqual([]);
    });

    it('is done then: a further run moves nothing', async () => {
      expect(await archiveAll(tallyArchiver(database))).toEqual({ batches: 1, events: 0, commands: 0 });
    });

    it('looks through the log anew where other events are endings now', async () => {
      const others = tallyArchiver(database, {
        aggregates: [{ endsWith: ['TallyLocked', 'TallyUnlocked', 'TallyAdded'] }],
      });
      expect((await archiveAll(others)).events).toBeGreaterThan(0);
      expect(await countOf('events')).toBe(await countOf('streams'));
      expect(differing(before, await answersOf(database, commands))).toEqual([]);
    });
  });

  describe('beside others', () => {
    const commands = mixedCommands(400, 7);
    beforeEach(() => fill(commands));

    it('is done once, however many do it at the same time', async () => {
      const before = await answersOf(database, commands);
      const other = kind.engine === 'pglite' ? database : await openMigrated(store);
      try {
        const done = await Promise.all([database, other].map(untilDone));
        expect(done.reduce((sum, events) => sum + events, 0)).toBe(await countOf('archived_events'));
        expect(differing(before, await answersOf(database, commands))).toEqual([]);
      } finally {
        if (other !== database) await other.close();
      }
    });

    it('never lets a reader miss an event, or see one twice', async () => {
      const log = tallyLog(database);
      const all = (await readWholeLog(log)).map(({ position }) => position);
      let isArchiving = true;
      const read = async () => {
        let rounds = 0;
        while (isArchiving || rounds < 2) {
          expect((await readWholeLog(log, 50)).map(({ position }) => position)).toEqual(all);
          const stored = await new StoredEvents(database.log).readAfter(0, 10_000);
          expect(stored.map(({ position }) => position)).toEqual(all);
          const streams = await log.readStreams(['tally-t1', 'tally-t2', 'tally-t3']);
          for (const [at, event] of streams.entries()) {
            const previous = streams[at - 1];
            expect(event.version).toBe(previous?.streamId === event.streamId ? previous.version + 1 : 1);
          }
          rounds += 1;
          // An embedded store answers without ever giving others their turn.
          await nextTurn();
        }
      };
      const reading = read();
      await untilDone(database);
      isArchiving = false;
      await reading;
      expect(await countOf('archived_events')).toBeGreaterThan(50);
    });

    it('leaves alone what is younger, what has not ended, and commands that have something to come', async () => {
      await database.log.query(
        `INSERT INTO command_queue (command_id, lane, due_at, is_delayed)
         SELECT command_id, 'x', now(), false FROM commands ORDER BY submitted_at LIMIT 3`,
      );
      await database.log.query(
        `UPDATE commands SET status = 'RUNNING', finished_at = NULL
         WHERE command_id = (SELECT max(command_id::text)::uuid FROM commands)`,
      );
      expect(await archiveAll(tallyArchiver(database), new Date(FIRST_INSTANT))).toMatchObject({
        events: 0,
        commands: 0,
      });
      await archiveAll(tallyArchiver(database));
      expect(await countOf('commands')).toBeGreaterThanOrEqual(3);
      const left = await countOf(`events AS e WHERE EXISTS (SELECT FROM events AS n
        WHERE n.stream_id = e.stream_id AND n.version > e.version AND n.type = 'TallyLocked'
          AND NOT EXISTS (SELECT FROM events AS later WHERE later.stream_id = n.stream_id AND later.version > n.version))`);
      expect(left).toBe(0);
    });
  });

  async function untilDone(own: Database): Promise<number> {
    return (await archiveAll(tallyArchiver(own))).events;
  }
});
