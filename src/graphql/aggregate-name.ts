import type { AggregateName } from '../eventsourcing/reads/read-records.ts';
import { parseGlobalId, splitId } from './global-id.ts';

/** What is shown of a process has the name of the process in its id: `checkout-<uuid>`. */
const INSTANCE = /^(.+)-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** The aggregate that something of this type shows, as the log names it: a `DeadLetter` is a `dead-letter`. */
export function aggregateOf(typename: string, idOfAnyTime: string): AggregateName {
  const { id } = splitId(idOfAnyTime);
  const [, process, instance] = typename === 'ProcessInstance' ? (INSTANCE.exec(id) ?? []) : [];
  if (process !== undefined && instance !== undefined) return { type: process, id: instance };
  return { type: typename.replace(/(?<=.)[A-Z]/g, (letter) => `-${letter}`).toLowerCase(), id };
}

/** The aggregate that a global id names; undefined for a text that is none. */
export function aggregateNamedBy(globalId: string): AggregateName | undefined {
  const parsed = parseGlobalId(globalId);
  return parsed && aggregateOf(parsed.typename, parsed.id);
}
