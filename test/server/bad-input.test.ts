import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { encodeGlobalId } from '../../src/graphql/global-id.ts';
import { sendRaw } from '../support/raw-http.ts';
import type { GraphQLAnswer } from '../support/requests.ts';
import { type LocalServer, startLocalServer } from '../support/servers.ts';
import { type Input, mutationOf, type Outcome, outcomeOf, Shop, unknownCartId } from '../support/shop.ts';
import { endHandSockets, HandSocket } from '../support/sockets.ts';
import { describeEachStore, type TestStore } from '../support/stores.ts';

afterEach(endHandSockets);

const UNKNOWN_CART = unknownCartId();
const UNKNOWN_EPOCH = '0123456789ab.0000000000000001';
const HUGE = 'x'.repeat(1_000_000);
/** What no answer may hold: places in files, stack frames, SQL, names of what is inside. */
const INSIDE =
  /\bat .+:\d+:\d+|node_modules|\/src\/|file:\/\/|\b(SELECT|INSERT|FROM|WHERE)\b|[Pp]risma|[Pp][Gg]lite|[Pp]ostgres|SQLSTATE/;

/** Texts that a database or an encoding may choke on. */
const NASTY: Readonly<Record<string, string>> = {
  'U+0000': 'a\u0000b',
  'nothing but U+0000': '\u0000',
  'a lone high surrogate': 'a\ud800b',
  'a lone low surrogate': '\udc00',
  'a text of 1 MB': HUGE,
  'an empty text': '',
  'a quote and a semicolon': `'; DROP TABLE events; --`,
  'a path': '../../etc/passwd',
};

const product = { sku: 'NEW', name: 'New', price: { amountMinor: 1, currency: 'GBP' }, stock: 1 };

/** Mutations with something wrong in them, and what they are answered with. */
const WRONG: readonly [string, string, Input, Partial<Outcome>][] = [
  [
    'an unknown cart',
    'addItemToCart',
    { cartId: UNKNOWN_CART, sku: 'A', quantity: 1 },
    { __typename: 'NotFound', id: UNKNOWN_CART },
  ],
  ['an unknown product', 'addItemToCart', { sku: 'NOPE', quantity: 1 }, { __typename: 'NotFound', id: 'NOPE' }],
  [
    'a product whose sku looks like a UUID',
    'addItemToCart',
    { sku: '11111111-1111-4111-8111-111111111111', quantity: 1 },
    { __typename: 'NotFound', id: '11111111-1111-4111-8111-111111111111' },
  ],
  [
    'the id of a product for that of a cart',
    'clearCart',
    { cartId: encodeGlobalId('Product', 'A') },
    invalid('cartId'),
  ],
  ['the id of a cart that is no UUID', 'clearCart', { cartId: encodeGlobalId('Cart', 'nope') }, invalid('cartId')],
  ['a raw id', 'clearCart', { cartId: '11111111-1111-4111-8111-111111111111' }, invalid('cartId')],
  ['no pieces', 'addItemToCart', { sku: 'A', quantity: 0 }, invalid('quantity')],
  ['negative pieces', 'addItemToCart', { sku: 'A', quantity: -1 }, invalid('quantity')],
  [
    'the largest Int of pieces',
    'addItemToCart',
    { sku: 'A', quantity: 2_147_483_647 },
    { __typename: 'LimitExceeded', limit: 10_000 },
  ],
  ['10,001 pieces', 'addItemToCart', { sku: 'A', quantity: 10_001 }, { __typename: 'LimitExceeded', limit: 10_000 }],
  [
    'more than is in stock',
    'addItemToCart',
    { sku: 'SCARCE', quantity: 2 },
    { __typename: 'InsufficientStock', available: 1 },
  ],
  [
    'a product that is not sold any more',
    'addItemToCart',
    { sku: 'GONE', quantity: 1 },
    { __typename: 'IllegalState', state: 'INACTIVE' },
  ],
  [
    'another currency',
    'addItemToCart',
    { sku: 'EUROS', quantity: 1 },
    { __typename: 'CurrencyMismatch', expected: 'GBP', actual: 'EUR' },
  ],
  ['an unknown currency', 'createCart', { currency: 'ZZZ' }, invalid('currency')],
  ['a currency in lower case', 'createCart', { currency: 'gbp' }, invalid('currency')],
  ['a new cart id that is no UUID', 'createCart', { newCartId: 'nope' }, invalid('newCartId')],
  ['a commandId that is no UUID', 'createCart', { commandId: 'nope' }, invalid('commandId')],
  [
    'a commandId with a line break',
    'createCart',
    { commandId: '11111111-1111-4111-8111-111111111111\n' },
    invalid('commandId'),
  ],
  [
    'a commandId that only looks like a UUID',
    'createCart',
    { commandId: 'aa255099-28da-08a8-1505-4f360a0fee3c' },
    invalid('commandId'),
  ],
  ['an empty commandId', 'createCart', { commandId: '' }, invalid('commandId')],
  [
    'an unknown currency in a price',
    'addProduct',
    { ...product, price: { amountMinor: 1, currency: 'ZZZ' } },
    invalid('price', 'currency'),
  ],
  [
    'a negative price',
    'addProduct',
    { ...product, price: { amountMinor: -1, currency: 'GBP' } },
    invalid('price', 'amountMinor'),
  ],
  [
    'a huge price',
    'addProduct',
    { ...product, price: { amountMinor: 2 ** 53 - 1, currency: 'GBP' } },
    invalid('price', 'amountMinor'),
  ],
  ['a negative stock', 'addProduct', { ...product, stock: -1 }, invalid('stock')],
  [
    'a stock that would go below zero',
    'adjustStock',
    { sku: 'SCARCE', delta: -2, reason: 'loss' },
    { __typename: 'InsufficientStock', requested: 2, available: 1 },
  ],
  [
    'a stock beyond an Int',
    'adjustStock',
    { sku: 'SCARCE', delta: 2_147_483_647, reason: 'x' },
    { __typename: 'LimitExceeded' },
  ],
  [
    'the stock of nothing',
    'adjustStock',
    { sku: 'NOPE', delta: 1, reason: 'x' },
    { __typename: 'NotFound', id: 'NOPE' },
  ],
  [
    'a negative expectedVersion',
    'clearCart',
    { expectedVersion: -1 },
    { __typename: 'VersionConflict', expectedVersion: -1 },
  ],
];

/** Queries with something wrong in them, and the code that they are answered with. */
const FAULTS: readonly [string, string, Input, string][] = [
  ['an id of nothing', 'query Q($it: ID!) { node(id: $it) { id } }', { it: 'nope' }, 'BAD_USER_INPUT'],
  [
    'an id of a type that there is not',
    'query Q($it: ID!) { node(id: $it) { id } }',
    { it: encodeGlobalId('Nope', '1') },
    'BAD_USER_INPUT',
  ],
  [
    'an id of a type that is no node',
    'query Q($it: ID!) { node(id: $it) { id } }',
    { it: encodeGlobalId('Money', '1') },
    'BAD_USER_INPUT',
  ],
  [
    "a product's id for a cart's",
    'query Q($it: ID!) { cart(id: $it) { id } }',
    { it: encodeGlobalId('Product', 'A') },
    'BAD_USER_INPUT',
  ],
  [
    '101 ids',
    'query Q($it: [ID!]!) { nodes(ids: $it) { id } }',
    { it: Array.from({ length: 101 }, () => UNKNOWN_CART) },
    'BAD_USER_INPUT',
  ],
  [
    'a position of another store',
    'query Q($it: Position) { product(sku: "A", minPosition: $it) { sku } }',
    { it: UNKNOWN_EPOCH },
    'POSITION_UNKNOWN',
  ],
  [
    'a text for a position',
    'query Q($it: Position) { product(sku: "A", minPosition: $it) { sku } }',
    { it: 'nope' },
    'POSITION_UNKNOWN',
  ],
  [
    'a number for a position',
    'query Q($it: Position) { product(sku: "A", minPosition: $it) { sku } }',
    { it: 5 },
    'BAD_USER_INPUT',
  ],
  [
    'a position of another store for a cart',
    `query Q($it: Position) { cart(id: "${UNKNOWN_CART}", minPosition: $it) { id } }`,
    { it: UNKNOWN_EPOCH },
    'POSITION_UNKNOWN',
  ],
  ['no cursor', 'query Q($it: String) { products(after: $it) { nodes { sku } } }', { it: 'nope' }, 'BAD_USER_INPUT'],
  [
    'a cursor of another order',
    'query Q($it: String) { products(orderBy: PRICE_ASC, before: $it) { nodes { sku } } }',
    { it: cursor('NAME_ASC', 'a', 'A') },
    'BAD_USER_INPUT',
  ],
  [
    'a cursor with U+0000 in its key',
    'query Q($it: String) { products(after: $it) { nodes { sku } } }',
    { it: cursor('NAME_ASC', '\u0000', 'A') },
    'BAD_USER_INPUT',
  ],
  [
    'a cursor with U+0000 in its sku',
    'query Q($it: String) { products(before: $it) { nodes { sku } } }',
    { it: cursor('NAME_ASC', 'a', '\u0000') },
    'BAD_USER_INPUT',
  ],
  [
    'a cursor with a huge price',
    'query Q($it: String) { products(orderBy: PRICE_ASC, after: $it) { nodes { sku } } }',
    { it: cursor('PRICE_ASC', 1e300, 'A') },
    'BAD_USER_INPUT',
  ],
  ['a negative first', 'query Q($it: Int) { products(first: $it) { nodes { sku } } }', { it: -1 }, 'BAD_USER_INPUT'],
  ['a negative last', 'query Q($it: Int) { products(last: $it) { nodes { sku } } }', { it: -1 }, 'BAD_USER_INPUT'],
  [
    'a first beyond an Int',
    'query Q($it: Int) { products(first: $it) { nodes { sku } } }',
    { it: 2 ** 31 },
    'BAD_USER_INPUT',
  ],
  [
    'a search that is too long',
    'query Q($it: String) { products(filter: { search: $it }) { nodes { sku } } }',
    { it: 'x'.repeat(201) },
    'BAD_USER_INPUT',
  ],
  [
    '501 skus',
    'query Q($it: [String!]) { products(filter: { skus: $it }) { nodes { sku } } }',
    { it: Array.from({ length: 501 }, () => 'A') },
    'BAD_USER_INPUT',
  ],
  ['a variable that is missing', 'query Q($it: String!) { product(sku: $it) { sku } }', {}, 'BAD_USER_INPUT'],
  [
    'a price that is no whole number',
    'mutation M($it: SafeInt!) { changeProductPrice(input: { sku: "A", price: { amountMinor: $it, currency: "GBP" } }) { __typename } }',
    { it: 1.5 },
    'BAD_USER_INPUT',
  ],
  [
    'a price beyond 2^53',
    'mutation M($it: SafeInt!) { changeProductPrice(input: { sku: "A", price: { amountMinor: $it, currency: "GBP" } }) { __typename } }',
    { it: 2 ** 53 },
    'BAD_USER_INPUT',
  ],
];

/** Operations that are refused before they run. */
const TOO_MUCH: readonly [string, string][] = [
  ['no GraphQL', 'hello?'],
  ['a field that there is not', '{ nope }'],
  ['a fragment that there is not', '{ ...Nope }'],
  ['a fragment that holds itself', '{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }'],
  ['too many aliases', `{ ${Array.from({ length: 400 }, (_, at) => `a${at}: product(sku: "A") { sku }`).join(' ')} }`],
  [
    'too many lists',
    `{ ${Array.from({ length: 200 }, (_, at) => `a${at}: products(first: 100) { nodes { sku } edges { node { sku } } }`).join(' ')} }`,
  ],
  [
    'too many lists in one of two operations',
    `query A($x: Int!) { ${Array.from({ length: 200 }, (_, at) => `a${at}: products(first: $x) { nodes { sku } edges { node { sku } } }`).join(' ')} } query Q { __typename }`,
  ],
  ['a comment of 100 kB', `{ __typename } # ${'x'.repeat(100_000)}`],
  [
    'the whole schema, again and again',
    `{ ${Array.from({ length: 9 }, (_, at) => `a${at}: __schema { types { name } }`).join(' ')} }`,
  ],
  [
    'many carts with many lines and much of each',
    `{ nodes(ids: []) { ... on Cart { lines { ${Array.from({ length: 90 }, (_, at) => `a${at}: name`).join(' ')} } } } }`,
  ],
  ['too many tokens', `{ ${'__typename '.repeat(5_000)} }`],
  ['a bomb of introspection', `{ __schema { types { ${'fields { type { '.repeat(6)} name ${'} }'.repeat(6)} } } }`],
  [
    'two subscriptions in one',
    `subscription S { a: productChanged(sku: "A") { position } b: productChanged(sku: "A") { position } }`,
  ],
];

describeEachStore('Bad input', (kind) => {
  let store: TestStore;
  let server: LocalServer;
  let shop: Shop;
  let cartId: string;
  beforeAll(async () => {
    store = await kind.create();
    server = await startLocalServer(store);
    shop = new Shop(server.url);
    await shop.addProduct('A');
    await shop.addProduct('SCARCE', { stock: 1 });
    await shop.addProduct('GONE');
    await shop.run('deactivateProduct', { sku: 'GONE' });
    await shop.addProduct('EUROS', { currency: 'EUR' });
    cartId = await shop.newCart();
  });
  afterAll(async () => {
    await server.stop();
    await store.remove();
  });
  afterEach(async () => {
    expect((await shop.product('A'))?.sku).toBe('A');
  });

  describe('in a mutation', () => {
    test.each(WRONG)('%s is a typed rejection', async (_, field, input, expected) => {
      const needsCart = /Cart$|Quantity$/.test(field) && field !== 'createCart';
      const outcome = await shop.run(field, { ...(needsCart && { cartId }), ...input });
      expect(outcome).toMatchObject(expected);
      expect(JSON.stringify(outcome)).not.toMatch(INSIDE);
    });

    const texts: readonly [string, (text: string) => Input][] = [
      ['addItemToCart', (text) => ({ cartId: text, sku: 'A', quantity: 1 })],
      ['addItemToCart', (text) => ({ cartId, sku: text, quantity: 1 })],
      ['addItemToCart', (text) => ({ cartId, sku: 'A', quantity: 1, commandId: text })],
      ['changeItemQuantity', (text) => ({ cartId, sku: text, quantity: 1 })],
      ['removeItemFromCart', (text) => ({ cartId, sku: text })],
      ['createCart', (text) => ({ newCartId: text })],
      ['createCart', (text) => ({ currency: text })],
      ['addProduct', (text) => ({ ...product, sku: text })],
      ['addProduct', (text) => ({ ...product, price: { amountMinor: 1, currency: text } })],
      ['changeProductPrice', (text) => ({ sku: text, price: { amountMinor: 1, currency: 'GBP' } })],
      ['deactivateProduct', (text) => ({ sku: text })],
      ['adjustStock', (text) => ({ sku: text, delta: 1, reason: 'count' })],
    ];

    test.each(Object.keys(NASTY))('%s in any field is a typed rejection', async (name) => {
      for (const [field, input] of texts) {
        const outcome = await shop.run(field, input(NASTY[name] ?? ''));
        const given = JSON.stringify(input('…'));
        expect(['ValidationFailed', 'NotFound'], `${field} ${given}: ${outcome.__typename}`).toContain(
          outcome.__typename,
        );
        expect(JSON.stringify(outcome)).not.toMatch(INSIDE);
      }
    });

    test.each([
      'U+0000',
      'nothing but U+0000',
      'a lone high surrogate',
      'a lone low surrogate',
      'a text of 1 MB',
      'an empty text',
    ])('%s in free text is a typed rejection', async (name) => {
      const text = NASTY[name];
      expect(await shop.run('addProduct', { ...product, name: text })).toMatchObject(invalid('name'));
      expect(await shop.run('adjustStock', { sku: 'A', delta: 1, reason: text })).toMatchObject(invalid('reason'));
      if (text === '') return;
      const described = await shop.run('addProduct', { ...product, description: text });
      expect(described).toMatchObject(invalid('description'));
    });

    test('every field that is wrong is named, by its place in the input', async () => {
      const { fields } = await shop.run('addItemToCart', { cartId: 'nope', sku: '', quantity: -1 });
      expect(fields?.map(({ path }) => path)).toEqual([['cartId'], ['sku'], ['quantity']]);
    });
  });

  test('what JavaScript has names for is a sku like any other', async () => {
    for (const sku of ['__proto__', 'constructor', 'toString']) {
      expect(await shop.product(sku)).toBeNull();
      await shop.addProduct(sku);
      const id = await shop.newCart();
      expect(await shop.addItem(id, sku, 2)).toMatchObject({ cart: { lines: [{ sku, quantity: 2 }] } });
      expect(await shop.addItem(id, sku, 3)).toMatchObject({ cart: { lines: [{ sku, quantity: 5 }] } });
    }
  });

  describe('in a query', () => {
    test.each(FAULTS)('%s is an error with a code', async (_, query, variables, code) => {
      expectFault(await shop.ask(query, variables), code);
    });

    test('a future position is unknown', async () => {
      const position = (await shop.cart(cartId))?.position ?? '';
      const future = `${position.split('.')[0]}.${'9'.repeat(16)}`;
      const query = 'query Q($it: Position) { product(sku: "A", minPosition: $it) { sku } }';
      expectFault(await shop.ask(query, { it: future }), 'POSITION_UNKNOWN');
    });

    test.each(Object.keys(NASTY))('%s is answered: there is nothing by that name', async (name) => {
      const it = NASTY[name];
      const answers = [
        await shop.ask('query Q($it: String!) { product(sku: $it) { sku } }', { it }),
        await shop.ask('query Q($it: ID!) { node(id: $it) { id } }', { it }),
        await shop.ask('query Q($it: ID!) { cart(id: $it) { id } }', { it }),
        await shop.ask('query Q($it: String!) { products(filter: { skus: [$it] }) { nodes { sku } } }', { it }),
        await shop.ask('query Q($it: String) { products(filter: { search: $it }) { totalCount } }', { it }),
        await shop.ask('query Q($it: String) { products(after: $it) { totalCount } }', { it }),
        await shop.ask('query Q($it: Position) { product(sku: "A", minPosition: $it) { sku } }', { it }),
      ];
      for (const answer of answers) {
        const [error] = answer.errors ?? [];
        expect(['BAD_USER_INPUT', 'POSITION_UNKNOWN', undefined]).toContain(error?.extensions?.code);
        expect(JSON.stringify(answer)).not.toMatch(INSIDE);
      }
    });

    test('what somebody asks for does no harm to those who ask at the same time', async () => {
      const poison = shop.ask('query Q($it: String!) { product(sku: $it) { sku } }', { it: '\u0000' });
      const innocent = Array.from({ length: 20 }, () => shop.product('A'));
      expect((await Promise.all(innocent)).map((it) => it?.sku)).toEqual(innocent.map(() => 'A'));
      await poison;
      const both = await shop.ask<{ innocent: unknown }>(
        'query Q($it: String!) { innocent: product(sku: "A") { sku } guilty: product(sku: $it) { sku } }',
        { it: '\u0000' },
      );
      expect(both.data?.innocent).toEqual({ sku: 'A' });
    });

    test('an error is not longer than a screen, however long what was asked for', async () => {
      for (const query of [
        'query Q($it: Position) { product(sku: "A", minPosition: $it) { sku } }',
        'query Q($it: ID!) { cart(id: $it) { id } }',
        'query Q($it: Int) { products(first: $it) { nodes { sku } } }',
        'query Q($it: String) { products(after: $it) { nodes { sku } } }',
      ]) {
        const { errors } = await shop.ask(query, { it: HUGE });
        expect(JSON.stringify(errors).length).toBeLessThan(2_000);
      }
    });

    test('the variable that does not fit is named', async () => {
      const { errors } = await shop.ask('query Q($howMany: Int) { products(first: $howMany) { nodes { sku } } }', {
        howMany: 'many',
      });
      expect(errors?.[0]?.message).toContain('$howMany');
    });
  });

  describe('in an operation', () => {
    test.each(TOO_MUCH)('%s is refused with a code', async (_, query) => {
      const answer = await shop.ask(query, { x: 1 });
      expect(answer.data ?? null).toBeNull();
      expect(answer.errors?.length).toBeGreaterThan(0);
      for (const error of answer.errors ?? []) expect(error.extensions?.code).toMatch(/^[A-Z_]+$/);
      expect(JSON.stringify(answer)).not.toMatch(INSIDE);
    });

    test('an unknown operation name is refused with a code', async () => {
      const answer = await postJson({ query: 'query A { __typename }', operationName: 'B' });
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expectFault(JSON.parse(answer.text));
    });
  });

  describe('in a request', () => {
    test.each([
      ['malformed JSON', '{ "query": ', 400],
      ['nothing', '', 400],
      ['an array', '[]', 400],
      ['a number', '5', 400],
      ['null', 'null', 400],
      ['no query', '{}', 400],
      ['a query that is no text', '{ "query": 5 }', 400],
      ['variables that are no object', '{ "query": "{ __typename }", "variables": 5 }', 400],
      ['variables that are a list', '{ "query": "{ __typename }", "variables": [] }', 400],
      ['an unknown parameter', '{ "query": "{ __typename }", "nope": 1 }', 400],
      ['invalid UTF-8', Buffer.from([0x7b, 0x22, 0xc3, 0x28, 0xff, 0x22, 0x7d]), 400],
      ['3 MB', JSON.stringify({ query: '{ __typename }', variables: { it: 'x'.repeat(3_000_000) } }), 413],
    ])('%s is refused', async (_, body, status) => {
      const headers = { 'content-type': 'application/json', accept: 'application/graphql-response+json' };
      const answer = await sendRaw(server.url, { headers, body });
      expect(answer.status).toBe(status);
      expectFault(JSON.parse(answer.text));
    });

    test('what is no JSON is not sent back', async () => {
      const headers = { 'content-type': 'application/json' };
      const { text } = await sendRaw(server.url, { headers, body: '{"query": tok_private' });
      expect(text).not.toContain('tok_private');
    });

    test.each([
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/graphql',
      '',
    ])('a body of type "%s" is refused: any web page could send it', async (contentType) => {
      const body = JSON.stringify({ query: 'mutation M { createCart { __typename } }' });
      const headers = contentType === '' ? {} : { 'content-type': contentType };
      const answer = await sendRaw(server.url, { headers, body });
      expect(answer.status).toBe(415);
      expectFault(JSON.parse(answer.text));
    });

    test.each(['PUT', 'DELETE', 'PATCH'])('the method %s is refused', async (method) => {
      const answer = await sendRaw(server.url, { method });
      expect(answer.status).toBe(405);
    });

    test('a path that is no URL is not found, and does no harm', async () => {
      for (const path of ['//', '//[', '/graphql%', '/%00', '/graphql/../../etc/passwd']) {
        const answer = await sendRaw(server.url, { method: 'GET', path });
        expect(answer.status, path).toBe(404);
        expect(answer.text).not.toMatch(INSIDE);
      }
    });

    test('malformed variables in a GET are refused', async () => {
      const path = `/graphql?${new URLSearchParams({ query: '{ __typename }', variables: '{' })}`;
      const headers = { accept: 'application/graphql-response+json' };
      const answer = await sendRaw(server.url, { method: 'GET', path, headers });
      expect(answer.status).toBe(400);
      expectFault(JSON.parse(answer.text));
    });
  });

  describe('over WebSocket', () => {
    test.each(TOO_MUCH)('%s is an error with a code on that operation alone', async (_, query) => {
      const socket = await new HandSocket(server.webSocketUrl).hello();
      socket.subscribe('live', 'subscription L($id: ID!) { cartChanged(id: $id) { position } }', { id: cartId });
      await socket.answer('live');
      socket.subscribe('bad', query, { x: 1 });
      const answer = await socket.answer('bad');
      expect(answer.type).toBe('error');
      expectFault({ errors: answer.payload as GraphQLAnswer<unknown>['errors'] & object });
      await shop.addItem(cartId, 'A', 1);
      await socket.message(({ id, type }) => id === 'live' && type === 'next');
      socket.socket.close();
      expect((await socket.closed).code).toBe(1005);
    });

    test.each([
      ['a foreign position', { after: UNKNOWN_EPOCH }, 'POSITION_UNKNOWN'],
      ['no position', { after: 'nope' }, 'POSITION_UNKNOWN'],
      ['an unknown cart', { id: UNKNOWN_CART }, 'NOT_FOUND'],
      ['no id', { id: 'nope' }, 'BAD_USER_INPUT'],
      ['the id of a product', { id: encodeGlobalId('Product', 'A') }, 'BAD_USER_INPUT'],
      ['a number for a position', { after: 5 }, 'BAD_USER_INPUT'],
    ])('a subscription with %s is an error with a code', async (_, variables, code) => {
      const socket = await new HandSocket(server.webSocketUrl).hello();
      const query = 'subscription L($id: ID!, $after: Position) { cartChanged(id: $id, after: $after) { position } }';
      socket.subscribe('1', query, { id: cartId, ...variables });
      const { type, payload } = await socket.answer('1');
      const errors = type === 'error' ? payload : (payload as { errors?: unknown }).errors;
      expectFault({ errors: errors as NonNullable<GraphQLAnswer<unknown>['errors']> }, code);
      socket.socket.close();
    });

    test.each(Object.keys(NASTY))('%s in a subscription is an error with a code', async (name) => {
      const socket = await new HandSocket(server.webSocketUrl).hello();
      // A message has at most 1 MB.
      const it = NASTY[name]?.slice(0, 500_000);
      socket.subscribe('1', 'subscription L($it: String!) { productChanged(sku: $it) { position } }', { it });
      const { type, payload } = await socket.answer('1');
      const errors = type === 'error' ? payload : (payload as { errors?: unknown }).errors;
      expectFault({ errors: errors as NonNullable<GraphQLAnswer<unknown>['errors']> }, 'NOT_FOUND');
      socket.socket.close();
    });

    test('mutations are rejected in the same way', async () => {
      const socket = await new HandSocket(server.webSocketUrl).hello();
      socket.subscribe('1', mutationOf('addItemToCart'), { input: { cartId, sku: '\u0000', quantity: -1 } });
      const { payload } = await socket.answer('1');
      const { data } = payload as { data: Parameters<typeof outcomeOf>[1] };
      expect(outcomeOf('addItemToCart', data)).toMatchObject({ __typename: 'ValidationFailed' });
      socket.socket.close();
    });

    test.each([
      ['no JSON', 'hello', 4400],
      ['an unknown type', { type: 'nope' }, 4400],
      ['a subscription without a query', { type: 'subscribe', id: '1', payload: {} }, 4400],
      ['a message of more than 1 MB', JSON.stringify({ type: 'ping', payload: { it: 'x'.repeat(1_100_000) } }), 1009],
    ])('a message with %s closes the socket that sent it, and no other', async (_, message, code) => {
      const other = await new HandSocket(server.webSocketUrl).hello();
      const socket = await new HandSocket(server.webSocketUrl).hello();
      socket.send(message);
      const closed = await socket.closed;
      expect(closed.code).toBe(code);
      expect(closed.reason).not.toMatch(INSIDE);
      other.subscribe('1', '{ __typename }');
      expect(await other.answer('1')).toMatchObject({ type: 'next', payload: { data: { __typename: 'Query' } } });
      other.socket.close();
    });
  });

  function postJson(body: unknown) {
    return sendRaw(server.url, { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  }
});

function expectFault({ errors }: GraphQLAnswer<unknown>, code?: string): void {
  expect(errors?.length).toBeGreaterThan(0);
  for (const error of errors ?? []) {
    expect(error.extensions?.code).toMatch(/^[A-Z_]+$/);
    expect(error.extensions?.code).not.toBe('INTERNAL_SERVER_ERROR');
    expect(Object.keys(error.extensions ?? {})).not.toContain('http');
  }
  if (code !== undefined) expect(errors?.[0]?.extensions?.code).toBe(code);
  expect(JSON.stringify(errors)).not.toMatch(INSIDE);
}

function invalid(...path: string[]) {
  return { __typename: 'ValidationFailed', fields: [{ path }], receipt: null } as unknown as Partial<Outcome>;
}

function cursor(...parts: unknown[]): string {
  return Buffer.from(JSON.stringify(parts)).toString('base64url');
}
