/** Where "now" comes from, so that tests decide what time it is. */
export interface Clock {
  now(): Date;
  /** Calls back once that instant has come, or has perhaps come: whoever waits looks at `now`. @returns calls it off */
  wakeAt(instant: Date, wake: () => void): () => void;
}

/** A clock may jump: nobody waits for longer without looking again. */
const LONGEST_WAIT_MS = 60_000;

export const systemClock: Clock = {
  now: () => new Date(),
  wakeAt(instant, wake) {
    const timer = setTimeout(wake, Math.min(Math.max(instant.getTime() - Date.now(), 0), LONGEST_WAIT_MS));
    return () => clearTimeout(timer);
  },
};
