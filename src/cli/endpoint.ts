import { z } from 'zod';
import { readAddress } from '../config.ts';
import { addressIn } from '../platform/folder-address.ts';
import type { Fault } from './graphql-client.ts';

/** A command that works through the API cannot begin, or go on. The message is for people: what is wrong, and what to do. */
export class CannotAsk extends Error {
  override readonly name = 'CannotAsk';
}

/** The address of a GraphQL endpoint. */
export const endpointUrl = z
  .url({ protocol: /^https?$/, abort: true, error: 'must be an address like http://127.0.0.1:4000/graphql' })
  .refine((it) => new URL(it).username === '', 'must not have a name and password in it: use --token');

/** The options of a command that works through the API. */
export const endpointOptions = {
  url: endpointUrl.prefault(() => defaultUrl(readAddress())),
  token: z
    .string()
    .regex(/^[\w.-]+$/, 'must be a token, as npx cartstream token prints it')
    .optional(),
};

/** All addresses of a machine: a server listens there, but nobody can be called so. */
const WILDCARD = /^[0.:]+$/;

type Address = ReturnType<typeof readAddress>;

/** Whoever has the embedded store open is asked, wherever it listens: another server has another store. */
function defaultUrl(address: Address): string {
  const { DATABASE_URL: url, DATA_DIR: folder } = address;
  return (url === undefined ? addressIn(folder) : undefined) ?? urlOf(address);
}

/** Where a server of this machine with the same settings answers. @throws {CannotAsk} it listens on any port that is free */
export function urlOf({ HOST: host, PORT: port }: Pick<Address, 'HOST' | 'PORT'>): string {
  if (port === 0)
    throw new CannotAsk('PORT is 0, which is any port that is free: name the address of the API with --url.');
  const reachable = WILDCARD.test(host) ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
  return `http://${reachable}:${port}/graphql`;
}

/** What to do where no usable answer comes. */
export function adviceFor({ code, message, passing }: Fault, url: string): string {
  if (code === 'UNAUTHENTICATED') return `${url} refuses the token: ${message} (npx cartstream token makes one.)`;
  if (code === 'FORBIDDEN')
    return `${url} says that this is for staff: name a token with --token. (npx cartstream token --role staff makes one.)`;
  if (!passing) return `${url} does not answer like a GraphQL API: ${message} The path is usually /graphql.`;
  return `Nobody answers at ${url} (${code}): start the server with npx cartstream serve, or name another address with --url.`;
}
