import type { RequestContext } from '../../graphql/context.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';
import type { SharedTypes } from '../shared-types.ts';
import { addArchiveMutation } from './archive-mutation.ts';
import { addCommandType } from './command-type.ts';
import { addDeadLetterType } from './dead-letter-type.ts';
import { addLogVerification } from './log-verification-type.ts';
import { addCancelCommand, addDeadLetterMutations, addRetryDeadLetters } from './mutations.ts';
import { addProcessType } from './process-type.ts';
import { addProjectionMutations } from './projection-mutations.ts';
import { addProjectionType } from './projection-type.ts';
import { addStoreType } from './store-type.ts';

export function declareOperationsSchema(kit: SchemaKit, shared: SharedTypes): void {
  const command = addCommandType(kit);
  const load = async (id: string, { engine }: RequestContext) => (await engine.commandRecords.find([id])).get(id);
  shared.provideLink('Command', { ref: command, load });
  addCancelCommand(kit, command);
  addDeadLetterMutations(kit, addDeadLetterType(kit));
  addRetryDeadLetters(kit);
  addProcessType(kit, shared);
  addArchiveMutation(kit);
  addProjectionMutations(kit, addProjectionType(kit));
  addStoreType(kit);
  addLogVerification(kit);
}
