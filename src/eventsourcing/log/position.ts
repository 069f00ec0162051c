const NUMBER_DIGITS = 16;
const FORMAT = /^([0-9a-f]{12})\.(\d{16})$/;

/** A position that this store never gave, or not yet; or a text that is no position at all. */
export class PositionUnknown extends Error {
  override readonly name = 'PositionUnknown';
}

/** Positions as clients see them: `<epoch>.<zero-padded number>`; later ones are later in string order. */
export class Positions {
  readonly #epoch: string;

  constructor(epoch: string) {
    this.#epoch = epoch;
  }

  encode(position: number): string {
    return `${this.#epoch}.${String(position).padStart(NUMBER_DIGITS, '0')}`;
  }

  /**
   * @param head the highest position that was given yet
   * @throws {PositionUnknown}
   */
  decode(text: string, head: number): number {
    const [, epoch, digits] = FORMAT.exec(text) ?? [];
    if (epoch === undefined) throw new PositionUnknown(`${JSON.stringify(text.slice(0, 80))} is not a position.`);
    const position = Number(digits);
    if (epoch !== this.#epoch || position > head) {
      throw new PositionUnknown(`The position ${text} was not given by this store: read again without it.`);
    }
    return position;
  }
}
