import type { CommandMutation } from '../../graphql/command-mutation.ts';
import { rawIdOf } from '../../graphql/command-mutation.ts';
import { COMMAND_ID, EXPECTED_VERSION } from '../../graphql/descriptions.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';
import type { SharedTypes } from '../shared-types.ts';
import { contentsAt, undoStepOf } from './past-contents.ts';
import type { CartRow } from './projection.ts';
import { restoreCart, undoCartChange } from './restore-commands.ts';

/** How the mutations of a cart are answered. */
export type CartAnswer<Payload> = Pick<
  CommandMutation<object, CartRow, Payload>,
  'payload' | 'idType' | 'load' | 'show'
>;

/** Back to an earlier version of a cart. What was in it then is read before the command, which carries it. */
export function addRestoreMutations<Payload extends object>(
  { builder, rejections, addCommandMutation }: SchemaKit,
  { insufficientStock, limitExceeded }: SharedTypes,
  answer: CartAnswer<Payload>,
): void {
  const { versionConflict, notFound, illegalState } = rejections;
  const refusals = [versionConflict, notFound, illegalState, insufficientStock, limitExceeded];
  addCommandMutation({
    ...answer,
    field: 'restoreCart',
    command: restoreCart,
    inputNames: { past: 'toVersion' },
    input: builder.inputType('RestoreCartInput', {
      description: restoreCart.description,
      fields: (t) => ({
        commandId: t.id({ description: COMMAND_ID }),
        expectedVersion: t.int({ description: EXPECTED_VERSION }),
        cartId: t.id({ required: true, description: 'The id of the cart.' }),
        toVersion: t.int({ required: true, description: 'The version whose contents it is to have again, from 1 on.' }),
      }),
    }),
    data: async ({ cartId: sentId, toVersion }, context) => {
      const cartId = rawIdOf('Cart', sentId);
      return { cartId, toVersion, past: await contentsAt(cartId, toVersion, context) };
    },
    rejections: refusals,
  });
  addCommandMutation({
    ...answer,
    field: 'undoCartChange',
    command: undoCartChange,
    input: builder.inputType('UndoCartChangeInput', {
      description: undoCartChange.description,
      fields: (t) => ({
        commandId: t.id({ description: COMMAND_ID }),
        expectedVersion: t.int({ description: EXPECTED_VERSION }),
        cartId: t.id({ required: true, description: 'The id of the cart.' }),
      }),
    }),
    data: async ({ cartId: sentId }, context) => {
      const cartId = rawIdOf('Cart', sentId);
      return { cartId, ...(await undoStepOf(cartId, context)) };
    },
    readAt: ({ readAt }) => (typeof readAt === 'number' && readAt > 0 ? readAt : undefined),
    rejections: refusals,
  });
}
