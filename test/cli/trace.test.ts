import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TracedCommand, TracedEvent } from '../../src/cli/trace/remote-causes.ts';
import { sumText, treeText } from '../../src/cli/trace/tree-text.ts';
import { causationOf } from '../../src/eventsourcing/history/causation.ts';
import { issueToken } from '../../src/server/authentication.ts';
import { Buyer } from '../support/buyer.ts';
import { commandRow, insertCommands } from '../support/command-rows.ts';
import { Historian, idOf, nameOf } from '../support/historian.ts';
import { commandNode, eventually, receiptOf } from '../support/operator.ts';
import { type LocalServer, startLocalServer } from '../support/servers.ts';
import { describeEachStore, type TestStore } from '../support/stores.ts';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const SECRET = 'a secret of at least thirty-two bytes';

/** Runs the command as a user does. */
async function trace(...parameters: string[]): Promise<{ code: unknown; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [MAIN, 'trace', ...parameters], { stdio: ['ignore', 'pipe', 'pipe'] });
  const [[code], stdout, stderr] = await Promise.all([once(child, 'exit'), text(child.stdout), text(child.stderr)]);
  return { code, stdout, stderr };
}

/** What the tree shows: how deep each is, and its name. */
function shownIn(stdout: string): { depth: number; name: string | undefined }[] {
  return stdout.split('\n').flatMap((line) => {
    const [, indent = '', name] = /^((?:[│├└ ] )*)[▸•] (\S+)/.exec(line) ?? [];
    return name === undefined ? [] : [{ depth: indent.length / 2, name }];
  });
}

describeEachStore('cartstream trace', (kind) => {
  let store: TestStore;
  let server: LocalServer;
  let historian: Historian;
  /** A check-out that was refused, for the stock of one product was not enough. */
  let checkOut: string;

  beforeAll(async () => {
    store = await kind.create();
    server = await startLocalServer(store, { jwtSecret: SECRET });
    historian = new Historian(server.url);
    const buyer = new Buyer(server.url, undefined, randomUUID());
    await buyer.addProduct('A', { stock: 5 });
    const [first, second] = [await buyer.cartWith({ A: 4 }), await buyer.cartWith({ A: 4 })];
    expect(await buyer.checkOut(first)).toMatchObject({ __typename: 'OrderPayload' });
    const refused = await buyer.checkOut(second);
    expect(refused).toMatchObject({ __typename: 'InsufficientStock' });
    checkOut = receiptOf(refused).commandId;
  });
  afterAll(async () => {
    await server.stop();
    await store.remove();
  });

  it('prints the tree of a command, with who it was and what was refused', async () => {
    const { steps } = await eventually(async () => {
      const found = await historian.causation({ commandId: checkOut });
      // The process gives the cart back; and the cart is watched again, as the last of all.
      const last = ['CartWatchEnded', 'CheckoutCartReopened', 'CartWatchBegan', 'abandoned-carts.timer'];
      expect(found?.steps.map(nameOf)).toEqual(expect.arrayContaining(last));
      if (found === null) throw new Error('It is there.');
      return found;
    });
    const { code, stdout, stderr } = await trace(checkOut, '--url', server.url);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [root = '', ...rest] = stdout.split('\n');
    expect(root).toMatch(
      new RegExp(
        `^▸ CheckOutCart +…${checkOut.slice(-8)}  20\\d\\d-\\S+Z  cart …\\w{8}  by ADMIN  REJECTED INSUFFICIENT_STOCK: .+$`,
      ),
    );
    expect(rest.join('\n')).toMatch(/▸ ReserveStock .* \+\d+\.\d{3} s .* REJECTED INSUFFICIENT_STOCK: /);
    expect(stdout).toMatch(/^└ • CartCheckOutStarted .* cart …\w{8} v\d+$/m);
    expect(stdout).not.toContain('asked about');
    expect(shownIn(stdout)).toEqual(steps.map((step) => ({ depth: step.depth, name: nameOf(step) })));
    const commands = steps.filter(({ command }) => command !== null).length;
    expect(stdout).toContain(`\n${commands} commands and ${steps.length - commands} events within `);
    expect(stdout).toMatch(/\. \d+ more have the same correlationId, and were not caused by these: [\w-]{36}\n$/);
  });

  it('marks what was asked about, whichever of the tree it is', async () => {
    const whole = await historian.causation({ commandId: checkOut });
    const noted = whole?.steps.find((step) => nameOf(step) === 'CartCheckOutCancelled');
    const id = noted && idOf(noted);
    const { code, stdout } = await trace(String(id).toUpperCase(), '--url', server.url, '--long-ids');
    expect(code).toBe(0);
    expect(shownIn(stdout)[0]).toEqual({ depth: 0, name: 'CheckOutCart' });
    expect(stdout).toContain(checkOut);
    const marked = stdout.split('\n').filter((line) => line.endsWith('◀ asked about'));
    expect(marked).toEqual([expect.stringContaining(`• CartCheckOutCancelled`)]);
    expect(marked[0]).toContain(id);
    const again = await trace(commandNode(checkOut), '--url', server.url, '--long-ids');
    expect(shownIn(again.stdout)).toEqual(shownIn(stdout));
  });

  it('reads as many pages as there are', async () => {
    const correlation_id = randomUUID();
    const root = commandRow({ command_id: correlation_id });
    const caused = Array.from({ length: 250 }, () => commandRow({ correlation_id, causation_id: correlation_id }));
    const other = commandRow({ correlation_id });
    await insertCommands(server.database.log, root, ...caused, other);
    const { code, stdout } = await trace(caused[7]?.command_id ?? '', '--url', server.url);
    expect(code).toBe(0);
    expect(shownIn(stdout)).toHaveLength(251);
    expect(stdout).toContain('251 commands and 0 events within 0.000 s. 1 more has');
  });

  it('says plainly what is wrong', async () => {
    const id = randomUUID();
    const customer = await issueToken(SECRET, 'customer', 'carla', 60);
    const wrong: [string[], RegExp][] = [
      [[id, '--url', server.url], new RegExp(`^There is no event and no command ${id}\\.\n$`)],
      [['nope', '--url', server.url], /^Name an event or a command by its UUID/],
      [[id, '--url', 'nope'], /^--url must be an address/],
      [[id, '--url', 'http://127.0.0.1:9/graphql'], /^Nobody answers at .* npx cartstream serve/],
      [[id, '--url', server.url.replace('/graphql', '/health/live')], /does not answer like a GraphQL API/],
      [[id, '--url', server.url, '--token', 'not a token'], /^--token must be a token/],
      [[id, '--url', server.url, '--token', 'nonsense'], /refuses the token/],
      [[checkOut, '--url', server.url, '--token', customer], /is for staff: name a token with --token/],
    ];
    const answers = await Promise.all(wrong.map(([parameters]) => trace(...parameters)));
    for (const [at, [parameters, message]] of wrong.entries()) {
      expect(answers[at], parameters.join(' ')).toMatchObject({
        code: 1,
        stdout: '',
        stderr: expect.stringMatching(message),
      });
    }
  });
});

describe('The tree of a trace', () => {
  const begun = Date.parse('2030-01-31T12:00:00.000Z');
  const command = (commandId: string, more: Partial<TracedCommand> = {}): TracedCommand => ({
    commandId,
    name: `Do${commandId}`,
    aggregateType: 'tally',
    aggregateId: 'a',
    status: 'SUCCEEDED',
    actor: { kind: 'PROCESS', id: 'p' },
    rejection: null,
    error: null,
    submittedAt: new Date(begun),
    dueAt: null,
    correlationId: 'r',
    causationId: null,
    ...more,
  });
  const event = (eventId: string, causationId: string, position: string, ms: number): TracedEvent => ({
    eventId,
    type: `Did${eventId}`,
    aggregateType: 'tally',
    aggregateId: '0197f3c0-1111-7111-8111-123456789abc',
    version: 1,
    position,
    recordedAt: new Date(begun + ms),
    correlationId: 'r',
    causationId,
  });
  const textFor = (
    commands: readonly TracedCommand[],
    events: readonly TracedEvent[],
    eventId: string,
    isLong = false,
  ) => {
    const found = causationOf(commands, events, { eventId });
    return found && treeText(found, isLong) + sumText(found, 0, 'r');
  };

  it('has a line for each, below its cause', () => {
    const commands = [
      command('r', { actor: { kind: 'STAFF', id: 'anna' } }),
      command('s', {
        causationId: 'e1',
        submittedAt: new Date(begun + 61_000),
        status: 'QUEUED',
        dueAt: new Date(begun),
      }),
      command('t', { causationId: 'e1', submittedAt: new Date(begun - 2), status: 'FAILED', error: 'It broke.' }),
    ];
    const events = [event('e2', 'r', '0002', 9), event('e1', 'r', '0001', 7)];
    expect(textFor(commands, events, 'e1')).toBe(
      [
        '▸ Dor      r  2030-01-31T12:00:00.000Z  tally a  by STAFF anna',
        '├ • Dide1  e1    +0.007 s  tally …56789abc v1  ◀ asked about',
        '│ ├ ▸ Dot  t    -0.002 s  tally a  FAILED: It broke.',
        '│ └ ▸ Dos  s   +61.000 s  tally a  QUEUED, due 2030-01-31T12:00:00.000Z',
        '└ • Dide2  e2    +0.009 s  tally …56789abc v1',
        '3 commands and 2 events within 61.000 s.',
        '',
      ].join('\n'),
    );
    expect(textFor(commands.slice(0, 1), events.slice(1), 'e1')).toMatch(
      /\n1 command and 1 event within 0\.007 s\.\n$/,
    );
    expect(textFor(commands, events, 'e1', true)).toContain('0197f3c0-1111-7111-8111-123456789abc v1');
  });

  it('stays a line for each, whatever was sent, and however deep it is', () => {
    const rejection = { code: 'X', message: `\u001b[31mred\u001b[0m\n${'long '.repeat(100)}\u202e` };
    const rude = command('r', {
      rejection,
      status: 'REJECTED',
      actor: { kind: 'GUEST', id: 'a\nb\u0007' },
      aggregateId: '\r\n',
    });
    const deep = Array.from({ length: 1_000 }, (_, at) =>
      command(`${at}`, { causationId: at === 0 ? 'e' : `${at - 1}` }),
    );
    const shown = textFor([rude, ...deep], [event('e', 'r', '1', 0)], 'e') ?? '';
    const lines = shown.split('\n');
    expect(lines).toHaveLength(1_004);
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThan(400);
    expect(lines[1_001]).toMatch(/^ {80}1001⋯ ▸ Do999 /);
    expect(lines[0]).toMatch(/by GUEST a b {2}REJECTED X: \[31mred \[0m long .*…$/);
    expect([...shown].filter((it) => it !== '\n' && /\p{C}/u.test(it))).toEqual([]);
  });
});
