import { createComplexityRule } from '@pothos/plugin-complexity';
import type { Plugin } from 'graphql-yoga';

/** What one operation may ask for. GraphiQL's introspection passes. */
const MAX_TOKENS = 4_000;
const MAX_DEPTH = 16;
const MAX_BREADTH = 600;
const MAX_COMPLEXITY = 20_000;

/**
 * Refuses operations that would cost too much, before they run. The cost is that of the document alone, whatever its
 * variables: so it is worked out once for each document.
 */
export function useOperationLimits(): Plugin {
  return {
    onParse: ({ params, setParseFn, parseFn }) => {
      params.options = { ...params.options, maxTokens: MAX_TOKENS };
      setParseFn(parseFn);
    },
    onValidate: ({ addValidationRule }) => {
      addValidationRule(limitCost);
    },
  };
}

const limitCost = createComplexityRule({
  context: {},
  variableValues: {},
  maxDepth: MAX_DEPTH,
  maxBreadth: MAX_BREADTH,
  maxComplexity: MAX_COMPLEXITY,
});
