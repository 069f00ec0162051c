import process from 'node:process';
import { z } from 'zod';
import { InvalidSettings, readSettings } from '../config.ts';
import { BackupReader } from '../eventsourcing/backup/backup-format.ts';
import { restoreBackup } from '../eventsourcing/backup/restore.ts';
import type { WentBack } from '../eventsourcing/backup/until.ts';
import { openDatabase } from '../platform/database.ts';
import { createLogger } from '../platform/logger.ts';
import { counted } from './counted.ts';
import { knownOfProgram } from './known-of-program.ts';
import { optionProblems } from './option-problems.ts';
import { codecOver, forgottenFor, saidOf } from './refilled-store.ts';
import { type Progress, showProgress } from './replay/progress.ts';
import { letGoOfCheckpoint } from './verify/let-go.ts';

const POSITION = /^(?:([0-9a-f]+)\.)?(\d{1,16})$/;

const restoreOptions = z.object({
  forgotten: z.string().min(1).optional(),
  until: z
    .string()
    .transform((text, context) => {
      const [, epoch, position] = POSITION.exec(text) ?? [];
      if (Number.isSafeInteger(Number(position))) return { position: Number(position), epoch };
      const at = new Date(text);
      if (/^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:?\d\d)$/.test(text) && !Number.isNaN(at.getTime())) return { at };
      context.addIssue('must be a position, or an instant like 2026-11-23T10:00:00Z');
      return z.NEVER;
    })
    .optional(),
});

/**
 * `cartstream restore`: fills an empty store with what a backup holds. It is paused then, until `cartstream resume`.
 * @param given the options as they were typed
 */
export async function restore(path: string, given: unknown): Promise<void> {
  const options = restoreOptions.safeParse(given);
  if (!options.success) throw new InvalidSettings(optionProblems(options.error));
  const settings = readSettings();
  const logger = createLogger(settings.LOG_LEVEL);
  // Before a folder is made for what cannot be restored.
  await (await BackupReader.open(path)).close();
  const list = forgottenFor(options.data.forgotten, settings);
  const { DATABASE_URL: url, DATA_DIR: folder } = settings;
  const database = await openDatabase(url === undefined ? { engine: 'pglite', folder } : { engine: 'postgresql', url });
  const bars = new Map<string, Progress>();
  const begun = performance.now();
  try {
    const restored = await restoreBackup({
      database,
      path,
      forgotten: list?.forgotten ?? [],
      until: options.data.until,
      known: knownOfProgram(settings),
      prepare: async (client) => void (await codecOver(client, settings, logger)),
      onProgress(step, { done, total }) {
        const bar = bars.get(step) ?? showProgress(step === 'checking' ? 'Checking' : 'Restoring', total, [], true);
        bars.set(step, bar);
        bar.reach(done, {});
        if (done >= total) bar.end();
      },
    });
    for (const bar of bars.values()) bar.end();
    const { header, position, epoch, forgottenAgain } = restored;
    const seconds = ((performance.now() - begun) / 1_000).toFixed(1);
    const lines = [
      `The store is as it was at position ${position}, from a backup of ${header.createdAt}, in ${seconds} s.`,
      `Positions begin with ${epoch} now: clients start their live views anew.`,
      saidOf(list, forgottenAgain),
      ...(restored.foreign.length === 0
        ? []
        : [`Passed over, for they are none of cartstream's: ${restored.foreign.join(', ')}.`]),
      ...(restored.wentBack === undefined ? [] : wentBackText(restored.wentBack)),
      ...(await letGoOfCheckpoint(settings)),
      'What is queued waits, and nothing is sent or charged, until you have looked at it: npx cartstream resume.',
    ];
    process.stdout.write(`${lines.join('\n')}\n`);
  } finally {
    for (const bar of bars.values()) bar.end();
    await database.close();
  }
  process.exit();
}

function wentBackText({ position, from, queued, dead, failed, running, unanswered }: WentBack): string[] {
  const again = [
    queued > 0 &&
      `${counted(queued, 'command')} that had not ended by then ${queued === 1 ? 'is' : 'are'} queued again`,
    dead > 0 && `${dead} of them as dead letters, since what was secret in them is wiped`,
    failed > 0 && `${failed} of them as the dead letters that they were`,
    running > 0 && `${counted(running, 'command')} that a process ends ${running === 1 ? 'is' : 'are'} under way again`,
  ].filter((it) => it !== false);
  return [
    `${counted(from - position, 'event')} after position ${position} ${from - position === 1 ? 'is' : 'are'} left out. Read tables are made anew when a server starts.`,
    ...(again.length === 0 ? [] : [`${again.join('; ')}.`]),
    ...(unanswered.count === 0 ? [] : [unansweredText(unanswered)]),
  ];
}

function unansweredText({ count, first }: WentBack['unanswered']): string {
  const others = count > first.length ? `, and ${count - first.length} more` : '';
  return `Submitted by then and run afterwards, so left out: ${first.join(', ')}${others}. Their senders may send them again.`;
}
