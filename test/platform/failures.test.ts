import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Database, openDatabase } from '../../src/platform/database.ts';
import { isDatabaseAway } from '../../src/platform/failures.ts';
import { describeEachStore, openMigrated, storeKinds, type TestStore } from '../support/stores.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

async function errorOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (error) {
    return error;
  }
  throw new Error('Nothing failed.');
}

describeEachStore('What a database refuses', (kind) => {
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

  it.each([
    ['a unique violation', `INSERT INTO log_head SELECT * FROM log_head`],
    ['a null', `INSERT INTO log_head (id) VALUES (NULL)`],
    ['a syntax error', 'SELEC 1'],
    ['a table that is not there', 'SELECT * FROM nowhere'],
    ['a function that raises', `DO $$ BEGIN RAISE EXCEPTION 'no'; END $$`],
    ['a division by zero', 'SELECT 1/0'],
    ['a value that is no number', `SELECT 'the connection was closed'::int`],
    ['a message of the data that speaks of connections', `DO $$ BEGIN RAISE EXCEPTION 'connection closed'; END $$`],
  ])('does not mean that it is away: %s', async (_, sql) => {
    expect(isDatabaseAway(await errorOf(database.log.query(sql)))).toBe(false);
  });

  it('does not mean that it is away: U+0000 in JSON', async () => {
    const data = JSON.stringify({ note: '\u0000' });
    expect(isDatabaseAway(await errorOf(database.log.query('SELECT $1::jsonb', data)))).toBe(false);
  });

  it('does not mean that it is away: a unique violation through the ORM', async () => {
    const creating = database.log.prisma.logHead.create({
      data: { id: 1, epoch: '', position: 0, recordedAt: new Date() },
    });
    expect(isDatabaseAway(await errorOf(creating))).toBe(false);
  });
});

const postgresql = storeKinds.find(({ engine }) => engine === 'postgresql');

describe.skipIf(postgresql === undefined)('PostgreSQL is away', () => {
  let store: TestStore;
  let proxy: TcpProxy;

  beforeAll(async () => {
    if (postgresql === undefined) return;
    store = await postgresql.create();
    if (store.settings.engine !== 'postgresql') throw new Error('It is another engine.');
    proxy = await TcpProxy.start(store.settings.url);
  });
  afterAll(async () => {
    await proxy.cut();
    await store.remove();
  });

  it('where nothing listens', async () => {
    const database = await openDatabase({ engine: 'postgresql', url: 'postgresql://root@127.0.0.1:1/nothing' });
    expect(isDatabaseAway(await errorOf(database.log.query('SELECT 1')))).toBe(true);
    await database.close();
  });

  it('where its host is not known', async () => {
    const database = await openDatabase({ engine: 'postgresql', url: 'postgresql://root@nowhere.invalid/nothing' });
    expect(isDatabaseAway(await errorOf(database.log.query('SELECT 1')))).toBe(true);
    await database.close();
  });

  it('where it ends a connection in the middle of a statement', async () => {
    const database = await openDatabase(store.settings);
    const sleeping = errorOf(database.log.query(`SELECT pg_sleep(30)::text AS "of the test"`));
    const ended = async () =>
      database.derived.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND state = 'active' AND query LIKE '%of the test%' AND pid <> pg_backend_pid()`,
      );
    while ((await ended()).length === 0);
    expect(isDatabaseAway(await sleeping)).toBe(true);
    await database.close();
  });

  it('where the wire is cut in the middle of a statement, and after', async () => {
    const database = await openDatabase({ engine: 'postgresql', url: proxy.url });
    await database.log.query('SELECT 1');
    const lost = proxy.loseNext('request', 'a text of the test');
    const asking = errorOf(database.log.query('SELECT $1::text', 'a text of the test'));
    await lost;
    expect(isDatabaseAway(await asking)).toBe(true);
    await proxy.cut();
    expect(isDatabaseAway(await errorOf(database.log.query('SELECT 1')))).toBe(true);
    await database.close();
  });
});

describe('What is no error of a database', () => {
  it.each([undefined, null, 'ECONNREFUSED', 7, {}, new Error('It is broken.'), new TypeError('x is not a function')])(
    'does not mean that it is away: %o',
    (thing) => {
      expect(isDatabaseAway(thing)).toBe(false);
    },
  );

  it('is looked through to its cause, however deep, and though it goes in a circle', () => {
    const lost = Object.assign(new Error('read'), { code: 'ECONNRESET' });
    expect(isDatabaseAway(lost)).toBe(true);
    expect(isDatabaseAway(new Error('outer', { cause: new Error('inner', { cause: lost }) }))).toBe(true);
    const circle: Error & { cause?: unknown } = new Error('one');
    circle.cause = new Error('two', { cause: circle });
    expect(isDatabaseAway(circle)).toBe(false);
  });
});
