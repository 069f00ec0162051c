import type { SchemaKit } from '../../graphql/schema-kit.ts';
import type { SharedTypes } from '../shared-types.ts';
import { addCausation } from './causation-type.ts';
import { addDiff } from './diff.ts';
import { addEventFilter } from './event-filter-input.ts';
import { addEventList } from './event-list.ts';
import { addEventsAppended } from './events-appended.ts';
import { addReadAudit } from './read-audit-list.ts';

export function declareHistorySchema(kit: SchemaKit, shared: SharedTypes): void {
  const filter = addEventFilter(kit);
  addEventList(kit, filter);
  addEventsAppended(kit, filter);
  addCausation(kit, shared);
  addDiff(kit);
  addReadAudit(kit);
}
