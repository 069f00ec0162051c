import { z } from 'zod';
import { InvalidSettings } from '../config.ts';
import { StoreInUse } from '../eventsourcing/backup/empty-store.ts';
import { BadFile } from '../eventsourcing/backup/line-file.ts';
import { WrongMasterKey } from '../eventsourcing/keys/key-ring.ts';
import { CannotRotate } from '../eventsourcing/keys/key-rotation.ts';
import { BrokenCheckpointFile } from '../platform/checkpoint-file.ts';
import { isDatabaseAway, refusalOf } from '../platform/failures.ts';
import { FolderInUse } from '../platform/folder-lock.ts';
import { NoMasterKey } from '../platform/master-key.ts';
import { NotOurs } from '../platform/migrations.ts';
import { SimulatorPortTaken } from '../simulators/simulator.ts';
import { CannotAsk } from './endpoint.ts';

const SPEAK_FOR_THEMSELVES = [
  InvalidSettings,
  FolderInUse,
  NoMasterKey,
  WrongMasterKey,
  CannotRotate,
  BrokenCheckpointFile,
  SimulatorPortTaken,
  CannotAsk,
  BadFile,
  StoreInUse,
  NotOurs,
];

/** What a user can do something about, in a line for them; undefined for what is broken in here. */
export function problemOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if (SPEAK_FOR_THEMSELVES.some((kind) => error instanceof kind)) return error.message;
  const { syscall, path } = systemError.parse(error);
  if (syscall === 'listen' || syscall === 'getaddrinfo') {
    return `The server cannot listen: ${error.message}. Set PORT and HOST to an address of this machine that is free.`;
  }
  if (path !== undefined) return `${error.message}. Set DATA_DIR to a folder that this user may write.`;
  const [, place = 'its address'] = /server at ([^`\s]+)/.exec(error.message) ?? [];
  const refusal = refusalOf(error) ?? (isDatabaseAway(error) ? `no server answers at ${place}` : undefined);
  return refusal && `The database of DATABASE_URL cannot be used: ${refusal}.`;
}

const systemError = z.object({
  syscall: z.string().optional().catch(undefined),
  path: z.string().optional().catch(undefined),
});
