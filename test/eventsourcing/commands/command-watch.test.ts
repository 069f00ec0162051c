import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { CommandStatus } from '../../../src/eventsourcing/commands/command.ts';
import { type CommandRecord, CommandRecords } from '../../../src/eventsourcing/commands/command-records.ts';
import { CommandWatch } from '../../../src/eventsourcing/commands/command-watch.ts';
import { StorageCodec } from '../../../src/eventsourcing/log/codec.ts';
import type { Database } from '../../../src/platform/database.ts';
import { commandRow, enqueue, insertCommands } from '../../support/command-rows.ts';
import { describeEachStore, openMigrated, type TestStore } from '../../support/stores.ts';
import { within } from '../../support/within.ts';

const NOBODY = { commands: 0, watchers: 0 };
type Watching = AsyncIterableIterator<CommandRecord>;

async function nextOf(watching: Watching): Promise<CommandRecord> {
  const result = await within(20_000, 'the next record', watching.next());
  if (result.done === true) throw new Error('It is over.');
  return result.value;
}

async function watch(commandWatch: CommandWatch, commandId: string): Promise<Watching> {
  const watching = await commandWatch.watch(commandId);
  if (watching === undefined) throw new Error('There is no such command.');
  return watching;
}

const isOver = async (watching: Watching) => (await within(20_000, 'the end', watching.next())).done === true;

/** The command store in small, whose every read the test lets through itself if it wants to. */
class Stage {
  readonly commandWatch = new CommandWatch(this);
  readonly reads: (readonly string[])[] = [];
  readonly #records = new Map<string, CommandRecord>();
  /** Reads have seen what there was, and wait here to tell it. */
  gate: Promise<void> | undefined;
  failure: Error | undefined;

  set(commandId: string, status: CommandStatus, attempts = 0, error: string | null = null): void {
    this.#records.set(commandId, {
      commandId,
      name: 'AddToTally',
      aggregateType: 'tally',
      aggregateId: 'a',
      status,
      attempts,
      actor: { kind: 'SYSTEM', id: null },
      input: {},
      rejection: null,
      error,
      version: null,
      position: null,
      firstPosition: null,
      eventCount: 0,
      submittedAt: new Date(),
      dueAt: null,
      deadline: null,
      finishedAt: null,
      correlationId: commandId,
      causationId: null,
      issuer: null,
    });
  }

  async find(ids: readonly string[]): Promise<Map<string, CommandRecord>> {
    this.reads.push(ids);
    const found = new Map(
      ids.flatMap((id) => {
        const record = this.#records.get(id);
        return record === undefined ? [] : [[id, { ...record }] as const];
      }),
    );
    await this.gate;
    if (this.failure !== undefined) throw this.failure;
    return found;
  }

  /** From now on reads wait until the gate is opened. */
  close(): () => void {
    let open: (() => void) | undefined;
    this.gate = new Promise((resolve) => {
      open = resolve;
    });
    return () => {
      this.gate = undefined;
      open?.();
    };
  }
}

describe('Watching a command', () => {
  let stage: Stage;
  let commandWatch: CommandWatch;
  const id = 'a';

  beforeEach(() => {
    stage = new Stage();
    commandWatch = stage.commandWatch;
    stage.set(id, 'QUEUED');
  });

  it('begins with the command as it stands, tells each change, and ends with it', async () => {
    const watching = await watch(commandWatch, id);
    expect(await nextOf(watching)).toMatchObject({ commandId: id, status: 'QUEUED', attempts: 0 });
    for (const [status, attempts] of [
      ['RUNNING', 1],
      ['RUNNING', 2],
      ['QUEUED', 2],
      ['SUCCEEDED', 3],
    ] as const) {
      const next = nextOf(watching);
      stage.set(id, status, attempts);
      commandWatch.wake();
      expect(await next).toMatchObject({ status, attempts });
    }
    expect(await isOver(watching)).toBe(true);
    expect(commandWatch.watched).toEqual(NOBODY);
  });

  it.each(['SUCCEEDED', 'REJECTED', 'TIMED_OUT', 'CANCELLED'] as const)('is over at once for %s', async (status) => {
    stage.set(id, status);
    const watching = await watch(commandWatch, id);
    expect(await nextOf(watching)).toMatchObject({ status });
    expect(await isOver(watching)).toBe(true);
    expect(commandWatch.watched).toEqual(NOBODY);
  });

  it('goes on where it failed, for it may be tried again', async () => {
    stage.set(id, 'FAILED', 8);
    const watching = await watch(commandWatch, id);
    await nextOf(watching);
    stage.set(id, 'QUEUED', 8);
    commandWatch.wake();
    expect(await nextOf(watching)).toMatchObject({ status: 'QUEUED' });
    await watching.return?.();
  });

  it('is not told of what changes neither status nor attempts', async () => {
    const watching = await watch(commandWatch, id);
    await nextOf(watching);
    const next = nextOf(watching);
    stage.set(id, 'QUEUED', 0, 'Something else changed.');
    commandWatch.wake();
    await commandWatch.finished('something that reads after that', 20_000);
    stage.set(id, 'RUNNING', 1);
    commandWatch.wake();
    expect(await next).toMatchObject({ status: 'RUNNING' });
    await watching.return?.();
  });

  it('gives a slow client only the newest', async () => {
    const watching = await watch(commandWatch, id);
    await nextOf(watching);
    for (const attempts of [1, 2, 3]) {
      stage.set(id, 'RUNNING', attempts);
      commandWatch.wake();
      await commandWatch.finished('something that reads after that', 20_000);
    }
    expect(await nextOf(watching)).toMatchObject({ status: 'RUNNING', attempts: 3 });
    const next = nextOf(watching);
    stage.set(id, 'REJECTED', 3);
    commandWatch.wake();
    expect(await next).toMatchObject({ status: 'REJECTED' });
  });

  it('is not possible where there is no such command', async () => {
    expect(await commandWatch.watch('b')).toBeUndefined();
    expect(commandWatch.watched).toEqual(NOBODY);
  });

  it('misses nothing that changes while its first read is under way', async () => {
    const open = stage.close();
    const watching = watch(commandWatch, id);
    await nextTurn();
    expect(stage.reads).toHaveLength(1);
    stage.set(id, 'SUCCEEDED', 1);
    commandWatch.wake();
    open();
    const records: CommandStatus[] = [];
    for await (const { status } of await watching) records.push(status);
    expect(records.at(-1)).toBe('SUCCEEDED');
  });

  it('begins with what is read after it began, not with what a read before it tells later', async () => {
    const first = await watch(commandWatch, id);
    await nextOf(first);
    const open = stage.close();
    commandWatch.wake();
    await nextTurn();
    stage.set(id, 'FAILED', 8);
    const second = watch(commandWatch, id);
    await nextTurn();
    open();
    expect(await nextOf(await second)).toMatchObject({ status: 'FAILED' });
    await first.return?.();
    await (await second).return?.();
    expect(commandWatch.watched).toEqual(NOBODY);
  });

  it('is heard when it stops, also while it waits', async () => {
    const [first, second] = [await watch(commandWatch, id), await watch(commandWatch, id)];
    await nextOf(first);
    const waiting = first.next();
    await nextTurn();
    expect(commandWatch.watched).toEqual({ commands: 1, watchers: 2 });
    await first.return?.();
    expect(await within(20_000, 'the end', waiting)).toEqual({ done: true, value: undefined });
    expect(commandWatch.watched).toEqual({ commands: 1, watchers: 1 });
    await second.return?.();
    await second.return?.();
    expect(commandWatch.watched).toEqual(NOBODY);
    expect(await isOver(second)).toBe(true);
  });

  it('gives all the same record object, so that what they share is made once', async () => {
    const all = await Promise.all(Array.from({ length: 3 }, () => watch(commandWatch, id)));
    expect(new Set(await Promise.all(all.map(nextOf))).size).toBe(1);
    await Promise.all(all.map((it) => it.return?.()));
  });

  it('is told where the database fails, and does not go on as if nothing had been missed', async () => {
    const watching = await watch(commandWatch, id);
    await nextOf(watching);
    const next = watching.next();
    stage.failure = new Error('It broke.');
    commandWatch.wake();
    await expect(next).rejects.toThrow('It broke.');
    expect(await isOver(watching)).toBe(true);
    await expect(commandWatch.watch(id)).rejects.toThrow('It broke.');
    await expect(commandWatch.finished(id, 20_000)).rejects.toThrow('It broke.');
    expect(commandWatch.watched).toEqual(NOBODY);
  });

  it('works again after the database failed', async () => {
    stage.failure = new Error('It broke.');
    await expect(commandWatch.watch(id)).rejects.toThrow('It broke.');
    stage.failure = undefined;
    expect(await nextOf(await watch(commandWatch, id))).toMatchObject({ status: 'QUEUED' });
  });
});

describe('The reads of a command watch', () => {
  it('are none where nobody watches', async () => {
    const stage = new Stage();
    stage.commandWatch.wake();
    stage.set('a', 'SUCCEEDED');
    await nextOf(await watch(stage.commandWatch, 'a'));
    stage.commandWatch.wake();
    await nextTurn();
    expect(stage.reads).toEqual([['a']]);
  });

  it('are one for all that is watched, and one more for all that changed meanwhile', async () => {
    const stage = new Stage();
    for (const id of ['a', 'b', 'c']) stage.set(id, 'QUEUED');
    const all = await Promise.all(['a', 'b', 'c'].map((id) => watch(stage.commandWatch, id)));
    expect(stage.reads).toEqual([['a', 'b', 'c']]);
    await Promise.all(all.map(nextOf));
    const open = stage.close();
    for (let i = 0; i < 10; i += 1) {
      stage.commandWatch.wake();
      await nextTurn();
    }
    for (const id of ['a', 'b', 'c']) stage.set(id, 'SUCCEEDED');
    open();
    await Promise.all(all.map(nextOf));
    expect(stage.reads.length).toBeLessThanOrEqual(3);
    expect(new Set(stage.reads.map(String))).toEqual(new Set(['a,b,c']));
  });

  it('leave out what nobody watches any more', async () => {
    const stage = new Stage();
    for (const id of ['a', 'b']) stage.set(id, 'QUEUED');
    const [a, b] = [await watch(stage.commandWatch, 'a'), await watch(stage.commandWatch, 'b')];
    stage.commandWatch.wake();
    await a.return?.();
    await nextTurn();
    expect(stage.reads.at(-1)).toEqual(['b']);
    await b.return?.();
  });
});

describe('Waiting for the end of a command', () => {
  let stage: Stage;

  beforeEach(() => {
    stage = new Stage();
    stage.set('a', 'QUEUED');
  });

  it.each(['SUCCEEDED', 'REJECTED', 'FAILED', 'TIMED_OUT', 'CANCELLED'] as const)(
    'answers with the command once it is %s',
    async (status) => {
      const finished = stage.commandWatch.finished('a', 20_000);
      stage.commandWatch.wake();
      await nextTurn();
      stage.set('a', 'RUNNING', 1);
      stage.commandWatch.wake();
      await nextTurn();
      stage.set('a', status, 1);
      stage.commandWatch.wake();
      expect(await within(20_000, 'the end', finished)).toMatchObject({ commandId: 'a', status });
      expect(stage.commandWatch.watched).toEqual(NOBODY);
    },
  );

  it('answers at once where it has one already, and where there is no such command', async () => {
    stage.set('a', 'FAILED');
    expect(await within(20_000, 'the end', stage.commandWatch.finished('a', 60_000))).toMatchObject({
      status: 'FAILED',
    });
    expect(await within(20_000, 'the end', stage.commandWatch.finished('b', 60_000))).toBeUndefined();
  });

  it('is not content with what was read before it began', async () => {
    stage.set('a', 'FAILED');
    const watching = await watch(stage.commandWatch, 'a');
    expect(await nextOf(watching)).toMatchObject({ status: 'FAILED' });
    stage.set('a', 'QUEUED');
    const finished = stage.commandWatch.finished('a', 20_000);
    await nextTurn();
    stage.set('a', 'SUCCEEDED');
    stage.commandWatch.wake();
    expect(await finished).toMatchObject({ status: 'SUCCEEDED' });
    await watching.return?.();
  });

  it('ends when the time is up, also while the database does not answer', async () => {
    expect(await within(20_000, 'the time', stage.commandWatch.finished('a', 5))).toBeUndefined();
    const open = stage.close();
    expect(await within(20_000, 'the time', stage.commandWatch.finished('a', 5))).toBeUndefined();
    expect(stage.commandWatch.watched).toEqual(NOBODY);
    open();
  });
});

describeEachStore('A command that is watched', (kind) => {
  let store: TestStore;
  let database: Database;

  beforeAll(async () => {
    store = await kind.create();
    database = await openMigrated(store);
  });
  afterAll(async () => {
    await database.close();
    await store.remove();
  });

  it('is seen waiting, running, failing, waiting again, and cancelled', async () => {
    const commandWatch = new CommandWatch(new CommandRecords(database.derived, new StorageCodec()));
    const row = commandRow({ status: 'QUEUED', attempts: 0, finished_at: null });
    const change = async (sql: string, ...parameters: unknown[]) => {
      await database.log.query(`${sql} WHERE command_id = $1::uuid`, row.command_id, ...parameters);
      commandWatch.wake();
    };
    await insertCommands(database.log, row);
    await enqueue(database.log, row);
    const watching = await watch(commandWatch, row.command_id);
    const finished = commandWatch.finished(row.command_id, 20_000);
    expect(await nextOf(watching)).toMatchObject({ status: 'QUEUED', attempts: 0 });
    await change('UPDATE command_queue SET attempts = 1, owner = $2::uuid', randomUUID());
    expect(await nextOf(watching)).toMatchObject({ status: 'RUNNING', attempts: 1 });
    await database.log.query('UPDATE command_queue SET owner = NULL');
    await change("UPDATE commands SET status = 'FAILED', error = 'It broke.', attempts = 1");
    expect(await nextOf(watching)).toMatchObject({ status: 'FAILED', error: 'It broke.' });
    expect(await finished).toMatchObject({ status: 'FAILED' });
    await change("UPDATE commands SET status = 'QUEUED', error = NULL");
    expect(await nextOf(watching)).toMatchObject({ status: 'QUEUED', error: null });
    await database.log.query('DELETE FROM command_queue');
    await change("UPDATE commands SET status = 'CANCELLED'");
    expect(await nextOf(watching)).toMatchObject({ status: 'CANCELLED' });
    expect(await isOver(watching)).toBe(true);
    expect(commandWatch.watched).toEqual(NOBODY);
  });
});
