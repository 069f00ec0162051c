import {
  type FragmentDefinitionNode,
  GraphQLError,
  type GraphQLField,
  type GraphQLNamedType,
  getNamedType,
  getNullableType,
  isInterfaceType,
  isListType,
  isObjectType,
  Kind,
  type SelectionSetNode,
  type ValidationRule,
} from 'graphql';
import type { Plugin } from 'graphql-yoga';

/** In characters. Documents are kept in caches, and one token may be as long as the request. */
const MAX_LENGTH = 64 * 1024;
/** What one operation may ask for. GraphiQL's introspection passes. */
const MAX_TOKENS = 4_000;
const MAX_DEPTH = 16;
const MAX_FIELDS = 600;
const MAX_COST = 250_000;
/** What a list counts for in the cost: a page, and what is typical of the lines of a cart. */
const LIST_FACTOR = 100;

/**
 * Refuses operations that would cost too much, before they run. The cost is that of the document alone, whatever its
 * variables, so that it is worked out once for each document. (Pothos' complexity plugin asks for the variables.)
 */
export function useOperationLimits(): Plugin {
  return {
    onParse: ({ params }) => {
      if (String(params.source).length > MAX_LENGTH) {
        const message = `An operation has at most ${MAX_LENGTH} characters.`;
        throw new GraphQLError(message, { extensions: { code: 'OPERATION_TOO_COSTLY', http: { status: 400 } } });
      }
      params.options = { ...params.options, maxTokens: MAX_TOKENS };
    },
    onValidate: ({ addValidationRule }) => {
      addValidationRule(limitOperationCost);
    },
  };
}

interface Cost {
  readonly depth: number;
  readonly fields: number;
  readonly cost: number;
}

const NOTHING: Cost = { depth: 0, fields: 0, cost: 0 };

const limitOperationCost: ValidationRule = (context) => ({
  OperationDefinition(operation) {
    const root = context.getSchema().getRootType(operation.operation);
    const { depth, fields, cost } = costOf(operation.selectionSet, root ?? undefined, {
      typeNamed: (name) => context.getSchema().getType(name),
      fragmentNamed: (name) => context.getFragment(name) ?? undefined,
      costs: new Map(),
      open: new Set(),
    });
    if (depth > MAX_DEPTH) return report(`is ${depth} levels deep; at most ${MAX_DEPTH} are allowed`);
    if (fields > MAX_FIELDS) return report(`asks for ${fields} fields; at most ${MAX_FIELDS} are allowed`);
    if (cost > MAX_COST) return report(`would cost ${cost}; at most ${MAX_COST} is allowed`);
    function report(problem: string): void {
      const message = `This operation is too much for one request: it ${problem}. Ask for less at a time.`;
      context.reportError(
        new GraphQLError(message, { nodes: operation, extensions: { code: 'OPERATION_TOO_COSTLY' } }),
      );
    }
  },
});

interface Document {
  typeNamed(name: string): GraphQLNamedType | undefined;
  fragmentNamed(name: string): FragmentDefinitionNode | undefined;
  /** Of fragments: one that is spread many times is worked out once. */
  readonly costs: Map<string, Cost>;
  /** Fragments that are being worked out: a circle, which another rule reports, ends here. */
  readonly open: Set<string>;
}

function costOf(selections: SelectionSetNode, type: GraphQLNamedType | undefined, document: Document): Cost {
  return selections.selections
    .map((selection): Cost => {
      if (selection.kind === Kind.FIELD) return fieldCost(selection.name.value, selection.selectionSet, type, document);
      if (selection.kind === Kind.FRAGMENT_SPREAD) return fragmentCost(selection.name.value, document);
      const condition = selection.typeCondition?.name.value;
      return costOf(selection.selectionSet, condition === undefined ? type : document.typeNamed(condition), document);
    })
    .reduce(
      (sum, it) => ({
        depth: Math.max(sum.depth, it.depth),
        fields: sum.fields + it.fields,
        cost: sum.cost + it.cost,
      }),
      NOTHING,
    );
}

function fieldCost(
  name: string,
  selections: SelectionSetNode | undefined,
  parent: GraphQLNamedType | undefined,
  document: Document,
): Cost {
  // The whole schema, however little is asked of it: three times in one operation.
  if (name === '__schema' || name === '__type') return { depth: 1, fields: 1, cost: MAX_COST / 3 };
  if (name.startsWith('__')) return NOTHING;
  const field = isObjectType(parent) || isInterfaceType(parent) ? parent.getFields()[name] : undefined;
  const inner = selections === undefined ? NOTHING : costOf(selections, field && getNamedType(field.type), document);
  return { depth: inner.depth + 1, fields: inner.fields + 1, cost: inner.cost * factorOf(field) + 1 };
}

/** A list that is bounded otherwise, like the parts of one tree, says itself how long it typically is. */
function factorOf(field: GraphQLField<unknown, unknown> | undefined): number {
  if (field === undefined || !isListType(getNullableType(field.type))) return 1;
  const { typicalLength } = field.extensions;
  return typeof typicalLength === 'number' ? typicalLength : LIST_FACTOR;
}

function fragmentCost(name: string, document: Document): Cost {
  const fragment = document.fragmentNamed(name);
  if (fragment === undefined || document.open.has(name)) return NOTHING;
  const known = document.costs.get(name);
  if (known !== undefined) return known;
  document.open.add(name);
  const cost = costOf(fragment.selectionSet, document.typeNamed(fragment.typeCondition.name.value), document);
  document.open.delete(name);
  document.costs.set(name, cost);
  return cost;
}
