import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { print } from 'graphql';
import type { WatchCartSubscription } from '../../generated/graphql.ts';
import { BeginCart, PutIntoCart, SetQuantity, ShopWindow, ShowCart, WatchCart } from '../documents.ts';
import { connectLive, resuming } from '../live.ts';
import { type CartChange, type CreateShop, dataOf, webSocketUrl } from '../shop.ts';

/** The API without a client library: fetch and graphql-ws. */
export const createPlainShop: CreateShop = (url, webSocketImpl) => {
  const socket = connectLive({ url: webSocketUrl(url), webSocketImpl });
  const live = resuming(socket);

  async function send<Data, Variables>(document: TypedDocumentNode<Data, Variables>, variables: Variables) {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: print(document), variables }),
    });
    const result: { data?: Data | null; errors?: { message: string }[] } = await response.json();
    return dataOf(result);
  }

  function watch(id: string, next: (change: CartChange) => void, fail: (error: Error) => void): void {
    live.subscribe<WatchCartSubscription>(
      { query: print(WatchCart), variables: { id } },
      {
        next({ data, errors = [] }) {
          if (data) next(data.cartChanged);
          else fail(new Error(errors.map(({ message }) => message).join(' ')));
        },
        // The operation is not valid, or the socket was closed with a code that no retry would mend.
        error: (error) => fail(error instanceof Error ? error : new Error(JSON.stringify(error))),
        complete: () => {},
      },
    );
  }

  return {
    products: async () => (await send(ShopWindow, {})).products.nodes.map(({ sku }) => sku),
    begin: async (input) => (await send(BeginCart, { input })).createCart,
    put: async (input) => (await send(PutIntoCart, { input })).addItemToCart,
    setQuantity: async (input) => (await send(SetQuantity, { input })).changeItemQuantity,
    read: async (id, minPosition) => (await send(ShowCart, { id, minPosition })).cart,
    show: (id, next) => watch(id, ({ cart }) => next(cart), console.error),
    watch,
    close: async () => socket.dispose(),
  };
};
