import type { CustomerCommand } from './commands.ts';

/** What processes may ask of customers. */
export type CustomerRequest = Extract<CustomerCommand, { type: 'RecordCustomer' }>;
