import type { RecordedEvent } from '../log/event.ts';
import { Watcher } from './watcher.ts';

/** What a subscriber is given: the row as it stands, and the events since what it was given before. */
export interface LiveChange<Row> {
  readonly row: Row;
  /** Resume from here: every event of this row up to it was handed out. */
  readonly position: number;
  readonly events: readonly RecordedEvent[];
}

/** One watcher of one row. */
export class LiveSubscription<Row> extends Watcher<LiveChange<Row>> {
  readonly #read: (from: number | undefined, isFirst: boolean) => Promise<LiveChange<Row>> | undefined;
  #from: number | undefined;
  #isFirst = true;

  /**
   * @param read the change since a position, if there is one; for the first payload there always is
   * @param leave called once, when nobody listens any more
   */
  constructor(
    read: (from: number | undefined, isFirst: boolean) => Promise<LiveChange<Row>> | undefined,
    leave: () => void,
  ) {
    super(leave);
    this.#read = read;
  }

  /** Sets the position that the first payload's events come after. */
  begin(after: number | undefined): void {
    this.#from = after;
  }

  /** What it is given next is as if it were the first payload: the row as it stands, though there may be no event. */
  showAgain(): void {
    this.#isFirst = true;
    this.wake();
  }

  protected override take(): Promise<LiveChange<Row>> | undefined {
    return this.#read(this.#from, this.#isFirst)?.then((change) => {
      this.#isFirst = false;
      this.#from = change.position;
      return change;
    });
  }
}
