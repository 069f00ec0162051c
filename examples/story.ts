import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createNetwork } from './network.ts';
import { createPlainShop } from './plain/shop.ts';
import type { CartChange, CreateShop } from './shop.ts';

const PATIENCE_MS = 15_000;

/**
 * A cart is watched live; the network goes, somebody else changes the cart, the network comes back: and every event was
 * seen once and in order.
 * @throws if not
 */
export async function tellStory(createShop: CreateShop, url: string): Promise<void> {
  const network = createNetwork();
  const shop = createShop(url, network.WebSocket);
  const somebodyElse = createPlainShop(url, network.WebSocket);
  const seen: number[] = [];
  const shown: number[] = [];
  let isLive = false;
  let failure: Error | undefined;

  function see({ events, cart }: CartChange): void {
    isLive = true;
    seen.push(...events.map(({ version }) => version));
    const news = events.map((event) => `${event.version} ${event.__typename}`).join(', ') || 'nothing new';
    console.log(`  live: ${news}; ${cart.itemCount} pieces, ${formatMoney(cart.total)}`);
  }

  async function until(isSo: () => boolean, what: string): Promise<void> {
    const end = Date.now() + PATIENCE_MS;
    while (!isSo()) {
      if (failure !== undefined) throw failure;
      if (Date.now() > end) throw new Error(`${what} did not come: seen ${seen.join(', ')}; shown ${shown.join(', ')}`);
      await sleep(10);
    }
  }

  try {
    const [first, second, third] = await shop.products();
    if (first === undefined || second === undefined || third === undefined) {
      throw new Error('Three products are needed: start the server with its demo catalog.');
    }
    const begun = need('CartPayload', await shop.begin({ commandId: randomUUID() }));
    const cartId = begun.cart.id;
    shop.show(cartId, ({ version }) => {
      if (shown.at(-1) !== version) shown.push(version);
    });
    await until(() => shown.includes(1), 'The cart');
    console.log('Watching a cart.');
    shop.watch(cartId, see, (error) => {
      failure = error;
    });
    await until(() => isLive, 'The live view');
    need('CartPayload', await shop.put({ cartId, sku: first, quantity: 1 }));
    need('CartPayload', await shop.put({ cartId, sku: second, quantity: 1 }));
    await until(() => seen.includes(3), 'Version 3');

    console.log('The network is gone. Somebody else changes the cart.');
    network.down();
    need('CartPayload', await somebodyElse.put({ cartId, sku: third, quantity: 1 }));
    need('CartPayload', await somebodyElse.setQuantity({ cartId, sku: first, quantity: 5 }));

    const wish = { commandId: randomUUID(), cartId, sku: second, quantity: 3 };
    const refused = need('VersionConflict', await shop.setQuantity({ ...wish, expectedVersion: 3 }));
    const since = refused.eventsSince.map((event) => `${event.version} ${event.__typename}`).join(', ');
    console.log(`  We were at version ${refused.expectedVersion} and missed ${since}.`);

    console.log('The network is back.');
    network.up();
    await until(() => seen.includes(5), 'Version 5');

    // A command that was refused for its version may be sent again under its id; one that was done is not done twice.
    const mended = { ...wish, expectedVersion: refused.actualVersion };
    const { receipt } = need('CartPayload', await shop.setQuantity(mended));
    const again = need('CartPayload', await shop.setQuantity(mended));
    if (receipt.replayed || !again.receipt.replayed) throw new Error('The same command was done twice.');
    const read = await shop.read(cartId, receipt.position);
    if (read?.version !== 6) throw new Error(`What we wrote was not read: version ${read?.version}`);
    await until(() => seen.includes(6) && shown.at(-1) === 6, 'Version 6');

    console.log(`Shown: versions ${shown.join(', ')}`);
    console.log(`Seen live: versions ${seen.join(', ')}`);
    if (seen.join() !== '2,3,4,5,6') throw new Error('Not each event was seen once and in order.');
    console.log('OK: each event once, in order.');
  } finally {
    await Promise.all([shop.close(), somebodyElse.close()]);
  }
}

/** The answer, if it is the member of the union that is needed. @throws what the server says otherwise */
function need<Answer extends { __typename: string; message?: string }, Name extends Answer['__typename']>(
  name: Name,
  answer: Answer,
): Extract<Answer, { __typename: Name }> {
  if (isA(name, answer)) return answer;
  throw new Error(`${name} was expected, not ${answer.__typename}: ${answer.message ?? ''}`);
}

function isA<Answer extends { __typename: string }, Name extends string>(
  name: Name,
  answer: Answer,
): answer is Extract<Answer, { __typename: Name }> {
  return answer.__typename === name;
}

function formatMoney({ amountMinor, currency }: CartChange['cart']['total']): string {
  return new Intl.NumberFormat('en', { style: 'currency', currency }).format(amountMinor / 100);
}
