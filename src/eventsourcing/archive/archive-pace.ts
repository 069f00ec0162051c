/** How much is archived in one batch: so long at most others wait for it. */
export interface ArchivePace {
  readonly events: number;
  /** Rows of the archive that are written anew. */
  readonly segments: number;
  readonly commands: number;
  /** How much of the log is looked through at a time for streams that have ended, in positions. */
  readonly stretch: number;
}

/** For a server, which does other things meanwhile. */
export const LARGE_BATCHES: ArchivePace = { events: 2_000, segments: 128, commands: 1_000, stretch: 20_000 };
/** For an embedded store, which does one thing after the other. */
export const SMALL_BATCHES: ArchivePace = { events: 300, segments: 24, commands: 200, stretch: 4_000 };
