import type { Context } from '../context.ts';
import { declareHistorySchema } from './schema.ts';

/** What happened, of all contexts alike: the log, and what was the cause of what. It has no state of its own. */
export const historyContext: Context = {
  name: 'history',
  aggregates: [],
  projections: [],
  declareSchema: declareHistorySchema,
};
