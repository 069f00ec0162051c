import type { Settings } from '../../config.ts';
import { CheckpointFile } from '../../platform/checkpoint-file.ts';

/**
 * The store is another now than the one that this machine knew, because an operator restored it: servers are not to hold it
 * against the one before.
 * @returns what is said of that, in lines
 */
export async function letGoOfCheckpoint(settings: Settings): Promise<string[]> {
  const file = new CheckpointFile(settings.DATA_DIR, settings.DATABASE_URL);
  const kept = await file.read().catch(() => undefined);
  if (kept === undefined) return [];
  await file.write(undefined);
  return [
    `${file.name} kept a checkpoint of the store that was here before. It is let go; npx cartstream verify --checkpoint tells ` +
      'whether what was restored still holds it:',
    kept,
  ];
}
