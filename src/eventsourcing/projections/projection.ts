import type { RecordedEvent } from '../log/event.ts';
import type { ReadTable } from './read-table.ts';

export interface ProjectedRow {
  /** That of the newest event that is in the row. */
  readonly position: number;
}

/** The name of what follows the log for a projection: of its checkpoint and its dead letters. */
export function followerOf(projection: string): string {
  return `projection:${projection}`;
}

/** A fold of events into a read table. Pure: the same code serves the live table, a rebuild, and a view of the past. */
export interface Projection<Row extends ProjectedRow = ProjectedRow> {
  readonly name: string;
  /** Raised when the fold or the table changes: the rows of another version are served until they are rebuilt. */
  readonly version: number;
  readonly table: ReadTable<Row>;
  /** Types of the events that may change a row; all others are passed over. */
  readonly eventTypes: readonly string[];
  /** Which row an event changes. */
  keyOf(event: RecordedEvent): string;
  /** @returns the row after the event; undefined if there is none still */
  evolveRow(row: Row | undefined, event: RecordedEvent): Row | undefined;
  /** The streams that make a row: where the events since a position are looked for. */
  streamsOf(row: Row): readonly string[];
  /**
   * Whether the newest event of a stream says all that the stream adds to a row, whatever came before it: so a row of the
   * past is folded from that one event, however long the stream is.
   */
  isSaidByNewest?(streamId: string): boolean;
}
