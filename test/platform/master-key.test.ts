import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  adoptNextMasterKey,
  loadMasterKey,
  loadMasterKeys,
  type MasterKeySettings,
  makeNextMasterKey,
  NoMasterKey,
  parseMasterKey,
} from '../../src/platform/master-key.ts';

const key = Buffer.from(Array.from({ length: 32 }, (_, at) => at * 8 + 3));

describe('The master key', () => {
  let dataDir: string;
  let said: { level: string; file: unknown; message: string }[];
  const logger = {
    info: (about: { file: string }, message: string) => said.push({ level: 'info', file: about.file, message }),
    warn: (about: { file: string }, message: string) => said.push({ level: 'warn', file: about.file, message }),
  };
  const load = (settings: Partial<MasterKeySettings> = {}) =>
    loadMasterKey({ dataDir, isStoreKeyed: false, isShared: false, ...settings }, logger);

  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'cartstream-'));
    said = [];
  });
  afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

  it('is what the environment says, in any way of writing 32 bytes', () => {
    for (const form of ['hex', 'base64', 'base64url'] as const) {
      expect(load({ fromEnvironment: key.toString(form), isStoreKeyed: true })).toEqual(key);
    }
    expect(parseMasterKey(key.toString('hex').toUpperCase())).toEqual(key);
    expect(readdirSync(dataDir)).toEqual([]);
    expect(said).toEqual([]);
  });

  it('is refused if it is anything else', () => {
    for (const text of ['', 'secret', key.toString('hex').slice(2), `${key.toString('base64')}AA`, 'g'.repeat(64)]) {
      expect(() => load({ fromEnvironment: text })).toThrow(NoMasterKey);
    }
  });

  it('is made for a new store, for its user alone, and said so; and is there again the next time', () => {
    const made = load();
    expect(made).toHaveLength(32);
    const file = join(dataDir, 'master.key');
    expect(readdirSync(dataDir)).toEqual(['master.key']);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(parseMasterKey(readFileSync(file, 'utf8').trim())).toEqual(made);
    expect(said).toMatchObject([{ level: 'info', file, message: expect.stringContaining('keep a copy') }]);
    expect(JSON.stringify(said)).not.toContain(made.toString('base64'));
    expect(load({ isStoreKeyed: true })).toEqual(made);
    expect(said).toHaveLength(1);
  });

  it('is made in a folder that is not there yet', () => {
    expect(load({ dataDir: join(dataDir, 'a', 'b') })).toHaveLength(32);
  });

  it('is told of to others who use the same database', () => {
    load({ isShared: true });
    expect(said).toMatchObject([{ level: 'info' }, { level: 'warn', message: expect.stringContaining('MASTER_KEY') }]);
  });

  it('is not made anew for a store that has keys: it could not read them', () => {
    expect(() => load({ isStoreKeyed: true })).toThrow(/Set MASTER_KEY to the one that the store began with/);
    expect(readdirSync(dataDir)).toEqual([]);
  });

  it('before is known beside it, where the environment names both', () => {
    const before = Buffer.alloc(32, 'before');
    const fromEnvironment = key.toString('hex');
    const settings = { dataDir, isStoreKeyed: true, isShared: false, fromEnvironment };
    expect(loadMasterKeys(settings, logger)).toEqual({ masterKey: key, otherMasterKeys: [], next: undefined });
    const both = loadMasterKeys({ ...settings, previous: before.toString('base64') }, logger);
    expect(both).toEqual({ masterKey: key, otherMasterKeys: [before], next: key });
    expect(() => loadMasterKeys({ ...settings, previous: 'nothing' }, logger)).toThrow(NoMasterKey);
  });

  it('after is made in a file beside it, stays until it is adopted, and then takes its place', () => {
    const settings = { dataDir, isStoreKeyed: false, isShared: false };
    const { masterKey } = loadMasterKeys(settings, logger);
    const next = makeNextMasterKey(dataDir);
    expect(next).not.toEqual(masterKey);
    expect(makeNextMasterKey(dataDir)).toEqual(next);
    expect(statSync(join(dataDir, 'master.key.new')).mode & 0o777).toBe(0o600);
    expect(loadMasterKeys(settings, logger)).toEqual({ masterKey, otherMasterKeys: [next], next });
    adoptNextMasterKey(dataDir);
    expect(readdirSync(dataDir)).toEqual(['master.key']);
    expect(loadMasterKeys(settings, logger)).toEqual({ masterKey: next, otherMasterKeys: [], next: undefined });
  });

  it('is not taken from a file that holds something else', () => {
    writeFileSync(join(dataDir, 'master.key'), 'garbage');
    expect(() => load()).toThrow(/put the right file back/);
  });
});
