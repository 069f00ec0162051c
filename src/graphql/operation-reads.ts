import type { GraphQLResolveInfo } from 'graphql';
import type { AggregateName, ReadOutcome } from '../eventsourcing/reads/read-records.ts';
import type { RequestContext } from './context.ts';

/** Of one operation so many are recorded, and then one that says that there was more: of a live view, each minute anew. */
const MAX_RECORDED = 1_000;
const LIVE_MS = 60_000;

/**
 * What one operation reads, each aggregate once for each field that it was asked for with; by a live view once a minute. The operation is known by its context, which no two have in common.
 */
export class OperationReads {
  readonly #context: RequestContext;
  readonly #operation: string | null;
  readonly #correlationId: string;
  /** The fields at the root by what they are called in the answer. */
  readonly #roots = new Map<string, string>();
  readonly #recorded = new Set<string>();
  #since = performance.now();

  constructor(context: RequestContext, info: GraphQLResolveInfo) {
    this.#context = context;
    this.#operation = info.operation.name?.value ?? null;
    this.#correlationId = context.correlationId ?? context.ids.ordered();
  }

  /** The resolver of a field at the root is about to run. */
  begin({ path, parentType, fieldName }: GraphQLResolveInfo): void {
    this.#roots.set(String(path.key), `${parentType.name}.${fieldName}`);
  }

  /** @param aggregate null where the field is about no single one */
  record(info: GraphQLResolveInfo, outcome: ReadOutcome, aggregate: AggregateName | null): void {
    if (info.operation.operation === 'subscription' && performance.now() - this.#since > LIVE_MS) {
      this.#recorded.clear();
      this.#since = performance.now();
    }
    const field = this.#rootOf(info);
    const mark = [field, outcome, aggregate?.type, aggregate?.id].join('\n');
    const count = this.#recorded.size;
    if (count > MAX_RECORDED || this.#recorded.has(mark)) return;
    this.#recorded.add(mark);
    const { actor, readAudit } = this.#context;
    const read = { actor, operation: this.#operation, field, correlationId: this.#correlationId };
    if (count < MAX_RECORDED) readAudit.record({ ...read, outcome, aggregate });
    else readAudit.record({ ...read, outcome: 'MORE', aggregate: null });
  }

  #rootOf({ path, parentType, fieldName }: GraphQLResolveInfo): string {
    let root = path;
    while (root.prev !== undefined) root = root.prev;
    return this.#roots.get(String(root.key)) ?? `${parentType.name}.${fieldName}`;
  }
}

const operations = new WeakMap<RequestContext, OperationReads>();

/** What the operation reads that a resolver runs for. */
export function readsOf(context: RequestContext, info: GraphQLResolveInfo): OperationReads {
  const known = operations.get(context);
  if (known !== undefined) return known;
  const reads = new OperationReads(context, info);
  operations.set(context, reads);
  return reads;
}
