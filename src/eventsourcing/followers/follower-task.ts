import type { RecordedEvent } from '../log/event.ts';
import type { CheckpointMove } from './checkpoints.ts';

/** What a follower does with the events that it follows. */
export interface FollowerTask {
  /** Of its checkpoint and its dead letters: `projection:cart.carts`. */
  readonly name: string;
  /** Raised when what it makes of events changes: what another version made is replaced by what this one makes. */
  readonly version: number;
  concerns(event: RecordedEvent): boolean;
  /** What must stay in order: behind an event that is parked, later ones of its lane are parked too. */
  laneOf(event: RecordedEvent): string;
  /**
   * Handles events and moves the checkpoint, together.
   * @returns what is to be done once the position has moved; undefined where the checkpoint is another node's, and
   *   nothing was done
   */
  handle(events: readonly RecordedEvent[], move: CheckpointMove): Promise<(() => void) | undefined>;
  /** Another node has handled these. */
  observe(events: readonly RecordedEvent[]): void;
  /** What is known of what was handled may be outdated. */
  forget(): void;
  /** Events of these lanes were parked. */
  parked(lanes: readonly string[]): void;
  /** What is there was made by an older version. The owner sees to it that it is replaced; meanwhile it goes on with it. */
  outdated(owner: string): Promise<void>;
  /** All that was made was replaced: nothing that is known of it holds any more. */
  replaced(): void;
}
