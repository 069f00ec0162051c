import type { Plugin } from 'graphql-yoga';

/** Ends a subscription whose answer the client does not accept: Yoga answers 406 and would leave it running for ever. */
export function useUnheardResults(): Plugin {
  return {
    onResultProcess({ result, resultProcessor }) {
      if (resultProcessor !== undefined || !(Symbol.asyncIterator in Object(result))) return undefined;
      const unheard = result as AsyncIterable<unknown>;
      return Promise.resolve(unheard[Symbol.asyncIterator]().return?.()).then(() => {});
    },
  };
}
