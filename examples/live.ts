/**
 * To copy into a frontend: live views that survive lost sockets and deploys, for every client library that speaks
 * through graphql-ws. Needs nothing else.
 */
import {
  type Client,
  type ClientOptions,
  createClient,
  type FormattedExecutionResult,
  type Sink,
  type SubscribePayload,
} from 'graphql-ws';

const PING_EVERY_MS = 10_000;
const PONG_WITHIN_MS = 5_000;
const LONGEST_RETRY_WAIT_MS = 30_000;

/** A graphql-ws client that always comes back. What its own defaults would do instead is said beside each option. */
export function connectLive(options: ClientOptions): Client {
  const client = createClient({
    // Five attempts: gone for good after a tunnel or a long deploy.
    retryAttempts: Number.POSITIVE_INFINITY,
    // Only closed sockets: not those that could not be opened, as while a server starts.
    shouldRetry: () => true,
    // Twice as long each time, without end.
    retryWait: (retries) => sleep(Math.min(500 * 2 ** retries, LONGEST_RETRY_WAIT_MS) * (0.5 + Math.random() / 2)),
    // None: a network that changed silently is noticed after minutes, or never.
    keepAlive: PING_EVERY_MS,
    ...options,
  });
  let patience: ReturnType<typeof setTimeout> | undefined;
  const calm = () => clearTimeout(patience);
  client.on('ping', (isFromServer) => {
    if (!isFromServer) patience = setTimeout(() => client.terminate(), PONG_WITHIN_MS);
  });
  client.on('pong', calm);
  client.on('closed', calm);
  return client;
}

/**
 * Live views that go on where they were, without missing or repeating an event. On a new socket graphql-ws sends the
 * same payload object again: so the `position` of each result is put into it as `variables.after`.
 *
 * The operation must have the variable `$after: Position`, hand it to its field, and select `position`. For `subscribe`
 * alone: results that wait inside `iterate` would count as seen, or come twice.
 */
export function resuming(client: Client): Pick<Client, 'subscribe'> {
  return {
    subscribe<Data, Extensions>(payload: SubscribePayload, sink: Sink<FormattedExecutionResult<Data, Extensions>>) {
      // A copy: the libraries find their subscriptions again by the variables that they were begun with.
      const variables = { ...payload.variables };
      return client.subscribe<Data, Extensions>(
        { ...payload, variables },
        {
          next(result) {
            const position = positionOf(result.data);
            if (position !== undefined) variables['after'] = position;
            sink.next(result);
          },
          error: (error) => sink.error(error),
          complete: () => sink.complete(),
        },
      );
    },
  };
}

/** The position in a result, under whatever name its field was asked for. */
function positionOf(data: unknown): string | undefined {
  for (const change of Object.values(data ?? {})) {
    if (typeof change?.position === 'string') return change.position;
  }
  return undefined;
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
