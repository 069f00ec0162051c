/** What GraphiQL opens with: operations that work as they are on the demo catalog, in the order of a first visit. */
export const FIRST_OPERATIONS = `# Welcome to cartstream. Put the cursor into an
# operation, and press the play button or Ctrl-Enter.

# 1. What is there to buy?
query Products {
  products(first: 5, filter: { search: "lantern", activeOnly: true }, orderBy: PRICE_ASC) {
    totalCount
    nodes { sku name price { amountMinor currency } available }
  }
}

# 2. Begin a cart. We choose its UUID; the answer's id
#    is what it is called from then on.
mutation NewCart {
  createCart(input: { newCartId: "11111111-1111-4111-8111-111111111111" }) {
    ... on CartPayload { cart { id version } receipt { status position } }
    ... on Rejection { code message }
  }
}

# 3. Watch the cart live. Let it run here, and do 4
#    in another tab.
subscription LiveCart {
  cartChanged(id: "Q2FydDoxMTExMTExMS0xMTExLTQxMTEtODExMS0xMTExMTExMTExMTE") {
    position
    events { type version recordedAt ... on ItemAddedToCart { payload { sku quantity } } }
    cart { itemCount lines { name quantity lineTotal { amountMinor } } total { amountMinor currency } }
  }
}

# 4. Put something into it.
mutation AddItem {
  addItemToCart(input: { cartId: "Q2FydDoxMTExMTExMS0xMTExLTQxMTEtODExMS0xMTExMTExMTExMTE", sku: "71053", quantity: 2 }) {
    ... on CartPayload { cart { version total { amountMinor currency } } receipt { status position } }
    ... on Rejection { code message }
  }
}

# 5. Read it back.
query Cart {
  cart(id: "Q2FydDoxMTExMTExMS0xMTExLTQxMTEtODExMS0xMTExMTExMTExMTE") {
    version status itemCount
    lines { sku name quantity unitPrice { amountMinor } lineTotal { amountMinor } product { available } }
    total { amountMinor currency }
  }
}
`;
