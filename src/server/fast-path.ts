import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { type DocumentNode, type ExecutionResult, getOperationAST } from 'graphql';
import type { YogaServerInstance } from 'graphql-yoga';
import type { RequestContext } from '../graphql/context.ts';
import { sendText } from './http-body.ts';

export type Yoga = YogaServerInstance<RequestContext, object>;

interface Parameters {
  readonly query: string;
  readonly variables?: Readonly<Record<string, unknown>> | null;
  readonly operationName?: string | null;
}

const PARAMETERS = new Set(['query', 'variables', 'operationName', 'extensions']);

const MEDIA_TYPES = ['application/graphql-response+json', 'application/json'] as const;
type MediaType = (typeof MEDIA_TYPES)[number];
const acceptedTypes = new Map<string, MediaType | undefined>();
const MAX_KNOWN_ACCEPTS = 100;
const STREAMED = /text\/event-stream|multipart\/mixed|text\/\*|multipart\/\*|\*\/\*/i;

/** Whether an answer of any kind would be accepted; if not, nothing should be done. */
export function acceptsAnswer({ accept }: IncomingHttpHeaders): boolean {
  return acceptedType(accept) !== undefined || STREAMED.test(accept ?? '');
}

/** Whether the answer may go on for long: also where anything is accepted, Yoga answers a subscription with SSE. */
export function acceptsStream({ accept = '*/*' }: IncomingHttpHeaders): boolean {
  return STREAMED.test(accept);
}

/**
 * Answers the plain case (JSON in, one query or mutation that is valid, JSON out) through Yoga's own parse, validate and
 * execute, but without its Fetch API objects, which take most of the time of a small operation.
 *
 * Whatever is not plain is left to Yoga, before anything was executed: so there is one place that knows how wrong
 * requests are answered.
 * @returns false where Yoga must answer
 */
export async function answerPlain(
  yoga: Yoga,
  request: IncomingMessage,
  response: ServerResponse,
  body: Buffer,
  context: RequestContext,
): Promise<boolean> {
  const mediaType = acceptedType(request.headers.accept);
  if (mediaType === undefined || !isJson(request.headers['content-type'])) return false;
  const parameters = parseParameters(body);
  if (parameters === undefined) return false;
  const { parse, validate, schema, execute, contextFactory } = yoga.getEnveloped(context);
  const document = parseDocument(parse, parameters.query);
  if (document === undefined) return false;
  const operation = getOperationAST(document, parameters.operationName)?.operation;
  if (operation === undefined || operation === 'subscription') return false;
  const problems: readonly unknown[] = validate(schema, document);
  if (problems.length > 0) return false;
  const result: ExecutionResult | AsyncIterable<unknown> = await execute({
    schema,
    document,
    contextValue: await contextFactory(),
    variableValues: parameters.variables ?? undefined,
    operationName: parameters.operationName ?? undefined,
  });
  // Without data nothing was executed: the variables did not fit.
  if (Symbol.asyncIterator in result || !('data' in result)) return false;
  sendText(response, 200, JSON.stringify(result), mediaType);
  return true;
}

function parseParameters(body: Buffer): Parameters | undefined {
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'));
    return isParameters(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/** By hand, since this is on the way of every request; whatever does not fit is Yoga's to answer. */
function isParameters(it: unknown): it is Parameters {
  if (!isObject(it) || !('query' in it) || typeof it.query !== 'string') return false;
  const { variables = null, operationName = null, extensions = null }: Record<string, unknown> = { ...it };
  return (
    (variables === null || isObject(variables)) &&
    (extensions === null || isObject(extensions)) &&
    (operationName === null || typeof operationName === 'string') &&
    Object.keys(it).every((name) => PARAMETERS.has(name))
  );
}

function isObject(it: unknown): it is object {
  return typeof it === 'object' && it !== null && !Array.isArray(it);
}

function parseDocument(parse: (source: string) => DocumentNode, query: string): DocumentNode | undefined {
  try {
    return parse(query);
  } catch {
    return undefined;
  }
}

function isJson(contentType: string | undefined): boolean {
  return contentType === 'application/json' || contentType === 'application/json; charset=utf-8';
}

/** The media type that Yoga would answer a plain result with: the first that both sides know. */
function acceptedType(accept = '*/*'): MediaType | undefined {
  if (acceptedTypes.has(accept)) return acceptedTypes.get(accept);
  const asked = accept
    .replaceAll(/\s/g, '')
    .toLowerCase()
    .split(',')
    .map((it) => it.split(';'));
  const type = asked
    .filter(([, ...parameters]) => !parameters.some((it) => it.startsWith('charset=') && it !== 'charset=utf-8'))
    .map(([name]) => (name === '*/*' || name === 'application/*' ? 'application/json' : name))
    .find((name): name is MediaType => MEDIA_TYPES.some((it) => it === name));
  if (acceptedTypes.size < MAX_KNOWN_ACCEPTS) acceptedTypes.set(accept, type);
  return type;
}
