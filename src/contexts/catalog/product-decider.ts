import type { Decider, Decision } from '../../eventsourcing/commands/decider.ts';
import { illegalState, notFound } from '../../eventsourcing/commands/rejection.ts';
import type { Money } from '../values.ts';
import type { ProductCommand } from './commands.ts';
import type { ProductEvent } from './events.ts';

export type ProductState = { status: 'unknown' } | { status: 'active' | 'inactive'; price: Money };

type CommandData<Type extends ProductCommand['type']> = Extract<ProductCommand, { type: Type }>['data'];

export const productDecider: Decider<ProductState, ProductCommand, ProductEvent> = {
  initialState: { status: 'unknown' },
  decide(command, state) {
    switch (command.type) {
      case 'AddProduct':
        return add(command.data, state);
      case 'ChangeProductPrice':
        return changePrice(command.data, state);
      case 'DeactivateProduct':
        return deactivate(command.data, state);
      default:
        return command satisfies never;
    }
  },
  evolve(state, event) {
    switch (event.type) {
      case 'ProductAdded':
        return { status: 'active', price: event.data.price };
      case 'ProductPriceChanged':
        return state.status === 'unknown' ? state : { ...state, price: event.data.price };
      case 'ProductDeactivated':
        return state.status === 'unknown' ? state : { ...state, status: 'inactive' };
      default:
        return event satisfies never;
    }
  },
};

function add(data: CommandData<'AddProduct'>, state: ProductState): Decision<ProductEvent> {
  const { sku, name, description = null, price } = data;
  if (state.status !== 'unknown') {
    return illegalState(state.status.toUpperCase(), `There is a product "${sku}" already.`);
  }
  return [{ type: 'ProductAdded', data: { sku, name: name.trim(), description, price } }];
}

function changePrice({ sku, price }: CommandData<'ChangeProductPrice'>, state: ProductState): Decision<ProductEvent> {
  if (state.status === 'unknown') return notFound('product', sku);
  if (price.amountMinor === state.price.amountMinor && price.currency === state.price.currency) return [];
  return [{ type: 'ProductPriceChanged', data: { sku, price, previousPrice: state.price } }];
}

function deactivate({ sku }: CommandData<'DeactivateProduct'>, state: ProductState): Decision<ProductEvent> {
  if (state.status === 'unknown') return notFound('product', sku);
  if (state.status === 'inactive') return illegalState('INACTIVE', `The product "${sku}" is not active.`);
  return [{ type: 'ProductDeactivated', data: { sku } }];
}
