import { beforeEach, describe, expect, it } from 'vitest';
import type { RecordedEvent } from '../../../src/eventsourcing/log/event.ts';
import type { EventLog } from '../../../src/eventsourcing/log/event-log.ts';
import { LogTail } from '../../../src/eventsourcing/log/log-tail.ts';
import { recorded } from '../../support/recorded.ts';

const ALL = recorded(
  'tally',
  'a',
  Array.from({ length: 100 }, () => ({ type: 'TallyAdded', data: {} })),
);
const events = (from: number, to: number): readonly RecordedEvent[] => ALL.slice(from - 1, to);

describe('The tail of the log', () => {
  let tail: LogTail;
  let fromLog: number[];

  beforeEach(() => {
    fromLog = [];
    const log: Pick<EventLog, 'readAfter' | 'readAt'> = {
      async readAfter(position, limit) {
        fromLog.push(position);
        return ALL.slice(position, position + limit);
      },
      async readAt(positions) {
        fromLog.push(...positions);
        return positions.map((position) => ALL[position - 1]).filter((it) => it !== undefined);
      },
    };
    tail = new LogTail(log as EventLog, 0);
  });

  it('hands on what this process appended without reading it', async () => {
    tail.beginAppend()(events(1, 3));
    expect(tail.head).toBe(3);
    expect(await tail.read(1, 100)).toEqual(events(2, 3));
    expect(fromLog).toEqual([]);
  });

  it('finds events by their position in memory, and asks the log for the rest alone', async () => {
    tail.advance(10);
    tail.beginAppend()(events(11, 20));
    expect(await tail.readAt([20, 11])).toEqual([...events(11, 11), ...events(20, 20)]);
    expect(fromLog).toEqual([]);
    expect(await tail.readAt([12, 10, 3])).toEqual([...events(3, 3), ...events(10, 10), ...events(12, 12)]);
    expect(fromLog).toEqual([10, 3]);
    // One that another process appended, and that was not heard of yet.
    expect(await tail.readAt([21])).toEqual(events(21, 21));
    expect(await tail.readAt([])).toEqual([]);
  });

  it('waits for the answer to an append that may be what is missing, and reads nothing twice', async () => {
    const [one, two] = [tail.beginAppend(), tail.beginAppend()];
    two(events(3, 4));
    tail.announce(4);
    expect(tail.head).toBe(0);
    one(events(1, 2));
    expect(tail.head).toBe(4);
    expect(await tail.read(0, 100)).toEqual(events(1, 4));
    expect(fromLog).toEqual([]);
  });

  it('does not wait for an append that fails, nor for one that adds nothing', () => {
    const [one, two] = [tail.beginAppend(), tail.beginAppend()];
    two(events(3, 4));
    one([]);
    expect(tail.head).toBe(4);
  });

  it('goes on through what others appended, though this process never stops appending', async () => {
    let [one, two] = [tail.beginAppend(), tail.beginAppend()];
    for (let position = 2; position < 90; position += 3) {
      one(events(position, position));
      one = tail.beginAppend();
      two(events(position + 1, position + 1));
      two = tail.beginAppend();
      tail.announce(position + 2);
      expect(tail.head).toBeGreaterThanOrEqual(position - 2);
    }
    one([]);
    two([]);
    expect(tail.head).toBe(91);
    expect(await tail.read(0, 1_000)).toEqual(ALL);
  });

  describe('that has to tell who is forgotten', () => {
    const told: string[][] = [];
    const isForgotten = new Set<string>();
    /** What is said of somebody, until they are forgotten. */
    const log: EventLog = Object.assign(Object.create(null), {
      forgetting: new Set(['Forgotten']),
      forgottenBy: (some: readonly RecordedEvent[]) =>
        some.flatMap(({ type, data }) => (type === 'Forgotten' ? [String(data)] : [])),
      async readAfter(position: number, limit: number) {
        fromLog.push(position);
        return said
          .slice(position, position + limit)
          .map((it) => (isForgotten.has(String(it.data)) ? nothing(it) : it));
      },
    });
    const said = recorded('tally', 'b', [
      { type: 'Said', data: 'ada' },
      { type: 'Said', data: 'bob' },
      { type: 'Forgotten', data: 'ada' },
      { type: 'Said', data: 'bob' },
    ]);
    const nothing = (event: RecordedEvent) => (event.type === 'Said' ? { ...event, data: null } : event);
    const dataOf = (some: readonly RecordedEvent[]) => some.map(({ type, data }) => (type === 'Said' ? data : type));

    beforeEach(() => {
      told.length = 0;
      isForgotten.clear();
      tail = new LogTail(log, 0, (subjects) => {
        told.push([...subjects]);
        for (const subject of subjects) isForgotten.add(subject);
      });
    });

    it('does so before anybody is given the event, and has nothing in memory that was said before', async () => {
      tail.beginAppend()(said.slice(0, 2));
      let seen: string[][] = [];
      tail.follow(() => {
        seen = [...told];
      });
      tail.beginAppend()(said.slice(2, 4));
      expect(seen).toEqual([['ada']]);
      expect(dataOf(await tail.read(0, 10))).toEqual([null, 'bob', 'Forgotten', 'bob']);
      await tail.read(0, 10);
      expect(told).toEqual([['ada']]);
    });

    it('reads again what it had read with keys that are gone', async () => {
      tail.announce(4);
      expect(dataOf(await tail.read(0, 10))).toEqual([null, 'bob', 'Forgotten', 'bob']);
      expect(fromLog).toEqual([0, 0]);
      expect(told).toEqual([['ada']]);
    });
  });

  it('takes the word of others at once where nothing of its own is under way', () => {
    tail.announce(7);
    expect(tail.head).toBe(7);
    tail.announce(5);
    expect(tail.head).toBe(7);
  });
});
