import type { EngineUnderTest } from './harness/store.ts';
import type { Report } from './report.ts';

/** What a run was asked for, and where its rows go. */
export interface Context {
  engines: EngineUnderTest[];
  report: Report;
  times: Times;
  wants(...names: string[]): boolean;
}

export interface Times {
  warmUpMs: number;
  roundMs: number;
  rounds: number;
  fanOutMs: number;
  /** Events in the long log. */
  longLog: number;
  /** Events in the long stream. */
  longStream: number;
}

export const FULL: Times = {
  warmUpMs: 1500,
  roundMs: 2000,
  rounds: 3,
  fanOutMs: 6000,
  longLog: 1_000_000,
  longStream: 100_000,
};
export const QUICK: Times = {
  warmUpMs: 700,
  roundMs: 1500,
  rounds: 1,
  fanOutMs: 3000,
  longLog: 100_000,
  longStream: 20_000,
};

export const CONNECTIONS = 64;
export const APPENDS_IN_FLIGHT = 64;
export const COMMANDS_IN_FLIGHT = 64;
