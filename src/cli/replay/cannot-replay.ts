/** A replay cannot begin, or go on. The message is for people: what is wrong, and what to do. */
export class CannotReplay extends Error {
  override readonly name = 'CannotReplay';
}
