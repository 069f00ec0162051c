import { Overloaded } from '../eventsourcing/commands/command.ts';
import type { PointInTime } from '../eventsourcing/history/time-travel.ts';
import type { ProjectedRow, Projection } from '../eventsourcing/projections/projection.ts';
import { isColumnText } from '../platform/column-values.ts';
import type { SchemaBuilderOf } from './builder.ts';
import type { RequestContext } from './context.ts';
import { fault } from './faults.ts';
import { parked } from './live-field.ts';

/** A row as of an earlier point; `asOf` is the position of its newest event then. */
export type PastRow<Row> = Row & { readonly asOf: number };
/** A row of now, or of an earlier point: what the types are declared over that can be read as of one. */
export type RowOfAnyTime<Row> = Row & { readonly asOf?: number | undefined };

export const AS_OF =
  'When. An instant in the future means now. Null where it was not there yet, or has no such version.';

/** The argument that names an earlier point. */
export function addAsOfInput(builder: SchemaBuilderOf) {
  return builder.inputType('AsOf', {
    description:
      "Exactly one of the two. For a view made of several streams, version is that of its own stream and means: as of that event's position.",
    fields: (t) => ({
      version: t.int({ description: 'After so many events of its own; 0: before the first.' }),
      at: t.field({
        type: 'DateTime',
        description: 'With all that was recorded by then. An instant in the future means now.',
      }),
    }),
  });
}

export type AsOfInputRef = ReturnType<typeof addAsOfInput>;

interface SentAsOf {
  readonly version?: number | null | undefined;
  readonly at?: Date | null | undefined;
}

/** The point that an argument names. @throws the fault BAD_USER_INPUT */
export function pointOf({ version, at }: SentAsOf): PointInTime {
  if (typeof version === 'number' && !at) {
    if (version >= 0) return { version };
    throw fault('BAD_USER_INPUT', 'A version is 0 or more.');
  }
  if (at && typeof version !== 'number') return { at };
  throw fault('BAD_USER_INPUT', 'Of version and at, give exactly one.');
}

/**
 * A row as it was, folded anew from the log. Whether the caller may see it is for whoever asks to decide, by the row.
 * @param streamId the stream whose versions are meant
 * @returns undefined where it was not there, or has no such version
 * @throws the faults STALE_READ and PROJECTION_PARKED: which streams a row is made of is known once its projection has
 *   come so far
 */
export async function readAsOf<Row extends ProjectedRow>(
  projection: Projection<Row>,
  key: string,
  streamId: string,
  point: PointInTime,
  { engine, readWaitMs }: RequestContext,
): Promise<PastRow<Row> | undefined> {
  const { timeTravel, tail } = engine;
  // Under what no text column can hold there is nothing.
  if (!isColumnText(key)) return undefined;
  const position = await timeTravel.positionOf(streamId, point);
  if (position === undefined || position === 0) return undefined;
  // Nobody was given such a position; and nothing would ever come to it.
  if (position > tail.head && position > (await tail.refresh())) return undefined;
  const view = engine.view(projection);
  if (!(await view.follower.reach(position, readWaitMs))) {
    throw fault('STALE_READ', 'What you ask for is not known up to then yet: ask again, or for an earlier point.');
  }
  const now = await view.readCommitted(key);
  if ((now?.position ?? 0) < position && (await view.isParked(key))) throw parked();
  const known = now === undefined ? [] : projection.streamsOf(now);
  const row = await timeTravel.rowAsOf(projection, key, [streamId, ...known], position).catch(throwAsFault);
  return row === undefined ? undefined : { ...row, asOf: row.position };
}

/** What looking into the past may break on, as clients are told it. */
export function throwAsFault(error: unknown): never {
  if (error instanceof Overloaded) throw fault('OVERLOADED', error.message);
  throw error;
}

/** The row that an id of the past names; undefined where no such id was given. @throws what `readAsOf` throws */
export async function readAgain<Row extends ProjectedRow>(
  projection: Projection<Row>,
  key: string,
  streamId: string,
  asOf: number,
  context: RequestContext,
): Promise<PastRow<Row> | undefined> {
  const row = await readAsOf(projection, key, streamId, { position: asOf }, context);
  return row?.asOf === asOf ? row : undefined;
}
