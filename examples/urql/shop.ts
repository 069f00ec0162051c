import { Client, cacheExchange, fetchExchange, subscriptionExchange } from '@urql/core';
import type { Sink } from 'graphql-ws';
import { BeginCart, PutIntoCart, SetQuantity, ShopWindow, ShowCart, WatchCart } from '../documents.ts';
import { connectLive, resuming } from '../live.ts';
import { type CreateShop, dataOf, webSocketUrl } from '../shop.ts';

/** The API through urql: its cache is by document, so a live view has the queries of the cart ask again. */
export const createUrqlShop: CreateShop = (url, webSocketImpl) => {
  const socket = connectLive({ url: webSocketUrl(url), webSocketImpl });
  const live = resuming(socket);

  const client = new Client({
    url,
    exchanges: [
      cacheExchange,
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: ({ query = '', variables }) => ({
          // graphql-ws and urql type the same result differently.
          subscribe: (sink) => ({ unsubscribe: live.subscribe({ query, variables }, sink as Sink) }),
        }),
      }),
    ],
  });
  const views: { unsubscribe(): void }[] = [];

  return {
    async products() {
      return dataOf(await client.query(ShopWindow, {})).products.nodes.map(({ sku }) => sku);
    },
    async begin(input) {
      return dataOf(await client.mutation(BeginCart, { input })).createCart;
    },
    async put(input) {
      return dataOf(await client.mutation(PutIntoCart, { input })).addItemToCart;
    },
    async setQuantity(input) {
      return dataOf(await client.mutation(SetQuantity, { input })).changeItemQuantity;
    },
    async read(id, minPosition) {
      return dataOf(await client.query(ShowCart, { id, minPosition })).cart;
    },
    show(id, next) {
      views.push(
        client.query(ShowCart, { id }).subscribe(({ data }) => {
          if (data?.cart) next(data.cart);
        }),
      );
    },
    watch(id, next, fail) {
      // What this view brings makes cached queries with a Cart in them ask again.
      const context = { additionalTypenames: ['Cart'] };
      views.push(
        client.subscription(WatchCart, { id }, context).subscribe((result) => {
          if (result.error) fail(result.error);
          else next(dataOf(result).cartChanged);
        }),
      );
    },
    async close() {
      for (const view of views) view.unsubscribe();
      await socket.dispose();
    },
  };
};
