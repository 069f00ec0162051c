import { randomUUID } from 'node:crypto';
import type { DatabaseSettings } from '../../src/platform/database.ts';
import { type AppendedKind, openEngine } from '../engine.ts';
import { closedLoop } from '../harness/measuring.ts';
import { answer } from '../harness/remote.ts';
import { openEmmett } from '../references/emmett.ts';
import { openRawInsert } from '../references/raw-insert.ts';

// A process that appends to one store, in one way.

export interface Appender {
  /** One event to a new stream. */
  append(): Promise<void>;
  close(): Promise<void>;
}

export type AppendKind = 'emmett' | 'raw-insert' | 'engine' | 'engine-unsealed' | 'engine-plain' | 'engine-personal';
export type AppendMethods = typeof methods;

const APPENDED: Partial<Record<AppendKind, AppendedKind>> = {
  engine: 'item',
  'engine-unsealed': 'item',
  'engine-plain': 'plain',
  'engine-personal': 'personal',
};

let appender: Appender | undefined;

const methods = {
  async open({ kind, settings }: { kind: AppendKind; settings: DatabaseSettings }) {
    appender = await open(kind, settings);
  },
  async measure({ inFlight, durationMs }: { inFlight: number; durationMs: number }) {
    const { append } = appender ?? fail();
    return closedLoop(append, { inFlight, durationMs });
  },
  async close() {
    await appender?.close();
    appender = undefined;
  },
};

async function open(kind: AppendKind, settings: DatabaseSettings): Promise<Appender> {
  if (kind === 'raw-insert') return openRawInsert(settings);
  const appended = APPENDED[kind];
  if (appended !== undefined) {
    const engine = await openEngine(settings, kind !== 'engine-unsealed');
    return { append: () => engine.append(randomUUID(), appended), close: () => engine.close() };
  }
  if (settings.engine === 'postgresql') return openEmmett(settings.url);
  throw new Error('emmett-postgresql needs a PostgreSQL server');
}

function fail(): never {
  throw new Error('nothing is open');
}

answer(methods);
