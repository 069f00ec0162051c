import { z } from 'zod';
import type { Settings } from '../../config.ts';
import { ArchiveLists } from '../../eventsourcing/archive/archive-lists.ts';
import { StoredEvents } from '../../eventsourcing/log/stored-events.ts';
import { FINDING_KINDS } from '../../eventsourcing/seals/findings.ts';
import { type Checkpoint, checkpointToken } from '../../eventsourcing/seals/log-seal.ts';
import { LogVerifier, type VerifiedStep } from '../../eventsourcing/seals/log-verifier.ts';
import { SealKeys } from '../../eventsourcing/seals/seal-keys.ts';
import { SealStore } from '../../eventsourcing/seals/seal-store.ts';
import { decodeWalk, encodeWalk, type Walk } from '../../eventsourcing/seals/walk.ts';
import { FolderInUse } from '../../platform/folder-lock.ts';
import { createLogger } from '../../platform/logger.ts';
import { CannotAsk } from '../endpoint.ts';
import { Fault, GraphQLClient, parseAnswer } from '../graphql-client.ts';
import { openAsItIs } from '../store.ts';
import { expectStore } from '../store-to-read.ts';

/** One step of a verification after the other, wherever it is done. */
export interface VerificationSteps {
  step(walk: Walk | undefined, checkpoints: readonly Checkpoint[]): Promise<VerifiedStep>;
  close(): Promise<void>;
}

interface Server {
  readonly url: string;
  readonly token?: string | undefined;
}

/**
 * On the store itself; an embedded one that a server has open is walked by that server.
 * @param server its address, and the token of an admin
 */
export async function openSteps(settings: Settings, server: () => Server): Promise<VerificationSteps> {
  try {
    return await onStore(settings);
  } catch (error) {
    if (error instanceof FolderInUse) return throughServer(server());
    throw error;
  }
}

async function onStore(settings: Settings): Promise<VerificationSteps> {
  const { DATABASE_URL: url, DATA_DIR: folder } = settings;
  if (url === undefined) expectStore(folder);
  const { database, masterKey, otherMasterKeys } = await openAsItIs(settings, createLogger(settings.LOG_LEVEL));
  const { derived } = database;
  const keys = new SealKeys(masterKey, otherMasterKeys);
  const [store, events, lists] = [new SealStore(derived), new StoredEvents(derived), new ArchiveLists(derived)];
  const verifier = new LogVerifier({ store, events, lists, keys });
  return { step: (walk, checkpoints) => verifier.step(walk, checkpoints), close: () => database.close() };
}

const VERIFY = `query Verify($after: String, $checkpoints: [String!]) {
  step: verifyLog(after: $after, checkpoints: $checkpoints) { cursor findings { kind position message } } }`;
const finding = z.object({ kind: z.enum(FINDING_KINDS), position: z.number(), message: z.string() });
const stepAnswer = z.object({ step: z.object({ cursor: z.string(), findings: z.array(finding) }) });

function throughServer({ url, token }: Server): VerificationSteps {
  const client = new GraphQLClient(url, token, () => {});
  return {
    async step(walk, checkpoints) {
      const variables = { after: walk && encodeWalk(walk), checkpoints: checkpoints.map(checkpointToken) };
      const { step } = await client.send(VERIFY, variables, (data) => parseAnswer(stepAnswer, data));
      const next = decodeWalk(step.cursor);
      if (next === undefined) throw new Fault('UNKNOWN', 'The server is of another version.');
      return { walk: next, findings: step.findings };
    },
    close: async () => {},
  };
}

/** What to do where the server that has the store open does not answer. */
export function adviceForAdmin({ code, message, passing }: Fault, url: string): CannotAsk {
  if (code === 'FORBIDDEN' || code === 'UNAUTHENTICATED')
    return new CannotAsk(
      `A server has this store open, and ${url} lets only admins walk its log: name a token with --token. (npx cartstream token --role admin makes one.)`,
    );
  const why = passing ? `nobody answers at ${url}` : `${url} answers: ${message}`;
  return new CannotAsk(
    `A server has this store open, and has to be asked, but ${why} (${code}). Name its address with --url, or stop it.`,
  );
}
