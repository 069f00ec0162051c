import { createHash, createHmac } from 'node:crypto';
import { z } from 'zod';
import { conceal, textsIn } from '../../platform/redaction.ts';
import type { Json } from '../json.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import { NotStorable, Shield, type StoredKind } from '../keys/shield.ts';
import { KeyNames, type SubjectKeys } from '../keys/subject-key.ts';

export { hashOf, personal, protectedFields, secret } from '../keys/protected-fields.ts';
export { NotStorable, type StoredKind } from '../keys/shield.ts';

/** What most batches need. */
export const NO_KEYS: SubjectKeys = new Map();

/** Where the stored value is in what was read. */
export interface Opening<Item> {
  readonly kind: StoredKind;
  /** Of its definition. */
  name(item: Item): string;
  /** That nothing else of the same definition has. */
  id(item: Item): string;
  data(item: Item): unknown;
  /** The same item with its value opened. */
  opened(item: Item, data: Json): Item;
}

/** A command's input before it is sealed. */
interface CommandToStore {
  readonly commandId: string;
  readonly name: string;
  readonly input: Json;
}

/**
 * The single way of events, command inputs, read rows and snapshots to the database and back.
 *
 * Protected fields are sealed on the way there and opened on the way back. Which those are is found once for each schema,
 * and values of all others are never looked into. Keys are fetched for a batch at a time, before it is sealed or after it
 * was read; the rest needs no waiting. Without keys, a schema with protected fields is refused: personal data never
 * reaches the database in the clear by being early.
 */
export class StorageCodec {
  readonly #keys: KeyRing | undefined;
  readonly #shields: Readonly<Record<StoredKind, Map<string, Shield>>> = {
    event: new Map(),
    command: new Map(),
    row: new Map(),
    snapshot: new Map(),
  };
  #isProtecting = false;

  constructor(keys?: KeyRing) {
    this.#keys = keys;
  }

  /** Whether anything at all is protected. */
  get isProtecting(): boolean {
    return this.#isProtecting;
  }

  /**
   * Says before anything runs that a schema can be stored.
   * @param knownAs by what name to ask for it, where others have the same: former shapes of an event
   * @throws {NotStorable}
   */
  admit(name: string, schema: z.ZodType, kind: StoredKind = 'event', knownAs = name): void {
    const shield = Shield.of(kind, name, schema);
    if (shield === undefined) return;
    if (this.#keys === undefined)
      throw new NotStorable(`${name} has protected fields, and this store has no keys to protect them with.`);
    this.#shields[kind].set(knownAs, shield);
    this.#isProtecting = true;
  }

  /** @throws {NotStorable} the value does not fit its schema */
  encode(schema: z.ZodType, value: unknown): Json {
    const result = schema.safeParse(value);
    if (!result.success) throw new NotStorable(z.prettifyError(result.error), { cause: result.error });
    return this.encodeValid(result.data);
  }

  /** For a value that was made by its schema, or whose type was checked. */
  encodeValid(value: unknown): Json {
    return jsonValue.parse(value);
  }

  /** Adds whose keys it takes to seal a value. */
  addSubjects(wanted: Set<string>, kind: StoredKind, name: string, data: unknown): void {
    this.#shields[kind].get(name)?.addSubjects(wanted, data);
  }

  /** The keys to seal with, made where they were never there. @throws what the driver throws */
  async keysFor(subjects: ReadonlySet<string>): Promise<SubjectKeys> {
    return subjects.size === 0 || this.#keys === undefined ? NO_KEYS : this.#keys.ensure(subjects);
  }

  /** A value as it is stored. What was forgotten by then is not. @throws {NotStorable} nobody is named whose it is */
  seal(kind: StoredKind, name: string, id: string, data: Json, keys: SubjectKeys): Json {
    return this.#shields[kind].get(name)?.seal(data, id, keys, this.#hash) ?? data;
  }

  /** A command that has no end yet, with the names of what is to be wiped when it has one. */
  sealCommand<Command extends CommandToStore>(command: Command, keys: SubjectKeys): Command {
    const { name, commandId, input } = command;
    const shield = this.#shields.command.get(name);
    if (shield === undefined) return command;
    return { ...command, input: shield.seal(input, commandId, keys, this.#hash), secrets: shield.secretsIn(input) };
  }

  /** The same for one that an aggregate or a process sends, whose fingerprint was made without keys. */
  sealSentCommand<Command extends CommandToStore & { readonly fingerprint: string }>(
    command: Command,
    keys: SubjectKeys,
  ): Command {
    const sealed = this.sealCommand(command, keys);
    return sealed === command
      ? command
      : { ...sealed, fingerprint: this.fingerprint(command.name, command.fingerprint) };
  }

  /** A command that has ended: what it must not outlive is gone. */
  sealEndedCommand<Command extends CommandToStore>(command: Command, keys: SubjectKeys): Command {
    const { name, commandId, input } = command;
    const shield = this.#shields.command.get(name);
    return shield === undefined
      ? command
      : { ...command, input: shield.seal(shield.withoutSecrets(input), commandId, keys, this.#hash) };
  }

  /** What a later read gives of what `seal` made of a value. */
  kept(kind: StoredKind, name: string, data: Json, sealed: Json): Json {
    return this.#shields[kind].get(name)?.kept(data, sealed) ?? data;
  }

  /**
   * Opens what was read; what has nothing to open is given back as it is. What was written is valid by construction: it is
   * not checked again.
   * @throws what the driver throws where the database is away: that is never taken for forgotten
   */
  async openAll<Item>(items: Item[], opening: Opening<Item>, { withSecrets = false } = {}): Promise<Item[]> {
    const shields = this.#shields[opening.kind];
    if (this.#keys === undefined || !items.some((item) => shields.has(opening.name(item)))) return items;
    const wanted = new KeyNames();
    for (const item of items) shields.get(opening.name(item))?.addKeyNames(wanted, opening.data(item));
    const keys = wanted.size === 0 ? NO_KEYS : await this.#keys.load(wanted);
    return items.map((item) => {
      const shield = shields.get(opening.name(item));
      if (shield === undefined) return item;
      const data = shield.open(opening.data(item), opening.id(item), keys);
      return opening.opened(item, withSecrets ? data : shield.withoutSecrets(data));
    });
  }

  /** Whether anything personal was ever kept of somebody, be it forgotten or not. */
  async knows(subject: string): Promise<boolean> {
    return (await this.#keys?.knows(subject)) ?? false;
  }

  /** Whether a value is of a kind that has something personal, and of somebody: also where it was forgotten. */
  isAbout(subject: string, kind: StoredKind, name: string, value: unknown): boolean {
    return Object.keys(this.personalPart(subject, kind, name, value)).length > 0;
  }

  /** What of a value is personal of somebody, as it was opened: null where it cannot be read any more. */
  personalPart(subject: string, kind: StoredKind, name: string, value: unknown): Record<string, unknown> {
    const members = memberOf.safeParse(value).data ?? {};
    const part: Record<string, unknown> = {};
    for (const [owner, names] of this.personalMembers(kind, name)) {
      if (members[owner] !== subject) continue;
      for (const it of names) if (members[it] !== undefined) part[it] = members[it];
    }
    return part;
  }

  /** The personal members of what is stored under a name: by the member that names whose they are. */
  personalMembers(kind: StoredKind, name: string): ReadonlyMap<string, readonly string[]> {
    return this.#shields[kind].get(name)?.personalMembers() ?? new Map();
  }

  /** Reads and writes with no key any more that was in memory: some were destroyed. */
  forget(subjects: Iterable<string>): void {
    this.#keys?.forget(subjects);
  }

  /** A command's input as those may see it who have no right to what is personal in it. */
  withoutPersonal(commandName: string, input: Json): Json {
    return this.#shields.command.get(commandName)?.withoutPersonal(input) ?? input;
  }

  /**
   * A fingerprint that tells nobody what was guessed: of a command with protected fields, it takes the store's key to make.
   */
  fingerprint(commandName: string, plain: string): string {
    return this.#shields.command.has(commandName) ? this.#hmac(`fingerprint ${plain}`) : plain;
  }

  /** Takes what is protected in a command's input out of what an error says of it. */
  conceal(commandName: string, data: unknown, error: unknown): void {
    const shield = this.#shields.command.get(commandName);
    if (shield !== undefined) conceal(error, textsIn(shield.protectedPart(data)));
  }

  /** For look-ups by something personal: the same for the same text, however its letters are written, in this store alone. */
  keyedHash(text: string): string {
    return this.#hmac(`look-up ${text.trim().toLowerCase()}`);
  }

  /** Tells a text that this store wrote from any other; for whoever has no keys, it tells only that it is whole. */
  checksum(text: string): string {
    if (this.#keys === undefined) return createHash('sha256').update(text).digest('base64');
    return this.#hmac(`checksum ${text}`);
  }

  readonly #hash = (text: string): string => this.keyedHash(text);

  #hmac(text: string): string {
    if (this.#keys === undefined) throw new NotStorable('This store has no keys to hash with.');
    return createHmac('sha256', this.#keys.hashKey).update(text).digest('base64');
  }
}

const memberOf = z.record(z.string(), z.unknown());
const jsonValue = z.custom<Json>((value) => value !== undefined);
