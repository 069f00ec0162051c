import { setMaxListeners } from 'node:events';
import { createServer } from 'node:http';
import SchemaBuilder from '@pothos/core';
import type { ExecutionArgs } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { createPubSub, createYoga } from 'graphql-yoga';
import { WebSocketServer } from 'ws';
import { answer } from '../harness/remote.ts';

// The bare server that the product is compared with: Yoga and Pothos as their documentation sets them up, resolvers
// that answer from memory, and graphql-ws wired with Yoga's own recipe, so that each subscriber's operation is executed
// for each change.

interface MoneyShape {
  amountMinor: number;
  currency: string;
}
interface LineShape {
  sku: string;
  name: string;
  quantity: number;
  unitPrice: MoneyShape;
  lineTotal: MoneyShape;
}
interface CartShape {
  id: string;
  version: number;
  status: string;
  currency: string;
  lines: LineShape[];
  subtotal: MoneyShape;
  total: MoneyShape;
}
interface DoneShape {
  ok: boolean;
  version: number;
}

const gbp = (amountMinor: number): MoneyShape => ({ amountMinor, currency: 'GBP' });

function cartOf(id: string, lineCount: number): CartShape {
  const lines = Array.from({ length: lineCount }, (_, index) => ({
    sku: `BENCH-${index}`,
    name: `Bench product ${index}`,
    quantity: 1,
    unitPrice: gbp(100 + index),
    lineTotal: gbp(100 + index),
  }));
  const total = gbp(lines.reduce((sum, line) => sum + line.lineTotal.amountMinor, 0));
  return { id, version: 1, status: 'OPEN', currency: 'GBP', lines, subtotal: total, total };
}

const smallCart = cartOf('small', 2);
const liveCart = cartOf('live', 6);
const eventTarget = new EventTarget();
setMaxListeners(0, eventTarget);
const pubSub = createPubSub<{ cart: [id: string, payload: CartShape] }>({ eventTarget });

const builder = new SchemaBuilder<{ Scalars: { ID: { Input: string; Output: string } } }>({});

const Money = builder.objectRef<MoneyShape>('Money').implement({
  fields: (t) => ({ amountMinor: t.exposeInt('amountMinor'), currency: t.exposeString('currency') }),
});
const CartLine = builder.objectRef<LineShape>('CartLine').implement({
  fields: (t) => ({
    sku: t.exposeString('sku'),
    name: t.exposeString('name'),
    quantity: t.exposeInt('quantity'),
    unitPrice: t.field({ type: Money, resolve: (line) => line.unitPrice }),
    lineTotal: t.field({ type: Money, resolve: (line) => line.lineTotal }),
  }),
});
const Cart = builder.objectRef<CartShape>('Cart').implement({
  fields: (t) => ({
    id: t.exposeID('id'),
    version: t.exposeInt('version'),
    status: t.exposeString('status'),
    currency: t.exposeString('currency'),
    lines: t.field({ type: [CartLine], resolve: (cart) => cart.lines }),
    subtotal: t.field({ type: Money, resolve: (cart) => cart.subtotal }),
    total: t.field({ type: Money, resolve: (cart) => cart.total }),
  }),
});
const CartChange = builder.objectRef<CartShape>('CartChange').implement({
  fields: (t) => ({
    cart: t.field({ type: Cart, resolve: (cart) => cart }),
    position: t.string({ resolve: (cart) => String(cart.version) }),
  }),
});
const Done = builder.objectRef<DoneShape>('Done').implement({
  fields: (t) => ({ ok: t.exposeBoolean('ok'), version: t.exposeInt('version') }),
});

builder.queryType({
  fields: (t) => ({
    cart: t.field({ type: Cart, args: { id: t.arg.id({ required: true }) }, resolve: () => smallCart }),
  }),
});
builder.mutationType({
  fields: (t) => ({
    noop: t.field({ type: Done, resolve: () => ({ ok: true, version: 1 }) }),
    /** Puts one more into a line of the live cart. */
    change: t.field({
      type: Done,
      args: { sku: t.arg.string({ required: true }) },
      resolve: (_root, { sku }) => {
        for (const line of liveCart.lines) {
          if (line.sku !== sku) continue;
          line.quantity += 1;
          line.lineTotal = gbp(line.quantity * line.unitPrice.amountMinor);
        }
        liveCart.total = gbp(liveCart.lines.reduce((sum, line) => sum + line.lineTotal.amountMinor, 0));
        liveCart.subtotal = liveCart.total;
        liveCart.version += 1;
        pubSub.publish('cart', liveCart.id, structuredClone(liveCart));
        return { ok: true, version: liveCart.version };
      },
    }),
  }),
});
builder.subscriptionType({
  fields: (t) => ({
    cartChanged: t.field({
      type: CartChange,
      args: { id: t.arg.id({ required: true }) },
      subscribe: (_root, { id }) => pubSub.subscribe('cart', id),
      resolve: (cart: CartShape) => cart,
    }),
  }),
});

const yoga = createYoga({ schema: builder.toSchema(), logging: false });
const server = createServer(yoga);
const sockets = new WebSocketServer({ server, path: yoga.graphqlEndpoint });

type Enveloped = ExecutionArgs & { rootValue: ReturnType<typeof yoga.getEnveloped> };

useServer(
  {
    execute: (args) => (args as Enveloped).rootValue.execute(args),
    subscribe: (args) => (args as Enveloped).rootValue.subscribe(args),
    onSubscribe: async (context, _id, params) => {
      const { schema, execute, subscribe, contextFactory, parse, validate } = yoga.getEnveloped({
        ...context,
        req: context.extra.request,
        socket: context.extra.socket,
        params,
      });
      const args = {
        schema,
        operationName: params.operationName,
        document: parse(params.query),
        variableValues: params.variables,
        contextValue: await contextFactory(),
        rootValue: { execute, subscribe },
      };
      const errors = validate(args.schema, args.document);
      return errors.length > 0 ? errors : args;
    },
  },
  sockets,
);

export type YogaMethods = typeof methods;

const methods = {
  /** @returns the port */
  listen: () =>
    new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => {
        const address = server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    }),
};

answer(methods);
