import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { BadFile, LineWriter } from '../../../src/eventsourcing/backup/line-file.ts';
import { exportLog } from '../../../src/eventsourcing/backup/log-export.ts';
import { importLog } from '../../../src/eventsourcing/backup/log-import.ts';
import type { Database } from '../../../src/platform/database.ts';
import { fillLog } from '../../support/sealed-log.ts';
import { describeEachStore, openMigrated, type TestStore } from '../../support/stores.ts';
import { readWholeLog, startTallyEngine, tallyLog } from '../../support/tally-engine.ts';

// Whoever makes a file has its checksum right. What no server could read is refused, and the right one can follow.

type Line = unknown[];
const EVENTS = 20;
const FAR = Date.UTC(2200, 0, 1);

/** The members of a line at some places are others. */
const put = (line: Line | undefined, members: Record<number, unknown>) => Object.assign(line ?? [], members);

describeEachStore('A log that nobody exported', (kind) => {
  const folder = mkdtempSync(join(tmpdir(), 'cartstream-damaged-log-'));
  const log = join(folder, 'log.jsonl');
  let store: TestStore;
  let target: TestStore;
  let empty: Database;
  let header = '';
  let events: readonly string[];

  beforeAll(async () => {
    [store, target] = await Promise.all([kind.create(), kind.create()]);
    const database = await openMigrated(store);
    const engine = await startTallyEngine(database);
    await fillLog(engine, EVENTS);
    await engine.stop();
    await exportLog(database, log, false);
    await database.close();
    [header = '', ...events] = readFileSync(log, 'utf8').trimEnd().split('\n').slice(0, -1);
    empty = await openMigrated(target);
  });
  afterAll(async () => {
    await empty.close();
    await Promise.all([store.remove(), target.remove()]);
    rmSync(folder, { recursive: true, force: true });
  });

  /** @param edit changes the lines of events in place: the fifth event is in line six */
  const importing = async (edit: (lines: Line[]) => unknown) => {
    const lines = events.map((line) => z.array(z.unknown()).parse(JSON.parse(line)));
    edit(lines);
    const path = join(folder, 'other.jsonl');
    rmSync(path, { force: true });
    const writer = await LineWriter.create(path, false);
    await writer.write([header, ...lines.map((line) => JSON.stringify(line))]);
    await writer.end();
    return importLog({ database: empty, path, processes: [] });
  };

  test.each<[string, RegExp, (lines: Line[]) => unknown]>([
    ['an actor of no kind', /^Line 6 .*actor\.kind/, (it) => put(it[4], { 9: 'ALIEN' })],
    ['a stream of another name', /^Line 6 .*aggregate cart other/, (it) => put(it[4], { 3: 'cart', 4: 'other' })],
    ['an instant after the next', /^Line 7 .*recorded before/, (it) => put(it[4], { 14: FAR })],
    ['an instant before the last', /^Line 6 .*recorded before/, (it) => put(it[4], { 14: 1 })],
    ['no instant', /^Line 6 .*a number is missing/, (it) => put(it[4], { 14: null })],
    ['an instant that is none', /^Line 21 .*no instant/, (it) => put(it[19], { 14: 8.64e15 })],
    ['half an instant', /^Line 6 .*no whole one/, (it) => put(it[4], { 14: FAR + 0.5 })],
    ['a position as text', /^Line 6 .*no whole one/, (it) => put(it[4], { 0: '5' })],
    ['a version that is no integer', /^Line 6 .*no version/, (it) => put(it[4], { 5: 2 ** 31 })],
    ['a schema of no version', /^Line 6 .*no version/, (it) => put(it[4], { 7: 0 })],
    ['no columns', /^Line 6 /, (it) => it[4]?.splice(1)],
    ['a gap', /^Line 6 .*position is 6, where 5 follows/, (it) => it.splice(4, 1)],
    ['an event twice', /^Line 7 .*position is 5, where 6 follows/, (it) => it.splice(4, 0, it[4] ?? [])],
    ['no end', /all events up to position 20/, (it) => it.pop()],
    ['an id that is none', /^Of lines 2 to 21 .*uuid/, (it) => put(it[4], { 1: 'nobody' })],
    ['an id twice', /^Of lines 2 to 21 .*unique/, (it) => put(it[4], { 1: it[3]?.[1] })],
    ['data with a zero in it', /^Of lines 2 to 21 .*Unicode/, (it) => put(it[4], { 8: { note: '\u0000' } })],
    ['a version that is missing', /all events of tally-t\d in order: event/, (it) => put(it.at(-1), { 5: 9 })],
    [
      'versions against positions',
      /in order: event \d+ is its version 2, where 1 follows/,
      (it) => {
        const [one, two] = it.filter(([, , stream]) => stream === 'tally-t1');
        put(one, { 5: 2 });
        put(two, { 5: 1 });
      },
    ],
    [
      'two aggregates of one stream',
      /another aggregate than the events before it in a-b-c/,
      (it) => {
        put(it[18], { 2: 'a-b-c', 3: 'a', 4: 'b-c', 5: 1 });
        put(it[19], { 2: 'a-b-c', 3: 'a-b', 4: 'c', 5: 2 });
      },
    ],
  ])('is refused where it has %s', async (_, message, edit) => {
    const failure = await importing(edit).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(BadFile);
    expect(failure).toHaveProperty('message', expect.stringMatching(message));
    expect(await empty.log.query('SELECT id FROM streams')).toEqual([]);
  });

  test('leaves a store that the right one can fill', async () => {
    await importing(() => {});
    expect(await readWholeLog(tallyLog(empty))).toHaveLength(EVENTS);
  });
});
