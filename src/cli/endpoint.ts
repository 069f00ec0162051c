import { z } from 'zod';
import type { Fault } from './graphql-client.ts';

/** A command that works through the API cannot begin, or go on. The message is for people: what is wrong, and what to do. */
export class CannotAsk extends Error {
  override readonly name = 'CannotAsk';
}

/** The options of a command that works through the API. */
export const endpointOptions = {
  url: z
    .url({ protocol: /^https?$/, abort: true, error: 'must be an address like http://127.0.0.1:4000/graphql' })
    .refine((it) => new URL(it).username === '', 'must not have a name and password in it: use --token'),
  token: z
    .string()
    .regex(/^[\w.-]+$/, 'must be a token, as npx cartstream token prints it')
    .optional(),
};

/** What is wrong with options, each by its name. */
export function optionProblems({ issues }: z.ZodError): string {
  return issues.map(({ path, message }) => `--${path.join('.')} ${message}.`).join('\n');
}

/** What to do where no usable answer comes. */
export function adviceFor({ code, message, passing }: Fault, url: string): string {
  if (code === 'UNAUTHENTICATED') return `${url} refuses the token: ${message} (npx cartstream token makes one.)`;
  if (code === 'FORBIDDEN')
    return `${url} says that this is for staff: name a token with --token. (npx cartstream token --role staff makes one.)`;
  if (!passing) return `${url} does not answer like a GraphQL API: ${message} The path is usually /graphql.`;
  return `Nobody answers at ${url} (${code}): start the server with npx cartstream serve, or name another address with --url.`;
}
