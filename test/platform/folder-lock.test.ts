import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openDatabase } from '../../src/platform/database.ts';
import { FolderInUse, lockFolder } from '../../src/platform/folder-lock.ts';
import { bundleScript, type ScriptFile } from '../support/bundle.ts';

/**
 * A process that takes folders as it is told, and keeps them until it is told otherwise. Told a time, it waits for that
 * in a busy loop: so that several of them begin in the same instant.
 */
const HOLDER = `
  import { lockFolder } from './src/platform/folder-lock.ts';
  let unlock = () => {};
  process.on('message', ({ folder, at }) => {
    if (folder === undefined) { unlock(); process.send('free'); return; }
    while (Date.now() < at);
    try { unlock = lockFolder(folder); process.send('taken'); }
    catch (error) { process.send(error.name === 'FolderInUse' ? 'in use' : String(error)); }
  });
  process.send('ready');`;

describe('The lock of a data folder', () => {
  let script: ScriptFile;
  let folder: string;
  let lock: string;
  const children: ChildProcess[] = [];

  beforeAll(async () => {
    script = await bundleScript(HOLDER);
  });
  afterAll(() => script.remove());
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cartstream-lock-'));
    lock = join(folder, 'cartstream.lock');
  });
  afterEach(async () => {
    await Promise.all(children.splice(0).map(kill));
    rmSync(folder, { recursive: true, force: true });
  });

  async function start(): Promise<ChildProcess> {
    const child = fork(script.path, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    children.push(child);
    await once(child, 'message');
    return child;
  }

  async function kill(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  async function take(child: ChildProcess, at = 0): Promise<unknown> {
    const answer = once(child, 'message');
    child.send({ folder, at });
    return (await answer)[0];
  }

  async function free(child: ChildProcess): Promise<void> {
    const answer = once(child, 'message');
    child.send({});
    await answer;
  }

  it('tells a second process plainly who has it and what to do', async () => {
    const child = await start();
    expect(await take(child)).toBe('taken');
    expect(() => lockFolder(folder)).toThrow(FolderInUse);
    expect(() => lockFolder(folder)).toThrow(
      new RegExp(`${folder}.*process ${child.pid} on .*DATA_DIR.*DATABASE_URL.*${lock}`),
    );
    await expect(openDatabase({ engine: 'pglite', folder })).rejects.toThrow(FolderInUse);
    expect(existsSync(join(folder, 'pglite'))).toBe(false);
  });

  it('tells the same process too', () => {
    const unlock = lockFolder(folder);
    expect(() => lockFolder(folder)).toThrow(FolderInUse);
    unlock();
    lockFolder(folder)();
    expect(existsSync(lock)).toBe(false);
  });

  it('is free when it was given back', async () => {
    const child = await start();
    await take(child);
    await free(child);
    lockFolder(folder)();
  });

  it('of a killed process is taken over at once', async () => {
    const child = await start();
    await take(child);
    await kill(child);
    expect(existsSync(lock)).toBe(true);
    lockFolder(folder)();
  });

  it.runIf(existsSync('/proc/self/stat'))('of a process whose pid another one has now is taken over', async () => {
    const child = await start();
    const stale = { pid: child.pid, startedAt: '1', host: hostname(), nonce: 'of long ago' };
    writeFileSync(lock, JSON.stringify(stale));
    lockFolder(folder)();
  });

  it('of another host is respected: its process cannot be asked', () => {
    writeFileSync(lock, JSON.stringify({ pid: 1, startedAt: '1', host: 'elsewhere', nonce: 'n' }));
    expect(() => lockFolder(folder)).toThrow(/process 1 on elsewhere/);
  });

  it.each([
    ['empty', ''],
    ['cut off', '{"pid": 12'],
    ['of another shape', '{"pid":"12"}'],
    ['binary', '\u0000\u0001\u0002'],
  ])('with garbage in its file (%s) is taken over', (_, garbage) => {
    writeFileSync(lock, garbage);
    const unlock = lockFolder(folder);
    expect(JSON.parse(readFileSync(lock, 'utf8'))).toMatchObject({ pid: process.pid });
    unlock();
  });

  it('given back late does not take the lock from who took it over', async () => {
    const unlock = lockFolder(folder);
    rmSync(lock);
    const child = await start();
    expect(await take(child)).toBe('taken');
    unlock();
    expect(() => lockFolder(folder)).toThrow(FolderInUse);
  });

  it.each([
    ['there is none yet', () => {}],
    ['a killed process left one', (path: string) => writeStale(path)],
    ['a crash left garbage', (path: string) => writeFileSync(path, '')],
  ])('is taken by one at most of several that come at once, where %s', async (_, prepare) => {
    const racers = await Promise.all(Array.from({ length: 4 }, start));
    for (let race = 0; race < 60; race += 1) {
      prepare(lock);
      const at = Date.now() + 8;
      const answers = await Promise.all(racers.map((it) => take(it, at)));
      expect(answers.filter((it) => it === 'taken').length, `race ${race}: ${answers}`).toBeLessThanOrEqual(1);
      expect(answers.filter((it) => it !== 'taken' && it !== 'in use')).toEqual([]);
      await Promise.all(racers.map(free));
      rmSync(lock, { force: true });
    }
  });
});

function writeStale(path: string): void {
  // No process has this pid: it is beyond what Linux gives.
  writeFileSync(path, JSON.stringify({ pid: 2 ** 30, startedAt: '1', host: hostname(), nonce: 'stale' }));
}
