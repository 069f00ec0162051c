import { withoutMailAddresses } from '../platform/redaction.ts';

const MAX_LENGTH = 10_000;
/** What Prisma says before the database's own words. */
const PREAMBLE = /^\s*Invalid `prisma\.[^`]*` invocation:\s*/;

/**
 * What a dead letter tells of an error. `error` is for operators, `stack` stays on the server. Mail servers quote the
 * addresses that they refuse: those stay out.
 */
export function failureText(cause: unknown): { error: string; stack: string } {
  const { message, stack = '' } = cause instanceof Error ? cause : new Error(String(cause));
  return { error: told(message.replace(PREAMBLE, '')), stack: told(stack) };
}

/** An error's words may be a user's, who sent what the database refuses. */
export function storable(text: string): string {
  return text.replaceAll('\u0000', '\ufffd').toWellFormed().slice(0, MAX_LENGTH);
}

function told(text: string): string {
  return withoutMailAddresses(storable(text));
}
