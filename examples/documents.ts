import { graphql } from '../generated/index.ts';

/*
 * The operations of all examples. `npm run codegen` types them. Each is spread out of fragments, so that every answer
 * and every live payload brings the same fields of a cart: what a cache holds of it is then always whole.
 */

export const CartView = graphql(`
  fragment CartView on Cart {
    id
    version
    itemCount
    lines { id sku name quantity lineTotal { amountMinor currency } }
    total { amountMinor currency }
  }
`);

export const ReceiptView = graphql(`
  fragment ReceiptView on CommandReceipt { commandId status position version replayed }
`);

export const ShopWindow = graphql(`
  query ShopWindow {
    products(first: 3, filter: { activeOnly: true }) { nodes { id sku name } }
  }
`);

export const ShowCart = graphql(`
  query ShowCart($id: ID!, $minPosition: Position) {
    cart(id: $id, minPosition: $minPosition) { ...CartView }
  }
`);

export const BeginCart = graphql(`
  mutation BeginCart($input: CreateCartInput) {
    createCart(input: $input) {
      __typename
      ... on CartPayload { cart { ...CartView } receipt { ...ReceiptView } }
      ... on CommandAccepted { receipt { ...ReceiptView } }
      ... on Rejection { code message }
    }
  }
`);

export const PutIntoCart = graphql(`
  mutation PutIntoCart($input: AddItemToCartInput!) {
    addItemToCart(input: $input) {
      __typename
      ... on CartPayload { cart { ...CartView } receipt { ...ReceiptView } }
      ... on CommandAccepted { receipt { ...ReceiptView } }
      ... on Rejection { code message }
    }
  }
`);

export const SetQuantity = graphql(`
  mutation SetQuantity($input: ChangeItemQuantityInput!) {
    changeItemQuantity(input: $input) {
      __typename
      ... on CartPayload { cart { ...CartView } receipt { ...ReceiptView } }
      ... on CommandAccepted { receipt { ...ReceiptView } }
      ... on VersionConflict { expectedVersion actualVersion eventsSince { __typename version } }
      ... on Rejection { code message }
    }
  }
`);

export const WatchCart = graphql(`
  subscription WatchCart($id: ID!, $after: Position) {
    cartChanged(id: $id, after: $after) {
      position
      events {
        __typename
        version
        ... on ItemAddedToCart { payload { sku quantity } }
        ... on ItemQuantityChanged { payload { sku quantity } }
      }
      cart { ...CartView }
    }
  }
`);
