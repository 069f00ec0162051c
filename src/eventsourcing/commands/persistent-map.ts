/** A key with its value, under the key's hash. */
interface Leaf<Value> {
  readonly kind: 'leaf';
  readonly hash: number;
  readonly key: string;
  readonly value: Value;
}

/** Keys that happen to have the same hash. */
interface Collision<Value> {
  readonly kind: 'collision';
  readonly hash: number;
  readonly leaves: readonly Leaf<Value>[];
}

/** Up to 32 nodes, for the five bits of the hash that this depth looks at; the bitmap tells which are there. */
interface Branch<Value> {
  readonly kind: 'branch';
  readonly bitmap: number;
  readonly children: readonly Node<Value>[];
}

type Node<Value> = Leaf<Value> | Collision<Value> | Branch<Value>;

const BITS = 5;
const MASK = 31;

/**
 * A map that is never changed: setting a key gives another map, which shares all but a handful of small nodes with the
 * one before. For states of aggregates that remember thousands of things, where copying a Map at each event would make
 * a stream slower the longer it is. Keys stay for good.
 *
 * A hash array mapped trie, after Phil Bagwell's "Ideal Hash Trees" (2001).
 */
export class PersistentMap<Value> implements Iterable<readonly [string, Value]> {
  readonly size: number;
  readonly #root: Node<Value> | undefined;

  private constructor(root: Node<Value> | undefined, size: number) {
    this.#root = root;
    this.size = size;
  }

  static empty<Value>(): PersistentMap<Value> {
    return new PersistentMap<Value>(undefined, 0);
  }

  /** Of keys that differ, the same map whatever their order; of one key the last value counts. */
  static from<Value>(entries: Iterable<readonly [string, Value]>): PersistentMap<Value> {
    let map = PersistentMap.empty<Value>();
    for (const [key, value] of entries) map = map.set(key, value);
    return map;
  }

  get(key: string): Value | undefined {
    return this.#leaf(key)?.value;
  }

  has(key: string): boolean {
    return this.#leaf(key) !== undefined;
  }

  set(key: string, value: Value): PersistentMap<Value> {
    const root = insert(this.#root, 0, { kind: 'leaf', hash: hashOf(key), key, value });
    return new PersistentMap(root, this.has(key) ? this.size : this.size + 1);
  }

  /** Keys and values, in no order that means anything. */
  *[Symbol.iterator](): Iterator<readonly [string, Value]> {
    const open = this.#root === undefined ? [] : [this.#root];
    for (let node = open.pop(); node !== undefined; node = open.pop()) {
      if (node.kind === 'leaf') yield [node.key, node.value];
      else open.push(...(node.kind === 'branch' ? node.children : node.leaves));
    }
  }

  #leaf(key: string): Leaf<Value> | undefined {
    const hash = hashOf(key);
    let node = this.#root;
    for (let shift = 0; node?.kind === 'branch'; shift += BITS) {
      const bit = bitOf(hash, shift);
      node = (node.bitmap & bit) === 0 ? undefined : node.children[placeOf(node.bitmap, bit)];
    }
    if (node?.kind === 'collision') return node.leaves.find((leaf) => leaf.key === key);
    return node?.key === key ? node : undefined;
  }
}

function insert<Value>(node: Node<Value> | undefined, shift: number, leaf: Leaf<Value>): Node<Value> {
  if (node === undefined) return leaf;
  if (node.kind === 'branch') return insertBelow(node, shift, leaf);
  if (node.hash !== leaf.hash) {
    const branch: Branch<Value> = { kind: 'branch', bitmap: bitOf(node.hash, shift), children: [node] };
    return insertBelow(branch, shift, leaf);
  }
  const others = (node.kind === 'leaf' ? [node] : node.leaves).filter(({ key }) => key !== leaf.key);
  return others.length === 0 ? leaf : { kind: 'collision', hash: leaf.hash, leaves: [...others, leaf] };
}

function insertBelow<Value>({ bitmap, children }: Branch<Value>, shift: number, leaf: Leaf<Value>): Branch<Value> {
  const bit = bitOf(leaf.hash, shift);
  const place = placeOf(bitmap, bit);
  const isThere = (bitmap & bit) !== 0;
  const child = insert(isThere ? children[place] : undefined, shift + BITS, leaf);
  return { kind: 'branch', bitmap: bitmap | bit, children: children.toSpliced(place, isThere ? 1 : 0, child) };
}

function bitOf(hash: number, shift: number): number {
  return 1 << ((hash >>> shift) & MASK);
}

/** How many children come before that of a bit. */
function placeOf(bitmap: number, bit: number): number {
  let rest = bitmap & (bit - 1);
  let count = 0;
  for (; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}

/** FNV-1a, 32 bits. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at += 1) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  return hash;
}
