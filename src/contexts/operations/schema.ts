import type { SchemaKit } from '../../graphql/schema-kit.ts';
import type { SharedTypes } from '../shared-types.ts';
import { addCommandType } from './command-type.ts';
import { addDeadLetterType } from './dead-letter-type.ts';
import { addCancelCommand, addDeadLetterMutations, addRetryDeadLetters } from './mutations.ts';
import { addProcessType } from './process-type.ts';

export function declareOperationsSchema(kit: SchemaKit, shared: SharedTypes): void {
  addCancelCommand(kit, addCommandType(kit));
  addDeadLetterMutations(kit, addDeadLetterType(kit));
  addRetryDeadLetters(kit);
  addProcessType(kit, shared);
}
