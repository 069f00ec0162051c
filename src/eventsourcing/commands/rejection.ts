import { z } from 'zod';
import type { Json } from '../json.ts';

/** A business "no": expected, typed by its code, and an answer like any other. Further members are its details. */
export interface Rejection {
  readonly code: string;
  readonly message: string;
  readonly [detail: string]: Json;
}

/** A rejection as it comes back from where it was stored. */
export const storedRejection = z.custom<Rejection>(
  (value) => z.object({ code: z.string(), message: z.string() }).safeParse(value).success,
);

export interface FieldProblem {
  readonly path: readonly string[];
  readonly message: string;
}

export const notFound = (what: string, id: string) => ({
  code: 'NOT_FOUND' as const,
  message: `There is no ${what} ${id}.`,
  id,
});

export const illegalState = (state: string, message: string) => ({ code: 'ILLEGAL_STATE' as const, message, state });

export const forbidden = (message: string) => ({ code: 'FORBIDDEN' as const, message });

export const validationFailed = (fields: readonly FieldProblem[]) => ({
  code: 'VALIDATION_FAILED' as const,
  message: `The input is not valid: ${fields.map((it) => `${it.path.join('.') || 'input'} ${it.message}`).join('; ')}.`,
  fields: fields.map(({ path, message }) => ({ path: [...path], message })),
});

/** @param isFinal it was queued: nobody waited who could have mended it, and so this is its outcome */
export const versionConflict = (expectedVersion: number, actualVersion: number, isFinal = false) => ({
  code: 'VERSION_CONFLICT' as const,
  message: `Version ${expectedVersion} was expected, but the version is ${actualVersion}. ${
    isFinal
      ? 'Look at what happened since, and send a new command.'
      : 'Look at eventsSince, and send the command again with the version that you have seen.'
  }`,
  expectedVersion,
  actualVersion,
});

export const commandNotDone = (status: string) => ({
  code: 'COMMAND_NOT_DONE' as const,
  message: `${NOT_DONE[status] ?? 'It was not done.'} Send it as a new command, with another commandId, if it is still wanted.`,
  status,
});

const NOT_DONE: Readonly<Record<string, string>> = {
  FAILED: 'Something broke while it was done, and it is left to an operator.',
  TIMED_OUT: 'Its deadline passed before it was done, and it never will be.',
  CANCELLED: 'It was cancelled before it was done, and never will be.',
};

export const commandIdReused = (commandId: string) => ({
  code: 'COMMAND_ID_REUSED' as const,
  message: `The commandId ${commandId} was used before, for another command, input or actor. Send a new one.`,
  commandId,
});

/** After these the same commandId may be sent again with mended input: they are not kept as the command's outcome. */
const UNSTORED = new Set(['VALIDATION_FAILED', 'VERSION_CONFLICT', 'FORBIDDEN', 'COMMAND_ID_REUSED']);

export function isStored(rejection: Rejection): boolean {
  return !UNSTORED.has(rejection.code);
}
