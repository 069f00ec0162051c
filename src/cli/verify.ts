import process from 'node:process';
import { z } from 'zod';
import { readSettings, type Settings } from '../config.ts';
import type { Finding } from '../eventsourcing/seals/findings.ts';
import { type Checkpoint, parseCheckpoint } from '../eventsourcing/seals/log-seal.ts';
import type { Walk } from '../eventsourcing/seals/walk.ts';
import { BrokenCheckpointFile, CheckpointFile } from '../platform/checkpoint-file.ts';
import { CannotAsk, endpointOptions } from './endpoint.ts';
import { Fault } from './graphql-client.ts';
import { optionProblems } from './option-problems.ts';
import { type Progress, showProgress } from './replay/progress.ts';
import { brokenText, type HeldAgainst, LISTED, wholeText } from './verify/report.ts';
import { adviceForAdmin, openSteps, type VerificationSteps } from './verify/steps.ts';

const verifyOptions = z.object({ checkpoint: z.string().optional(), accept: z.boolean().default(false) });
/** Looked at only where a server has to be asked. */
const serverOptions = z.object(endpointOptions);

/**
 * `cartstream verify`: walks the whole log, compares it with its seals, and says what was changed first. The exit code is 1
 * if anything was. The store is only read.
 * @param given the options as they were typed
 * @throws {CannotAsk}
 */
export async function verify(given: unknown): Promise<void> {
  const { checkpoint, accept } = read(verifyOptions, given);
  const settings = readSettings();
  const file = new CheckpointFile(settings.DATA_DIR, settings.DATABASE_URL);
  const heldAgainst = [...(accept ? [] : await keptIn(file)), ...typed(checkpoint)];
  const { walk, findings } = await walked(settings, given, heldAgainst);
  // A log whose seals were all lost, and that is accepted nonetheless, can only be sealed anew.
  const isSealable = accept && findings.every(({ kind }) => kind === 'UNSEALED');
  if (findings.length > 0 && !isSealable) {
    process.stdout.write(brokenText(walk, findings, heldAgainst));
    if (accept) process.stdout.write(`${file.name} stays as it is.\n`);
    process.exit(1);
  }
  process.stdout.write(wholeText(walk, heldAgainst, new Date()));
  if (accept) {
    await file.writeAnew(walk.checkpoint ?? undefined);
    process.stdout.write(`${file.name} says so from now on: servers of this machine go on sealing from here.\n`);
  }
  // The schema engine keeps a timer that would hold the process for seconds.
  process.exit();
}

async function keptIn(file: CheckpointFile): Promise<HeldAgainst[]> {
  const token = await file.read();
  if (token === undefined) return [];
  const checkpoint = parseCheckpoint(token);
  if (checkpoint === undefined) throw new BrokenCheckpointFile(`${file.name} does not hold a checkpoint any more.`);
  return [{ checkpoint, source: `${file.name} keeps it` }];
}

function typed(token: string | undefined): HeldAgainst[] {
  if (token === undefined) return [];
  const checkpoint = parseCheckpoint(token.trim());
  if (checkpoint !== undefined) return [{ checkpoint, source: 'the checkpoint that was given' }];
  throw new CannotAsk('--checkpoint must be a checkpoint as npx cartstream verify prints it: cp1.…');
}

function read<Options>(schema: z.ZodType<Options>, given: unknown): Options {
  const options = schema.safeParse(given);
  if (options.success) return options.data;
  throw new CannotAsk(optionProblems(options.error));
}

async function walked(settings: Settings, given: unknown, heldAgainst: readonly HeldAgainst[]) {
  const steps = await openSteps(settings, () => read(serverOptions, given));
  try {
    const checkpoints = heldAgainst.map(({ checkpoint }) => checkpoint);
    return await walk(steps, checkpoints);
  } catch (error) {
    throw error instanceof Fault ? adviceForAdmin(error, read(serverOptions, given).url) : error;
  } finally {
    await steps.close();
  }
}

async function walk(steps: VerificationSteps, checkpoints: readonly Checkpoint[]) {
  const findings: Finding[] = [];
  let bar: Progress | undefined;
  try {
    for (let at: Walk | undefined; ; ) {
      const step = await steps.step(at, checkpoints);
      findings.push(...step.findings.slice(0, LISTED - findings.length));
      at = step.walk;
      bar ??= showProgress('Verifying', at.total, ['events'], true);
      bar.reach(at.position, { events: at.position });
      if (at.isDone) return { walk: at, findings };
    }
  } finally {
    bar?.end();
  }
}
