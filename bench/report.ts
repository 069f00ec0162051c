import { mkdirSync, writeFileSync } from 'node:fs';
import { arch, cpus, platform } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { packageFile } from '../src/platform/package-root.ts';
import type { Measurement } from './harness/measuring.ts';
import type { EngineUnderTest } from './harness/store.ts';

/** Of the ratio of our figure to the reference's. */
export type Goal = { atLeast: number } | { atMost: number };
export type Outcome = 'reached' | 'missed' | 'failed';

export interface RowInput {
  name: string;
  engine: EngineUnderTest;
  unit: string;
  /** What the reference is. */
  against: string;
  goal: Goal;
  ours: number | undefined;
  reference: number | undefined;
  /** Why the row counts for nothing, whatever its figures. */
  failure?: string | undefined;
  details?: Record<string, unknown> | undefined;
}

interface Row extends Omit<RowInput, 'engine'> {
  engine: string;
  durable: boolean;
  ratio: number | undefined;
  outcome: Outcome;
}

export class Report {
  readonly #rows: Row[] = [];
  readonly #notes: string[] = [];

  add(input: RowInput): void {
    const { engine, ours, reference, ...rest } = input;
    const ratio = ours === undefined || reference === undefined ? undefined : ours / reference;
    const failure = input.failure ?? (ratio === undefined ? 'a figure is missing' : undefined);
    const row: Row = {
      ...rest,
      engine: engine.name,
      durable: engine.durable,
      ours,
      reference,
      ratio,
      failure,
      outcome: failure !== undefined ? 'failed' : isReached(input.goal, ratio) ? 'reached' : 'missed',
    };
    this.#rows.push(row);
    progress(`  ${row.name} on ${row.engine}: ${row.outcome}${failure === undefined ? '' : `: ${summary(failure)}`}`);
  }

  /** For rows that could not be measured at all. */
  fail(engine: EngineUnderTest, names: readonly string[], failure: string): void {
    const nothing = { unit: '', against: '', goal: { atLeast: 0 }, ours: undefined, reference: undefined };
    for (const name of names) this.add({ ...nothing, name, engine, failure });
  }

  /** What a reader of the table should know. */
  note(text: string): void {
    this.#notes.push(text);
    progress(text);
  }

  get hasFailed(): boolean {
    return this.#rows.some((row) => row.outcome === 'failed');
  }

  print(): void {
    const head = ['row', 'engine', 'survives power loss', 'unit', 'ours', 'reference', 'ratio', 'goal', 'outcome'];
    const lines = this.#rows.map((row) => [
      row.name,
      row.engine,
      row.durable ? 'yes' : 'no',
      row.unit,
      figure(row.ours),
      figure(row.reference),
      figure(row.ratio),
      'atLeast' in row.goal ? `>= ${row.goal.atLeast}` : `<= ${row.goal.atMost}`,
      row.outcome,
    ]);
    const widths = head.map((title, column) => Math.max(title.length, ...lines.map((l) => l[column]?.length ?? 0)));
    const text = (cells: string[]) => cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ');
    console.log(`\n${text(head)}\n${widths.map((width) => '-'.repeat(width)).join('  ')}`);
    for (const line of lines) console.log(text(line));
    const failures = new Map<string, string[]>();
    for (const { name, engine, failure } of this.#rows) {
      if (failure === undefined) continue;
      const why = summary(failure);
      failures.set(why, [...(failures.get(why) ?? []), `${name} on ${engine}`]);
    }
    for (const [why, rows] of failures) console.log(`\nFailed: ${rows.join(', ')}: ${why}`);
    for (const note of this.#notes) console.log(`\n${note}`);
  }

  /** @returns the file's path */
  write(run: Record<string, unknown>): string {
    const folder = packageFile('bench', 'results');
    mkdirSync(folder, { recursive: true });
    const path = join(folder, 'latest.json');
    const machine = { cpus: cpus().length, model: cpus()[0]?.model, platform: platform(), arch: arch() };
    const content = { ...run, machine, node: process.version, notes: this.#notes, rows: this.#rows };
    writeFileSync(path, `${JSON.stringify(content, null, 2)}\n`);
    return path;
  }
}

function isReached(goal: Goal, ratio: number | undefined): boolean {
  if (ratio === undefined) return false;
  return 'atLeast' in goal ? ratio >= goal.atLeast : ratio <= goal.atMost;
}

function figure(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return '-';
  if (value >= 1000) return Math.round(value).toLocaleString('en');
  return value.toFixed(value < 10 ? 2 : 1);
}

/** The line that says most; the rest is in the JSON. */
function summary(text: string): string {
  const lines = text.split('\n');
  return lines.findLast((line) => /^\w*Error\b/.test(line)) ?? lines[0] ?? '';
}

/** Where the run is; on stderr, for the table is what the run prints. */
export function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Why a series cannot count, or nothing. */
export function failureOf(...series: (Measurement | undefined)[]): string | undefined {
  for (const one of series) {
    if (one !== undefined && one.errors > 0) return `${one.errors} errors, such as: ${one.samples.join(' | ')}`;
  }
  return undefined;
}
