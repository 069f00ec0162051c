/** The id of an aggregate's stream: `cart-<uuid>`. */
export function streamIdOf(aggregateType: string, aggregateId: string): string {
  return `${aggregateType}-${aggregateId}`;
}
