import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { backUp } from '../../../src/eventsourcing/backup/backup.ts';
import { BadFile, LineWriter } from '../../../src/eventsourcing/backup/line-file.ts';
import { exportLog } from '../../../src/eventsourcing/backup/log-export.ts';
import { importLog } from '../../../src/eventsourcing/backup/log-import.ts';
import { restoreBackup } from '../../../src/eventsourcing/backup/restore.ts';
import { type Database, openDatabase } from '../../../src/platform/database.ts';
import { linesOfBackup, signed } from '../../support/backup-files.ts';
import { addProducts } from '../../support/cart-load.ts';
import { startLocalServer } from '../../support/servers.ts';
import { describeEachStore, type TestStore } from '../../support/stores.ts';

// Whatever is wrong with a file, it is refused, and the store is as empty as before.

const known = { readTables: [], personal: new Map(), performed: [], secretive: [] };
const tables = z.tuple([z.object({ count: z.number() })]);
const TABLES = `SELECT count(*)::int AS count FROM pg_tables WHERE schemaname = 'public'`;

describeEachStore('A backup that is not what was written', (kind) => {
  const folder = mkdtempSync(join(tmpdir(), 'cartstream-damaged-'));
  const file = join(folder, 'shop.backup');
  const log = join(folder, 'log.jsonl');
  let store: TestStore;
  let target: TestStore;
  let empty: Database;
  let lines: readonly string[];

  beforeAll(async () => {
    [store, target] = await Promise.all([kind.create(), kind.createBare()]);
    const server = await startLocalServer(store);
    await addProducts(server.url, ['A', 'B']);
    await backUp(server.database, file);
    await exportLog(server.database, log, false);
    await server.stop();
    lines = linesOfBackup(file);
    empty = await openDatabase(target.settings);
  });
  afterAll(async () => {
    await empty.close();
    await Promise.all([store.remove(), target.remove()]);
    rmSync(folder, { recursive: true, force: true });
  });

  const refused = async (content: Buffer | string, message: RegExp) => {
    const damaged = join(folder, 'damaged');
    writeFileSync(damaged, content);
    const restoring = restoreBackup({ database: empty, path: damaged, known });
    await expect(restoring).rejects.toThrow(message);
    await expect(restoring).rejects.toBeInstanceOf(BadFile);
    expect(tables.parse(await empty.log.query(TABLES))[0].count, 'nothing was done').toBe(0);
  };

  test.each([0.1, 0.5, 0.9, 0.999])('is refused where it is cut at %f of it', async (part) => {
    const whole = readFileSync(file);
    await refused(whole.subarray(0, Math.floor(whole.length * part)), /not whole|damaged|no backup/);
  });

  test('is refused where any byte of it is another', async () => {
    const whole = readFileSync(file);
    // Not in the header of gzip: its time and system say nothing of what is in it.
    for (const part of [0.05, 0.3, 0.6, 0.8, 0.95]) {
      const other = Buffer.from(whole);
      const at = Math.floor(whole.length * part);
      other.writeUInt8(other.readUInt8(at) ^ 0x10, at);
      await refused(other, /damaged|checksum|not whole|none of a backup|no backup/);
    }
  });

  test('is refused where a row was changed, or is missing', async () => {
    const plain = gunzipSync(readFileSync(file)).toString();
    await refused(gzipSync(plain.replace('Product A', 'Product X')), /its checksum does not fit/);
    const rows = plain.split('\n');
    rows.splice(
      rows.findIndex((line) => line.startsWith('[')),
      1,
    );
    await refused(gzipSync(rows.join('\n')), /its checksum does not fit/);
    // It is read as well without gzip.
    await refused(plain.slice(0, -5), /not whole/);
  });

  test('is refused where it is something else', async () => {
    await refused('', /not whole/);
    await refused('{"hello":1}\n', /not whole|no backup/);
    await refused(gzipSync(signed(['[1,2,3]'])), /no backup/);
    await refused(readFileSync(log), /is an export of the log: npx cartstream import reads it/);
    await expect(importLog({ database: empty, path: file, processes: [] })).rejects.toThrow(/is a backup/);
    await expect(restoreBackup({ database: empty, path: join(folder, 'none'), known })).rejects.toThrow(
      'There is no file',
    );
  });

  test('is refused where it is of a newer version', async () => {
    const header = z.record(z.string(), z.unknown()).parse(JSON.parse(lines[0] ?? ''));
    const with_ = (more: object) => gzipSync(signed([JSON.stringify({ ...header, ...more }), ...lines.slice(1)]));
    await refused(with_({ version: 2 }), /newer version of cartstream/);
    const migrations = [...z.array(z.string()).parse(header['migrations']), '20990101000000_later'];
    await refused(with_({ migrations }), /newer version .*20990101000000_later/);
  });

  test('leaves an empty store where it breaks in the middle', async () => {
    const at = lines.findIndex((line) => line.includes('"table":"streams"'));
    const broken = [...lines.slice(0, at + 1), '["only one"]', ...lines.slice(at + 1)];
    writeFileSync(join(folder, 'broken'), gzipSync(signed(broken)));
    const other = await kind.create();
    const database = await openDatabase(other.settings);
    await expect(restoreBackup({ database, path: join(folder, 'broken'), known })).rejects.toThrow();
    // So the right one can follow.
    const { position } = await restoreBackup({ database, path: file, known });
    expect(position).toBeGreaterThan(0);
    await database.close();
    await other.remove();
  });

  test('is there whole or not at all', async () => {
    const path = join(folder, 'half');
    const writer = await LineWriter.create(path, true);
    await writer.write(['[1]']);
    expect(readdirSync(folder)).not.toContain('half');
    await writer.abort();
    expect(readdirSync(folder).filter((name) => name.startsWith('half'))).toEqual([]);
    await expect(LineWriter.create(file, true)).rejects.toThrow('is there already');
    const nowhere = await LineWriter.create(join(folder, 'no', 'where'), true);
    await nowhere.write(['[1]']);
    await expect(nowhere.end()).rejects.toThrow('cannot be written');
  });
});
