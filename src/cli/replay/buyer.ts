/** Who an order of a replay is for: made up, and always the same for the same invoice. Nobody is reached by it. */
export interface Buyer {
  readonly email: string;
  readonly address: Readonly<Record<'name' | 'street' | 'city' | 'postalCode' | 'country', string>>;
}

/** A mail address has no more characters before its @. */
const LONGEST_NAME = 64;

/**
 * A customer by the id that the invoice has; one without is a guest's, by its own number.
 * @param customerId undefined: there is none
 */
export function buyerOf(invoiceNo: string, customerId: string | undefined): Buyer {
  const [kind, id] = customerId === undefined ? ['guest', invoiceNo] : ['customer', customerId];
  const mailName = `${kind}-${id.toLowerCase().replace(/[^a-z0-9]+/g, '-')}`.slice(0, LONGEST_NAME).replace(/-+$/, '');
  return {
    email: `${mailName}@example.com`,
    address: {
      name: kind === 'guest' ? 'A guest' : `Customer ${id.slice(0, LONGEST_NAME)}`,
      street: `${1 + (sumOf(id) % 200)} High Street`,
      city: 'Example Town',
      postalCode: `EX${1 + (sumOf(id) % 9)} 1AA`,
      country: 'United Kingdom',
    },
  };
}

function sumOf(text: string): number {
  return Array.from(text).reduce((sum, character) => (sum * 31 + (character.codePointAt(0) ?? 0)) % 1_000_003, 0);
}
