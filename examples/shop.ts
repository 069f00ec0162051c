import type {
  AddItemToCartInput,
  BeginCartMutation,
  CartViewFragment,
  ChangeItemQuantityInput,
  CreateCartInput,
  PutIntoCartMutation,
  SetQuantityMutation,
  WatchCartSubscription,
} from '../generated/graphql.ts';

export type CartChange = WatchCartSubscription['cartChanged'];

/** What the story does with the API. Each client library has its own way for each. */
export interface Shop {
  /** @returns skus */
  products(): Promise<readonly string[]>;
  begin(input: CreateCartInput): Promise<BeginCartMutation['createCart']>;
  put(input: AddItemToCartInput): Promise<PutIntoCartMutation['addItemToCart']>;
  setQuantity(input: ChangeItemQuantityInput): Promise<SetQuantityMutation['changeItemQuantity']>;
  /** @param minPosition the answer is at least as new */
  read(cartId: string, minPosition: string | null): Promise<CartViewFragment | null>;
  /** What a page would show of the cart, again and again as it changes. */
  show(cartId: string, next: (cart: CartViewFragment) => void): void;
  /** The live view: each change once. */
  watch(cartId: string, next: (change: CartChange) => void, fail: (error: Error) => void): void;
  /** Ends all views and connections. */
  close(): Promise<void>;
}

/** @param webSocketImpl what graphql-ws makes its sockets of; in a browser it finds one by itself */
export type CreateShop = (url: string, webSocketImpl: unknown) => Shop;

export function webSocketUrl(url: string): string {
  return url.replace(/^http/, 'ws');
}

/** A result's data. @throws what the server says is wrong */
export function dataOf<Data>(result: {
  readonly data?: Data | null | undefined;
  readonly error?: Error | undefined;
  readonly errors?: readonly { readonly message: string }[] | undefined;
}): Data {
  if (result.error !== undefined) throw result.error;
  if (result.data === undefined || result.data === null) {
    throw new Error(result.errors?.map(({ message }) => message).join(' ') ?? 'The server answered nothing.');
  }
  return result.data;
}
