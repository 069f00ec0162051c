import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { CannotAsk } from '../endpoint.ts';
import { Fault, type GraphQLClient, parseAnswer } from '../graphql-client.ts';

const REBUILD = 'status processed total differences differentKeys error startedAt finishedAt';
const PROJECTIONS = `{ projections { name rebuild { ${REBUILD} } } }`;
const mutationOf = (field: string, type: string) =>
  `mutation ($input: ${type}!) { answer: ${field}(input: $input) { __typename ... on Rejection { message }
    ... on IllegalState { state } ... on ProjectionPayload { projection { name rebuild { ${REBUILD} } } } } }`;
const BEGIN = mutationOf('rebuildProjection', 'RebuildProjectionInput');
const CANCEL = mutationOf('cancelRebuild', 'CancelRebuildInput');

const rebuild = z.object({
  status: z.enum(['RUNNING', 'COMPARING', 'SWAPPED', 'CANCELLED', 'FAILED']),
  /** In events, like `total`. */
  processed: z.number(),
  total: z.number(),
  differences: z.number().nullable(),
  differentKeys: z.array(z.string()),
  error: z.string().nullable(),
  startedAt: z.coerce.date(),
  finishedAt: z.coerce.date().nullable(),
});
export type ToldRebuild = z.output<typeof rebuild>;
const projection = z.object({ name: z.string(), rebuild: rebuild.nullable() });
const projectionsAnswer = z.object({ projections: z.array(projection) });
const answer = z.object({
  answer: z.object({
    __typename: z.string(),
    message: z.string().optional(),
    state: z.string().optional(),
    projection: projection.optional(),
  }),
});

/** What can be asked of a server about rebuilds. */
export class RebuildApi {
  readonly #client: GraphQLClient;

  constructor(client: GraphQLClient) {
    this.#client = client;
  }

  /** Begins a rebuild. @returns false if one is under way already @throws {CannotAsk} there is no such projection @throws {Fault} */
  async begin(name: string): Promise<boolean> {
    const { __typename, message, state } = await this.#send(BEGIN, name);
    if (__typename === 'ProjectionPayload' || __typename === 'CommandAccepted') return true;
    if (state === 'RUNNING' || state === 'COMPARING') return false;
    throw await this.#refusal(__typename, message);
  }

  /** @throws {CannotAsk} there is nothing to cancel @throws {Fault} */
  async cancel(name: string): Promise<void> {
    const { __typename, message } = await this.#send(CANCEL, name);
    if (__typename === 'ProjectionPayload' || __typename === 'CommandAccepted') return;
    throw await this.#refusal(__typename, message);
  }

  /** The rebuild of a projection that was begun last. */
  async read(name: string): Promise<ToldRebuild | undefined> {
    return (await this.#projections()).find((it) => it.name === name)?.rebuild ?? undefined;
  }

  async #send(mutation: string, name: string) {
    // The same commandId however often it is sent: it is done once.
    const input = { name, commandId: randomUUID() };
    return (await this.#client.send(mutation, { input }, (data) => parseAnswer(answer, data))).answer;
  }

  async #projections() {
    return (await this.#client.send(PROJECTIONS, {}, (data) => parseAnswer(projectionsAnswer, data))).projections;
  }

  async #refusal(typename: string, message = `The server answers with ${typename}.`): Promise<CannotAsk | Fault> {
    if (typename === 'Forbidden') return new Fault('FORBIDDEN', message);
    if (typename !== 'NotFound') return new CannotAsk(message);
    const names = (await this.#projections()).map(({ name }) => name);
    return new CannotAsk(`${message} There are ${names.join(', ')}.`);
  }
}
