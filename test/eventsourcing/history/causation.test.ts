import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type CausationNode,
  type CauseId,
  type CausingCommand,
  type CausingEvent,
  causationOf,
  causationSteps,
} from '../../../src/eventsourcing/history/causation.ts';
import { type CauseSource, TooMuchToTrace, trace } from '../../../src/eventsourcing/history/causes.ts';

type Node = CausationNode<CausingCommand, CausingEvent>;

const at = (second: number) => new Date(Date.UTC(2030, 0, 31, 12, 0, second));
const command = (commandId: string, causationId: string | null = null, second = 0) => ({
  commandId,
  causationId,
  submittedAt: at(second),
});
const event = (eventId: string, causationId: string | null, position = 1) => ({ eventId, causationId, position });

const nameOf = ({ command: of, event: it }: Node) => of?.commandId ?? it?.eventId ?? '';
/** A tree as nested lists of names. */
const shown = (node: Node): unknown => [nameOf(node), ...node.children.map(shown)];
const about = (commands: readonly CausingCommand[], events: readonly CausingEvent[], id: CauseId) => {
  const found = causationOf(commands, events, id);
  return found && { tree: shown(found.root), path: found.path.map(nameOf) };
};

describe('Causation', () => {
  const commands = [command('place'), command('message', 'placed', 1), command('pay', 'message', 2)];
  const events = [event('placed', 'place', 1), event('noted', 'message', 2), event('paid', 'pay', 3)];
  const whole = ['place', ['placed', ['message', ['noted'], ['pay', ['paid']]]]];

  it.each([
    [{ commandId: 'place' }, ['place']],
    [{ eventId: 'noted' }, ['place', 'placed', 'message', 'noted']],
    [{ eventId: 'paid' }, ['place', 'placed', 'message', 'pay', 'paid']],
    [{ commandId: 'message' }, ['place', 'placed', 'message']],
  ])('of %o is the same tree, and the way down to it', (id, path) => {
    expect(about(commands, events, id)).toEqual({ tree: whole, path });
  });

  it('is not there for what is not there, or is something else', () => {
    for (const id of [{ commandId: 'placed' }, { eventId: 'place' }, { eventId: '' }])
      expect(about(commands, events, id)).toBeUndefined();
    expect(about([], [], { eventId: 'placed' })).toBeUndefined();
  });

  it('begins where the cause is not known', () => {
    expect(about(commands.slice(1), events, { eventId: 'paid' })).toEqual({
      tree: whole[1],
      path: ['placed', 'message', 'pay', 'paid'],
    });
  });

  it('leaves out what only began with the same request', () => {
    const others = [...commands, command('other'), command('lost', 'nobody knows')];
    expect(about(others, [...events, event('done', 'other', 4)], { eventId: 'placed' })?.tree).toEqual(whole);
    expect(about(others, events, { commandId: 'lost' })).toEqual({ tree: ['lost'], path: ['lost'] });
  });

  it('has the events of a command in order of position, then the commands that it caused, as they were sent', () => {
    const sent = [command('late', 'root', 9), command('b', 'root', 3), command('a', 'root', 3), command('root')];
    const happened = [event('10', 'root', 10), event('9', 'root', 9)];
    expect(about(sent, happened, { commandId: 'root' })?.tree).toEqual(['root', ['9'], ['10'], ['a'], ['b'], ['late']]);
  });

  it('tells positions as clients see them from each other, too', () => {
    const position = (it: number) => `0190.${String(it).padStart(16, '0')}`;
    const happened = [10, 9].map((it) => ({ eventId: `${it}`, causationId: 'root', position: position(it) }));
    expect(
      causationOf([command('root')], happened, { commandId: 'root' })?.root.children.map((it) => it.event),
    ).toEqual([...happened].reverse());
  });

  it('takes an event for the cause where a command was given the same id', () => {
    const same = [command('root'), command('x', null, 1), command('message', 'x', 2)];
    expect(about(same, [event('x', 'root')], { commandId: 'message' })).toEqual({
      tree: ['root', ['x', ['message']]],
      path: ['root', 'x', 'message'],
    });
  });

  it('is cut where it goes in a circle', () => {
    expect(about([command('self', 'self')], [], { commandId: 'self' })).toEqual({ tree: ['self'], path: ['self'] });
    const circle = [command('a', 'b'), command('b', 'c'), command('c', 'a')];
    expect(about(circle, [], { commandId: 'a' })).toEqual({ tree: ['c', ['b', ['a']]], path: ['c', 'b', 'a'] });
  });

  it('is as deep as it may be', () => {
    const deep = Array.from({ length: 20_000 }, (_, it) => command(`${it}`, it === 0 ? null : `${it - 1}`));
    const found = causationOf(deep, [], { commandId: '19999' });
    expect(found?.path).toHaveLength(20_000);
    expect(found && causationSteps(found.root).at(-1)?.depth).toBe(19_999);
  });

  it('holds for whatever caused whatever: each once, after its cause, all that follows from the root, and no more', () => {
    const links = fc.array(fc.record({ isEvent: fc.boolean(), cause: fc.nat(40), second: fc.nat(5) }), {
      minLength: 1,
      maxLength: 40,
    });
    fc.assert(
      fc.property(links, fc.nat(39), fc.boolean(), (given, chosen, isAcyclic) => {
        const idOf = (it: number) => `n${it}`;
        // Up to the own number there is no circle; with all numbers there may be.
        const causeOf = (it: number, cause: number) => (isAcyclic && cause >= it ? null : idOf(cause));
        const all = given.map(({ isEvent, cause, second }, it) =>
          isEvent ? event(idOf(it), causeOf(it, cause), it) : command(idOf(it), causeOf(it, cause), second),
        );
        const commandsOf = all.filter((it) => 'commandId' in it);
        const eventsOf = all.filter((it) => 'eventId' in it);
        const start = all[chosen % all.length];
        if (start === undefined) return;
        const found = causationOf(commandsOf, eventsOf, start);
        if (found === undefined) throw new Error('It is there.');
        const steps = causationSteps(found.root);
        const names = steps.map(({ node }) => nameOf(node));
        expect(new Set(names).size).toBe(names.length);
        expect(names).toContain(nameOf(found.path.at(-1) ?? found.root));
        expect(found.path[0]).toBe(found.root);
        for (const [it, node] of found.path.slice(1).entries()) expect(found.path[it]?.children).toContain(node);
        for (const { node } of steps)
          for (const child of node.children) {
            expect((child.command ?? child.event)?.causationId).toBe(nameOf(node));
            // What comes of an event is a command.
            if (child.event !== null) expect(node.command).not.toBeNull();
          }
        // Nothing that follows from one in the tree is missing.
        const isIn = (name: string | null, kind: 'command' | 'event') =>
          steps.some(({ node }) => node[kind] !== null && nameOf(node) === name);
        for (const it of commandsOf) {
          const { causationId } = it;
          const isCaused = isIn(causationId, 'event') || isIn(causationId, 'command');
          if (isCaused) expect(isIn(it.commandId, 'command')).toBe(true);
        }
        for (const it of eventsOf) if (isIn(it.causationId, 'command')) expect(isIn(it.eventId, 'event')).toBe(true);
      }),
    );
  });
});

describe('Tracing', () => {
  interface Correlated {
    readonly correlationId: string;
  }
  type Command = CausingCommand & Correlated;
  type Event = CausingEvent & Correlated;
  const of = <Item>(correlationId: string, item: Item) => ({ ...item, correlationId });

  function source(commands: readonly Command[], events: readonly Event[]) {
    const asked: string[] = [];
    const causes: CauseSource<Command, Event> = {
      findCommand: async (id) => commands.find((it) => it.commandId === id),
      findEvent: async (id) => events.find((it) => it.eventId === id),
      async eventsOf(correlationId, limit) {
        asked.push(correlationId);
        return events.filter((it) => it.correlationId === correlationId).slice(0, limit);
      },
      commandsOf: async (id, limit) => commands.filter((it) => it.correlationId === id).slice(0, limit),
    };
    return { causes, asked };
  }

  const first = of('one', command('first'));
  const begun = of('one', event('begun', 'first'));
  const timer = of('two', command('timer', 'begun'));
  const done = of('two', event('done', 'timer', 2));

  it('goes from one correlation to that of its cause', async () => {
    const { causes, asked } = source([first, timer], [begun, done]);
    const found = await trace(causes, { eventId: 'done' }, 10);
    expect(found && shown(found.root)).toEqual(['first', ['begun', ['timer', ['done']]]]);
    expect(asked).toEqual(['two', 'one']);
  });

  it('does not go in a circle', async () => {
    const other = of('one', command('first', 'done'));
    const { causes, asked } = source([other, timer], [begun, done]);
    const found = await trace(causes, { commandId: 'timer' }, 10);
    expect(found && causationSteps(found.root)).toHaveLength(4);
    expect(asked).toEqual(['two', 'one']);
  });

  it('finds nothing of what is not there', async () => {
    const { causes } = source([first], [begun]);
    expect(await trace(causes, { eventId: 'first' }, 10)).toBeUndefined();
    expect(await trace(causes, { commandId: 'nope' }, 10)).toBeUndefined();
  });

  it('gives up where too much belongs together, and says what', async () => {
    const { causes } = source([first, timer], [begun, done]);
    await expect(trace(causes, { eventId: 'done' }, 3)).rejects.toMatchObject({ correlationId: 'one' });
    await expect(trace(causes, { eventId: 'done' }, 1)).rejects.toThrow(TooMuchToTrace);
    expect(await trace(causes, { eventId: 'done' }, 4)).toBeDefined();
  });
});
