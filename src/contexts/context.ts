import type { Aggregate } from '../eventsourcing/commands/aggregate.ts';
import type { Projection } from '../eventsourcing/projections/projection.ts';
import type { SchemaKit } from '../graphql/schema-kit.ts';
import type { SharedTypes } from './shared-types.ts';

/** A bounded context: all that the rest of the server knows of it. */
export interface Context {
  readonly name: string;
  readonly aggregates: readonly Aggregate[];
  readonly projections: readonly Projection[];
  /** Declares the context's part of the GraphQL schema. */
  declareSchema(kit: SchemaKit, shared: SharedTypes): void;
}
