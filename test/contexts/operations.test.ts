import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { commandDecider } from '../../src/contexts/operations/command-decider.ts';
import {
  type CancelCommand,
  cancelCommand,
  type DeadLetterCommand,
  dropDeadLetter,
  retryDeadLetters,
} from '../../src/contexts/operations/commands.ts';
import { deadLetterDecider } from '../../src/contexts/operations/dead-letter-decider.ts';
import {
  type CommandEvent,
  type DeadLetterEvent,
  deadLettersRetried,
  type SourceEvent,
} from '../../src/contexts/operations/events.ts';
import { operationsContext } from '../../src/contexts/operations/index.ts';
import { type OpenLetters, sourceDecider } from '../../src/contexts/operations/source-decider.ts';
import { type Actor, SYSTEM } from '../../src/eventsourcing/actor.ts';
import type { CommandRecord } from '../../src/eventsourcing/commands/command-records.ts';
import type { DeadLetter } from '../../src/eventsourcing/followers/dead-letters.ts';
import { customer, GUEST, given, STAFF } from '../support/given.ts';

const NOW = new Date('2030-01-31T12:00:00.000Z');
const LATER = new Date('2030-01-31T12:05:00.000Z');
const target = randomUUID();
const deadLetterId = randomUUID();

const effectsOf = (event: CommandEvent | DeadLetterEvent | SourceEvent) =>
  operationsContext.aggregates
    .filter(({ events }) => events.some(({ type }) => type === event.type))
    .flatMap((it) => it.effectsOf?.(event, it.decider.initialState, { aggregateId: '', now: NOW }) ?? []);

describe('Cancelling a command', () => {
  const cancelled: CommandEvent = { type: 'CommandCancelled', data: { target } };
  const cancel: CancelCommand = { type: 'CancelCommand', data: { target } };
  const record = (changes: Partial<CommandRecord> = {}): CommandRecord => ({
    commandId: target,
    name: 'AddItemToCart',
    aggregateType: 'cart',
    aggregateId: 'c',
    status: 'QUEUED',
    attempts: 0,
    actor: customer('mia'),
    input: {},
    rejection: null,
    error: null,
    version: null,
    position: null,
    firstPosition: null,
    eventCount: 0,
    submittedAt: NOW,
    dueAt: LATER,
    deadline: null,
    finishedAt: null,
    correlationId: target,
    causationId: null,
    issuer: null,
    ...changes,
  });
  const stored = (changes: Partial<CommandRecord> = {}) => new Map([[target, record(changes)]]);
  const by = (actor: Actor, changes: Partial<CommandRecord> = {}) =>
    given(commandDecider, []).when(cancel, { actor, facts: stored(changes) });

  test('takes it out of the queue', () => {
    by(customer('mia')).thenEvents([cancelled]);
    expect(effectsOf(cancelled)).toEqual([{ kind: 'cancelCommand', commandId: target }]);
  });

  test('is for staff, too', () => {
    by(STAFF).thenEvents([cancelled]);
    by(SYSTEM).thenEvents([cancelled]);
  });

  test('is for nobody else, to whom it is not there', () => {
    for (const actor of [
      customer('max'),
      GUEST,
      { kind: 'GUEST', id: 'mia' },
      { kind: 'SERVICE', id: 'mia' },
    ] as const) {
      by(actor).thenRejected({ code: 'NOT_FOUND', id: target });
    }
  });

  test('needs a command', () =>
    given(commandDecider, []).when(cancel, { actor: STAFF }).thenRejected({ code: 'NOT_FOUND', id: target }));

  test('is too late once it runs or has an end', () => {
    for (const status of ['RUNNING', 'SUCCEEDED', 'REJECTED', 'FAILED', 'TIMED_OUT', 'CANCELLED'] as const) {
      by(customer('mia'), { status }).thenRejected({ code: 'ILLEGAL_STATE', state: status });
    }
  });

  test('happens once, also where the command store does not know of it yet', () => {
    given(commandDecider, [cancelled])
      .when(cancel, { actor: STAFF, facts: stored() })
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'CANCELLED' });
  });

  test('works for what a process sent, and not for the messages and timers that it goes on with', () => {
    const actor = { kind: 'PROCESS', id: 'merging-carts' } as const;
    by(STAFF, { actor, issuer: { type: 'merging-carts', id: 'm' } }).thenEvents([cancelled]);
    by(STAFF, { actor, aggregateType: 'merging-carts' }).thenRejected({
      code: 'ILLEGAL_STATE',
      state: 'QUEUED',
      message: `The command ${target} is what the process merging-carts goes on with.`,
    });
  });

  test('takes the id in any case', () => {
    expect(cancelCommand.input.parse({ target: target.toUpperCase() })).toEqual({ target });
    expect(cancelCommand.input.safeParse({ target: 'garbage' }).success).toBe(false);
  });
});

const letter = (changes: Partial<DeadLetter> = {}): DeadLetter => ({
  id: deadLetterId,
  source: 'command',
  subject: target,
  lane: 'cart-c',
  position: null,
  payload: {},
  error: 'It broke.',
  attempts: 8,
  status: 'OPEN',
  reason: null,
  failedAt: NOW,
  resolvedAt: null,
  ...changes,
});
const failure = { deadLetterId, source: 'command', subject: target, failedAt: NOW.toISOString(), attempts: 8 };
const retried: DeadLetterEvent = { type: 'DeadLetterRetried', data: failure };
const dropped: DeadLetterEvent = { type: 'DeadLetterDropped', data: { ...failure, reason: 'Not needed.' } };
const retry: DeadLetterCommand = { type: 'RetryDeadLetter', data: { deadLetterId } };
const drop: DeadLetterCommand = { type: 'DropDeadLetter', data: { deadLetterId, reason: ' Not needed. ' } };
const known = (changes: Partial<DeadLetter> = {}) => ({ facts: new Map([[deadLetterId, letter(changes)]]) });

describe('Retrying a dead letter', () => {
  test('has it tried again', () => {
    given(deadLetterDecider, []).when(retry, known()).thenEvents([retried]);
    expect(effectsOf(retried)).toEqual([{ kind: 'retryDeadLetters', ids: [deadLetterId] }]);
  });

  test('works again when it failed again', () => {
    const again = { failedAt: LATER, attempts: 16 };
    const events = [
      { type: 'DeadLetterRetried', data: { ...failure, failedAt: LATER.toISOString(), attempts: 16 } },
    ] as const;
    given(deadLetterDecider, [retried]).when(retry, known(again)).thenEvents(events);
    // Within the same millisecond.
    given(deadLetterDecider, [retried])
      .when(retry, known({ attempts: 16 }))
      .thenEvents([{ type: 'DeadLetterRetried', data: { ...failure, attempts: 16 } }]);
  });
});

describe('Dropping a dead letter', () => {
  test('gives it up, and keeps why', () => {
    given(deadLetterDecider, []).when(drop, known()).thenEvents([dropped]);
    expect(effectsOf(dropped)).toEqual([{ kind: 'dropDeadLetter', id: deadLetterId, reason: 'Not needed.' }]);
  });

  test('works when it failed again after it was retried', () => {
    given(deadLetterDecider, [retried])
      .when(drop, known({ failedAt: LATER }))
      .thenEvents([
        { type: 'DeadLetterDropped', data: { ...failure, failedAt: LATER.toISOString(), reason: 'Not needed.' } },
      ]);
  });

  test('needs a reason of 1 to 500 characters', () => {
    const allows = (reason: string) => dropDeadLetter.input.safeParse({ deadLetterId, reason }).success;
    expect(['', '  ', 'x', 'x'.repeat(500), 'x'.repeat(501), '\u0000'].map(allows)).toEqual([
      false,
      false,
      true,
      true,
      false,
      false,
    ]);
  });
});

describe.each([retry, drop])('$type', (command) => {
  test('needs a dead letter', () =>
    given(deadLetterDecider, []).when(command).thenRejected({ code: 'NOT_FOUND', id: deadLetterId }));

  test('is refused where it is not open', () => {
    for (const status of ['RETRIED', 'DROPPED'] as const) {
      given(deadLetterDecider, [])
        .when(command, known({ status }))
        .thenRejected({ code: 'ILLEGAL_STATE', state: status });
    }
  });

  test('is refused after another decision on the same failure, also where the table does not know of it yet', () => {
    given(deadLetterDecider, [retried])
      .when(command, known())
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'RETRIED' });
    given(deadLetterDecider, [dropped])
      .when(command, known())
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'DROPPED' });
  });
});

describe('Retrying all dead letters of a source', () => {
  const source = 'projection:cart.carts';
  const command = { type: 'RetryDeadLetters', data: { source } } as const;
  const [a, b] = [randomUUID(), randomUUID()];
  const open = (...letters: readonly (readonly [id: string, failedAt: Date])[]) => ({
    facts: new Map<string, OpenLetters>([[source, letters.map(([id, failedAt]) => ({ id, failedAt }))]]),
  });
  const retriedAll = (...letters: readonly (readonly [id: string, failedAt: Date])[]): SourceEvent => ({
    type: 'DeadLettersRetried',
    data: {
      source,
      count: letters.length,
      letters: letters.map(([id, failedAt]) => ({ id, failedAt: failedAt.toISOString() })),
    },
  });

  test('has those tried again that are open, and says how many', () => {
    const event = retriedAll([a, NOW], [b, LATER]);
    given(sourceDecider, [])
      .when(command, open([a, NOW], [b, LATER]))
      .thenEvents([event]);
    expect(effectsOf(event)).toEqual([{ kind: 'retryDeadLetters', ids: [a, b] }]);
    expect(deadLettersRetried.data.parse(event.data)).toEqual(event.data);
  });

  test('does nothing where none is open', () => {
    given(sourceDecider, []).when(command, open()).thenEvents([]);
  });

  test('says so where there is no such source', () => {
    given(sourceDecider, []).when(command).thenRejected({ code: 'NOT_FOUND', id: source });
  });

  test('leaves out failures that were retried just before, and not those that failed again', () => {
    given(sourceDecider, [retriedAll([a, NOW], [b, NOW])])
      .when(command, open([a, NOW], [b, LATER]))
      .thenEvents([retriedAll([b, LATER])]);
    given(sourceDecider, [retriedAll([a, NOW])])
      .when(command, open([a, NOW]))
      .thenEvents([]);
  });

  test('needs a source that can be one', () => {
    const allows = (text: string) => retryDeadLetters.input.safeParse({ source: text }).success;
    expect(['command', '', '\u0000', 'x'.repeat(201)].map(allows)).toEqual([true, false, false, false]);
  });
});

describe('Facts', () => {
  test('are read fresh from where the engine keeps commands, dead letters and projections', async () => {
    const asked: unknown[] = [];
    const find = (what: string) => async (keys: readonly string[]) => {
      asked.push([what, ...keys]);
      return new Map(keys.map((key) => [key, what]));
    };
    const openOf = async (source: string, limit: number) => {
      asked.push(['open', source, limit]);
      return source === 'left behind' ? [{ id: randomUUID(), failedAt: NOW }] : [];
    };
    const stores = {
      log: {},
      commandRecords: { find: find('command') },
      deadLetters: { find: find('letter'), openOf },
      projections: { find: find('projection') },
      followers: [{ task: { name: 'y' } }],
    };
    for (const { facts } of operationsContext.aggregates) {
      if (facts === undefined || !('load' in facts)) throw new Error('They are not loaded.');
      const keys = [...(await facts.load(stores as never, ['x', 'y', 'left behind'])).keys()];
      // Of sources, those that there are, and those that have left something behind.
      expect(keys.filter((it) => it !== 'x')).toEqual(['y', 'left behind']);
    }
    expect(asked).toEqual([
      ['command', 'x', 'y', 'left behind'],
      ['letter', 'x', 'y', 'left behind'],
      ['open', 'x', 10_000],
      ['open', 'y', 10_000],
      ['open', 'left behind', 10_000],
      ['projection', 'x', 'y', 'left behind'],
    ]);
  });
});
