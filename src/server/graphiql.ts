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

# 6. Let a change be done in the background.
mutation AddInBackground {
  addItemToCart(
    input: { cartId: "Q2FydDoxMTExMTExMS0xMTExLTQxMTEtODExMS0xMTExMTExMTExMTE", sku: "71053", quantity: 1 }
    schedule: {}
  ) {
    ... on CommandAccepted { receipt { commandId status } }
    ... on Rejection { code message }
  }
}

# 7. See what was done, what processes do, and what
#    waits for an operator.
query Operations {
  commands(first: 5) { nodes { name status attempts events { type } } }
  processes(first: 5) { nodes { process status steps { name status at } } }
  deadLetters(first: 5) { totalCount nodes { source subject error waitingBehind } }
}

# 8. Check out: the cart becomes an order, under an id of
#    our choice. What is in it is reserved from now on.
mutation CheckOut {
  checkOutCart(input: {
    cartId: "Q2FydDoxMTExMTExMS0xMTExLTQxMTEtODExMS0xMTExMTExMTExMTE"
    newOrderId: "22222222-2222-4222-8222-222222222222"
    email: "ada@example.com"
    shippingAddress: { name: "Ada Lovelace", street: "12 St James's Square", city: "London", postalCode: "SW1Y 4JH", country: "United Kingdom" }
  }) {
    ... on OrderPayload { order { id number status total { amountMinor currency } paymentDeadline } }
    ... on InsufficientStock { sku requested available }
    ... on Rejection { code message }
  }
}

# 9. Watch the order live, in another tab, all the way to
#    DELIVERED.
subscription LiveOrder {
  orderChanged(id: "T3JkZXI6MjIyMjIyMjItMjIyMi00MjIyLTgyMjItMjIyMjIyMjIyMjIy") {
    position
    events { type recordedAt }
    order { number status statusReason payments { status failureReason } shipments { status carrier trackingCode } }
  }
}

# 10. Pay. tok_ok is a card of the simulated provider that
#     works; try tok_decline first, or tok_action.
mutation Pay {
  payOrder(input: { orderId: "T3JkZXI6MjIyMjIyMjItMjIyMi00MjIyLTgyMjItMjIyMjIyMjIyMjIy", paymentToken: "tok_ok" }) {
    ... on OrderPayload { order { status payments { status amount { amountMinor currency } nextAction { url } } } }
    ... on PaymentDeclined { reason }
    ... on Rejection { code message }
  }
}

# 11. What happened, step by step, and what the customer
#     was told.
query Order {
  order(id: "T3JkZXI6MjIyMjIyMjItMjIyMi00MjIyLTgyMjItMjIyMjIyMjIyMjIy") {
    number status personalData email
    process { status steps { name status at detail } }
  }
  notifications(first: 10, orderId: "T3JkZXI6MjIyMjIyMjItMjIyMi00MjIyLTgyMjItMjIyMjIyMjIyMjIy") { nodes { subject status to sentAt } }
}

# 12. Nothing is ever lost. Change another cart five times.
mutation FiveChanges {
  begin: createCart(input: { newCartId: "33333333-3333-4333-8333-333333333333" }) { ...Now ...No }
  first: addItemToCart(input: { cartId: "Q2FydDozMzMzMzMzMy0zMzMzLTQzMzMtODMzMy0zMzMzMzMzMzMzMzM", sku: "71053", quantity: 2 }) { ...Now ...No }
  second: addItemToCart(input: { cartId: "Q2FydDozMzMzMzMzMy0zMzMzLTQzMzMtODMzMy0zMzMzMzMzMzMzMzM", sku: "16237", quantity: 1 }) { ...Now ...No }
  third: changeItemQuantity(input: { cartId: "Q2FydDozMzMzMzMzMy0zMzMzLTQzMzMtODMzMy0zMzMzMzMzMzMzMzM", sku: "71053", quantity: 5 }) { ...Now ...No }
  fourth: removeItemFromCart(input: { cartId: "Q2FydDozMzMzMzMzMy0zMzMzLTQzMzMtODMzMy0zMzMzMzMzMzMzMzM", sku: "16237" }) { ...Now ...No }
  fifth: applyCoupon(input: { cartId: "Q2FydDozMzMzMzMzMy0zMzMzLTQzMzMtODMzMy0zMzMzMzMzMzMzMzM", code: "WELCOME10" }) { ...Now ...No }
}
fragment Now on CartPayload { cart { version itemCount total { amountMinor currency } } }
fragment No on Rejection { code message }

# 13. Look at it as of version 2: it has an id of its own.
query CartThen {
  cartAsOf(id: "Q2FydDozMzMzMzMzMy0zMzMzLTQzMzMtODMzMy0zMzMzMzMzMzMzMzM", asOf: { version: 2 }) {
    id version updatedAt
    lines { sku quantity unitPrice { amountMinor } }
    total { amountMinor currency }
  }
}

# 14. What has changed since?
query Diff {
  diff(aggregateType: "cart", aggregateId: "Q2FydDozMzMzMzMzMy0zMzMzLTQzMzMtODMzMy0zMzMzMzMzMzMzMzM", from: { version: 2 }) { path from to }
}

# 15. Back to version 3, under a commandId of our choice;
#     undoCartChange would take back the last change only.
mutation Restore {
  restoreCart(input: { commandId: "44444444-4444-4444-8444-444444444444", cartId: "Q2FydDozMzMzMzMzMy0zMzMzLTQzMzMtODMzMy0zMzMzMzMzMzMzMzM", toVersion: 3 }) {
    ... on CartPayload { cart { version lines { sku quantity } discounts { code } } receipt { position } }
    ... on Rejection { code message }
  }
}

# 16. What happened last, and which command was the cause?
query LastEvent {
  events(last: 1, filter: { aggregateType: "cart", aggregateId: "Q2FydDozMzMzMzMzMy0zMzMzLTQzMzMtODMzMy0zMzMzMzMzMzMzMzM" }) {
    nodes { type version recordedAt actor { kind } commandId data }
  }
  causation(commandId: "44444444-4444-4444-8444-444444444444") {
    root { command { name input actor { kind } } }
    steps { depth command { name status } event { type version } }
  }
}
`;
