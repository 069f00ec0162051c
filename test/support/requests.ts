import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { print } from 'graphql';

export interface GraphQLAnswer<Data> {
  readonly data?: Data | null;
  readonly errors?: readonly { message: string; extensions?: { code?: string }; path?: (string | number)[] }[];
}

/** Sends an operation over HTTP POST, as a plain client does. */
export async function send<Data, Variables>(
  url: string,
  document: TypedDocumentNode<Data, Variables> | string,
  variables?: Variables,
  headers: Readonly<Record<string, string>> = {},
): Promise<GraphQLAnswer<Data>> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query: typeof document === 'string' ? document : print(document), variables }),
  });
  return (await response.json()) as GraphQLAnswer<Data>;
}
