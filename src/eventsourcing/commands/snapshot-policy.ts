import { z } from 'zod';
import { PersistentMap } from './persistent-map.ts';

/**
 * That states of an aggregate are kept, so that a long stream need not be folded from its beginning. What is kept is a
 * shortcut to what the log says, and nothing else: it is used only if it is whole, and of this very state and events.
 */
export interface SnapshotPolicy<State = unknown> {
  /** After so many events another one is taken; later, where the state is so large that reading it would gain nothing. */
  readonly every: number;
  /**
   * Raised whenever `evolve` makes another state of the same events. Another schema, another event or another version of
   * one is recognised without it.
   */
  readonly version: number;
  /**
   * The state, with how it is written as JSON: see `mapOf`. Give it strict objects: what it does not name would be lost.
   * Personal members are marked on the side that is stored.
   */
  readonly state: z.ZodType<State>;
}

/** A map by text as the list of its entries, in the same order. */
export function mapOf<Value>(value: z.ZodType<Value>) {
  return z.codec(
    z.array(z.tuple([z.string(), value])),
    z.custom<ReadonlyMap<string, Value>>((it) => it instanceof Map),
    {
      decode: (entries): ReadonlyMap<string, Value> => new Map(entries),
      encode: (map) => [...map],
    },
  );
}

/** A set of texts as a list, in the same order. */
export function setOfTexts() {
  return z.codec(
    z.array(z.string()),
    z.custom<ReadonlySet<string>>((it) => it instanceof Set),
    {
      decode: (texts): ReadonlySet<string> => new Set(texts),
      encode: (set) => [...set],
    },
  );
}

/** A persistent map as the list of its entries. */
export function persistentMapOf<Value>(value: z.ZodType<Value>) {
  return z.codec(
    z.array(z.tuple([z.string(), value])),
    z.custom<PersistentMap<Value>>((it) => it instanceof PersistentMap),
    {
      decode: (entries) => PersistentMap.from(entries),
      encode: (map) => [...map].map(([key, it]): [string, Value] => [key, it]),
    },
  );
}

/** An instant as text. */
export function instantText() {
  return z.codec(z.iso.datetime(), z.date(), {
    decode: (text) => new Date(text),
    encode: (instant) => instant.toISOString(),
  });
}
