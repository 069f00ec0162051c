/** How much is done in one go, before others have their turn. */
export interface RebuildPace {
  /** Of the log that is read at a time, in events. */
  readonly stretch: number;
  /** So many changed rows are written at once; or what changed in so many events. */
  readonly rows: number;
  readonly events: number;
  /** Rows that are compared at a time. */
  readonly compared: number;
  /** Rows that are kept at hand. */
  readonly kept: number;
  /** Whether the next stretch is read while this one is folded. */
  readonly readsAhead: boolean;
  /** Whether the database plans queries by statistics, which the new table needs then. */
  readonly isAnalysed: boolean;
}

/** For a server, which does other things meanwhile. */
export const LARGE_STEPS: RebuildPace = {
  stretch: 4_000,
  rows: 2_000,
  events: 20_000,
  compared: 2_000,
  kept: 10_000,
  readsAhead: true,
  isAnalysed: true,
};
/** For an embedded store, which does one thing after the other: nobody waits longer than for one of these. */
export const SMALL_STEPS: RebuildPace = {
  stretch: 500,
  rows: 500,
  events: 5_000,
  compared: 500,
  kept: 10_000,
  readsAhead: false,
  isAnalysed: false,
};
