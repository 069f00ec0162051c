import { z } from 'zod';
import { adviceFor, CannotAsk } from '../endpoint.ts';
import { Fault, type GraphQLClient, parseAnswer } from '../graphql-client.ts';

const FIELDS = 'events streams commands processed total isDone';
const ARCHIVE = `mutation ($input: ArchiveInput!) { archive(input: $input) { ${FIELDS} } }`;
const ARCHIVE_AND_COUNT = `mutation ($input: ArchiveInput!) { archive(input: $input) { ${FIELDS} commandsLeft } }`;

const answer = z.object({
  archive: z.object({
    events: z.number(),
    streams: z.number(),
    commands: z.number(),
    processed: z.number(),
    total: z.number(),
    isDone: z.boolean(),
    commandsLeft: z.number().default(0),
  }),
});

/** What was done in one batch. */
export type ToldBatch = z.output<typeof answer>['archive'];

/** Has a server archive, batch by batch. */
export class ArchiveApi {
  readonly #client: GraphQLClient;
  readonly #url: string;

  constructor(client: GraphQLClient, url: string) {
    this.#client = client;
    this.#url = url;
  }

  /**
   * A batch sent twice is two batches: what got lost is simply sent again.
   * @param isCounting whether the commands that are left are counted, too
   * @throws {CannotAsk}
   */
  async next(before: Date, isCounting: boolean): Promise<ToldBatch> {
    try {
      const query = isCounting ? ARCHIVE_AND_COUNT : ARCHIVE;
      return (await this.#client.send(query, { input: { before } }, (data) => parseAnswer(answer, data))).archive;
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      if (error.code !== 'FORBIDDEN') throw new CannotAsk(adviceFor(error, this.#url));
      throw new CannotAsk(
        `${this.#url} says that this is for an admin: name a token with --token. (npx cartstream token --role admin makes one.)`,
      );
    }
  }
}
