import { type ApolloCache, ApolloClient, ApolloLink, HttpLink, InMemoryCache } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { OperationTypeNode } from 'graphql';
import type { CartViewFragment, ChangeItemQuantityInput } from '../../generated/graphql.ts';
import { possibleTypes } from '../../generated/possible-types.ts';
import { BeginCart, CartView, PutIntoCart, SetQuantity, ShopWindow, ShowCart, WatchCart } from '../documents.ts';
import { connectLive, resuming } from '../live.ts';
import { type CreateShop, dataOf, webSocketUrl } from '../shop.ts';

/** The API through Apollo Client: the live view writes into the normalised cache, and every query of the cart follows. */
export const createApolloShop: CreateShop = (url, webSocketImpl) => {
  const socket = connectLive({ url: webSocketUrl(url), webSocketImpl });

  const client = new ApolloClient({
    link: ApolloLink.split(
      ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
      new GraphQLWsLink({ ...socket, ...resuming(socket) }),
      new HttpLink({ uri: url }),
    ),
    // Everything with an identity has a global `id`: there are no keyFields to set.
    cache: new InMemoryCache({ possibleTypes }),
  });

  /** Puts a command's cart into the cache unless it shows a newer one: the live view may have been faster. */
  function keepNewest(cache: ApolloCache, answer: Answer | undefined): void {
    if (answer?.cart === undefined) return;
    const from = { __typename: 'Cart', id: answer.cart.id };
    const shown = cache.readFragment({ fragment: CartView, from });
    if (shown !== null && shown.version >= answer.cart.version) return;
    cache.writeFragment({ fragment: CartView, from, data: answer.cart });
  }

  return {
    async products() {
      const { products } = dataOf(await client.query({ query: ShopWindow }));
      return products.nodes.map(({ sku }) => sku);
    },
    async begin(input) {
      const result = await client.mutate({
        mutation: BeginCart,
        variables: { input },
        fetchPolicy: 'no-cache',
        update: (cache, { data }) => keepNewest(cache, data?.createCart),
      });
      return dataOf(result).createCart;
    },
    async put(input) {
      const result = await client.mutate({
        mutation: PutIntoCart,
        variables: { input },
        fetchPolicy: 'no-cache',
        update: (cache, { data }) => keepNewest(cache, data?.addItemToCart),
      });
      return dataOf(result).addItemToCart;
    },
    async setQuantity(input) {
      const result = await client.mutate({
        mutation: SetQuantity,
        variables: { input },
        fetchPolicy: 'no-cache',
        update: (cache, { data }) => keepNewest(cache, data?.changeItemQuantity),
        optimisticResponse: (_variables, { IGNORE }) => {
          const cart = client.cache.readFragment({
            fragment: CartView,
            from: { __typename: 'Cart', id: input.cartId },
          });
          return cart === null ? IGNORE : { changeItemQuantity: hope(cart, input) };
        },
      });
      return dataOf(result).changeItemQuantity;
    },
    async read(id, minPosition) {
      return dataOf(await client.query({ query: ShowCart, variables: { id, minPosition } })).cart;
    },
    show(id, next) {
      client.watchQuery({ query: ShowCart, variables: { id } }).subscribe(({ data, dataState }) => {
        if (dataState === 'complete' && data.cart !== null) next(data.cart);
      });
    },
    watch(id, next, fail) {
      client.subscribe({ query: WatchCart, variables: { id } }).subscribe({
        next: (result) => (result.error ? fail(result.error) : next(dataOf(result).cartChanged)),
        error: fail,
      });
    },
    async close() {
      client.stop();
      await socket.dispose();
    },
  };
};

/** What a mutation answers: a cart if the command was done. */
interface Answer {
  readonly __typename: string;
  readonly cart?: CartViewFragment;
}

/** What is shown until the server answers; if it refuses, Apollo takes it back. Sums are left to the server. */
function hope(cart: CartViewFragment, { sku, quantity, expectedVersion }: ChangeItemQuantityInput) {
  const version = (expectedVersion ?? cart.version) + 1;
  const lines = cart.lines.map((line) => (line.sku === sku ? { ...line, quantity } : line));
  const itemCount = lines.reduce((sum, line) => sum + line.quantity, 0);
  const receipt = { commandId: '', status: 'RUNNING', position: null, version, replayed: false } as const;
  return { __typename: 'CartPayload', cart: { ...cart, version, lines, itemCount }, receipt } as const;
}
