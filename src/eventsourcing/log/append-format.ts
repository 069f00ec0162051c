import type { AppendUnit, NewCommandRecord, NewQueuedCommand, UnitWork } from './append-unit.ts';

/** The short forms in which `append_to_log` and `enqueue_commands` take things: see the migrations. */

/** Members that are undefined are left out of the text. */
export function shortCommand(unit: number, stream: number | undefined, it: NewCommandRecord) {
  return {
    unit,
    id: it.commandId,
    stream,
    n: it.name,
    d: it.input,
    w: it.secrets,
    f: it.fingerprint,
    k: it.actorKind,
    o: it.actorId ?? undefined,
    r: it.rejection,
    x: it.attempts,
    v: it.version,
    e: it.expectedVersion,
    s: it.isRunning ? 'RUNNING' : undefined,
    q: it.wasQueued ? true : undefined,
    c: it.correlationId === it.commandId ? undefined : it.correlationId,
    g: it.causationId ?? undefined,
    at: it.submittedAt,
  };
}

/** A command as `enqueue_commands` reads it. */
export function shortQueuedCommand(it: NewQueuedCommand) {
  return {
    id: it.commandId,
    n: it.name,
    t: it.aggregateType,
    a: it.aggregateId,
    d: it.input,
    w: it.secrets,
    f: it.fingerprint,
    k: it.actor.kind,
    o: it.actor.id ?? undefined,
    e: it.expectedVersion,
    due: it.dueAt,
    deadline: it.deadline,
    timer: it.timer,
    c: it.correlationId,
    g: it.causationId,
    it: it.issuer?.type,
    ii: it.issuer?.id,
    l: it.lane,
  };
}

/**
 * The work of all units as `do_work` reads it; null where there is none, which spares the database looking.
 * @param seal makes of a command what is stored of it
 */
export function shortWork(
  units: readonly AppendUnit[],
  seal: (command: NewQueuedCommand) => NewQueuedCommand,
): string | null {
  if (units.every(({ work }) => work === undefined)) return null;
  const of = <Item extends object>(pick: (work: UnitWork) => readonly Item[]) => {
    const items = units.flatMap(({ work }, unit) =>
      work === undefined ? [] : pick(work).map((it) => ({ unit, ...it })),
    );
    return items.length === 0 ? undefined : items;
  };
  return JSON.stringify({
    claims: of((it) => it.claims),
    timers: of((it) => it.cancelledTimers),
    queue: of((it) => it.queue.map((command) => shortQueuedCommand(seal(command)))),
    concluded: of((it) => it.concluded.map(({ id, rejection: r }) => ({ id, r }))),
    cancelled: of((it) => it.cancelledCommands.map((id) => ({ id }))),
    forgotten: of((it) => it.forgotten.map((subject) => ({ subject }))),
    retried: of((it) => it.retried.map((id) => ({ id }))),
    dropped: of((it) => it.dropped),
    rebuilds: of((it) => it.rebuilds),
  });
}
