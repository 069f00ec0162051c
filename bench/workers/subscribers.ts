import WebSocket from 'ws';
import { Latencies, sharedNow } from '../harness/measuring.ts';
import { answer } from '../harness/remote.ts';

// Many clients of one subscription in one process. A message is not parsed, only searched, so that the clients take as
// little as they can of the machine that they share with the server.

const NEXT = Buffer.from('"type":"next"');
const ACK = Buffer.from('"type":"connection_ack"');
const PING = Buffer.from('"type":"ping"');
const ERRORS = Buffer.from('"errors":');
const OPENING_AT_ONCE = 50;

interface Subscriber {
  socket: WebSocket;
  /** When each change arrived, in the order of changes. */
  arrivals: number[];
  messages: number;
}

export interface Subscription {
  url: string;
  count: number;
  query: string;
  variables: Record<string, unknown>;
  /** Stands once in a message for each change that it tells of; absent: a message tells of one. */
  changeMarker?: string;
  /** Whether a subscription begins with a payload that tells of no change. */
  opensWithPayload: boolean;
}

export interface Received {
  messages: number;
  changes: number;
  /** Of the subscriber that has seen fewest. */
  fewest: number;
  bad: string[];
}

export type SubscriberMethods = typeof methods;

let subscribers: Subscriber[] = [];
let bad: string[] = [];

const methods = {
  /** Resolves when every subscriber has its first payload or, where there is none, has asked for the others. */
  async connect(subscription: Subscription): Promise<void> {
    subscribers = [];
    bad = [];
    const start = JSON.stringify({
      id: '1',
      type: 'subscribe',
      payload: { query: subscription.query, variables: subscription.variables },
    });
    for (let opened = 0; opened < subscription.count; opened += OPENING_AT_ONCE) {
      const some = Math.min(OPENING_AT_ONCE, subscription.count - opened);
      await Promise.all(Array.from({ length: some }, () => subscribe(subscription, start)));
    }
  },
  /** Forgets what was received. */
  async reset(): Promise<void> {
    for (const subscriber of subscribers) {
      subscriber.arrivals = [];
      subscriber.messages = 0;
    }
  },
  async received(): Promise<Received> {
    const changes = subscribers.map((subscriber) => subscriber.arrivals.length);
    return {
      messages: subscribers.reduce((sum, subscriber) => sum + subscriber.messages, 0),
      changes: changes.reduce((sum, count) => sum + count, 0),
      fewest: changes.reduce((least, count) => Math.min(least, count), Number.POSITIVE_INFINITY),
      bad,
    };
  },
  /** @returns how long changes took from when each began, for every subscriber, and how many had arrived by `until` */
  async latencies({ begun, until }: { begun: number[]; until: number }) {
    const latencies = new Latencies();
    let inTime = 0;
    for (const { arrivals } of subscribers) {
      for (const [index, arrival] of arrivals.entries()) {
        const start = begun[index];
        if (start !== undefined) latencies.record(arrival - start);
        if (arrival <= until) inTime += 1;
      }
    }
    return { p50: latencies.percentile(50), p99: latencies.percentile(99), inTime };
  },
  async disconnect(): Promise<void> {
    await Promise.all(
      subscribers.map(
        ({ socket }) =>
          new Promise<void>((resolve) => {
            socket.once('close', () => resolve());
            socket.close();
          }),
      ),
    );
    subscribers = [];
  },
};

function subscribe({ url, changeMarker, opensWithPayload }: Subscription, start: string): Promise<void> {
  const marker = changeMarker === undefined ? undefined : Buffer.from(changeMarker);
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, 'graphql-transport-ws', { perMessageDeflate: false, skipUTF8Validation: true });
    const subscriber: Subscriber = { socket, arrivals: [], messages: 0 };
    let isFirst = opensWithPayload;
    socket.on('open', () => socket.send('{"type":"connection_init"}'));
    socket.on('error', reject);
    socket.on('close', (code) => reject(new Error(`closed with ${code}`)));
    socket.on('message', (message: Buffer) => {
      if (message.includes(NEXT) && !message.includes(ERRORS)) {
        if (isFirst) {
          isFirst = false;
          subscribers.push(subscriber);
          resolve();
          return;
        }
        const now = sharedNow();
        subscriber.messages += 1;
        for (let count = changesIn(message, marker); count > 0; count -= 1) subscriber.arrivals.push(now);
      } else if (message.includes(ACK)) {
        socket.send(start);
        if (opensWithPayload) return;
        subscribers.push(subscriber);
        resolve();
      } else if (message.includes(PING)) socket.send('{"type":"pong"}');
      else {
        if (bad.length < 5) bad.push(message.toString().slice(0, 300));
        reject(new Error(message.toString().slice(0, 300)));
      }
    });
  });
}

function changesIn(message: Buffer, marker: Buffer | undefined): number {
  if (marker === undefined) return 1;
  let count = 0;
  for (let at = message.indexOf(marker); at !== -1; at = message.indexOf(marker, at + marker.length)) count += 1;
  return count;
}

answer(methods);
