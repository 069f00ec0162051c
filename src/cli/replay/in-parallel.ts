/**
 * Works on the items of a source, several at a time, taking one only when there is a hand for it.
 * @param goesOn asked before each item; once it says no, what was begun is finished and nothing more is taken
 * @throws the first error of the source or the work, once everything that was begun has ended
 */
export async function inParallel<Item>(
  source: AsyncIterable<Item> | Iterable<Item>,
  limit: number,
  work: (item: Item) => Promise<void>,
  goesOn: () => boolean,
): Promise<void> {
  const items = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  let hasFailed = false;
  const worker = async () => {
    try {
      while (!hasFailed && goesOn()) {
        const next = await items.next();
        if (next.done === true) return;
        await work(next.value);
      }
    } catch (error) {
      hasFailed = true;
      throw error;
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: limit }, worker));
  await items.return?.();
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}
