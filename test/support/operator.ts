import type { Client } from 'graphql-ws';
import { expect, vi } from 'vitest';
import { encodeGlobalId, parseGlobalId } from '../../src/graphql/global-id.ts';

import { send } from './requests.ts';
import { type Input, type Mutated, mutationOf, type Outcome, outcomeOf, type Receipt, Shop } from './shop.ts';
import { type Watching, watch } from './sockets.ts';

/** What operators ask, and whoever follows a command that they sent. */

const PATIENCE = { timeout: 40_000, interval: 10 };

export interface CommandView {
  readonly id: string;
  readonly commandId: string;
  readonly name: string;
  readonly aggregateType: string;
  readonly aggregateId: string;
  readonly status: string;
  readonly attempts: number;
  readonly actor: { readonly kind: string; readonly id: string | null };
  readonly input: Readonly<Record<string, unknown>>;
  readonly rejection: { readonly code: string } | null;
  readonly error: string | null;
  readonly events: readonly { readonly type: string; readonly version: number; readonly recordedAt: string }[];
  readonly submittedAt: string;
  readonly dueAt: string | null;
  readonly deadline: string | null;
  readonly finishedAt: string | null;
  readonly correlationId: string;
  readonly causationId: string | null;
}

export const COMMAND = `id commandId name aggregateType aggregateId status attempts actor { kind id } input rejection error
  events { type version recordedAt } submittedAt dueAt deadline finishedAt correlationId causationId`;
export const COMMAND_CHANGED = `subscription Follow($id: ID!) { commandChanged(commandId: $id) { ${COMMAND} } }`;

export interface CommandChanged {
  readonly commandChanged: CommandView;
}

export interface DeadLetterView {
  readonly id: string;
  readonly source: string;
  readonly subject: string;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly error: string;
  readonly attempts: number;
  readonly failedAt: string;
  readonly waitingBehind: number;
  readonly status: string;
  readonly droppedReason: string | null;
}

const DEAD_LETTER = 'id source subject payload error attempts failedAt waitingBehind status droppedReason';

export interface ProcessView {
  readonly id: string;
  readonly process: string;
  readonly status: string;
  readonly correlationId: string;
  readonly startedAt: string;
  readonly finishedAt: string | null;
  readonly steps: readonly { readonly name: string; readonly status: string; readonly detail: string | null }[];
}

const PROCESS = 'id process status correlationId startedAt finishedAt steps { name status at detail }';

export interface Page<Item> {
  readonly totalCount: number | null;
  readonly nodes: readonly Item[];
  readonly edges: readonly { readonly cursor: string; readonly node: Item }[];
  readonly pageInfo: {
    readonly hasNextPage: boolean;
    readonly hasPreviousPage: boolean;
    readonly startCursor: string | null;
    readonly endCursor: string | null;
  };
}

const PAGE = 'totalCount edges { cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }';
const PAGING = '$first: Int, $after: String, $last: Int, $before: String';
const PAGE_ARGUMENTS = 'first: $first, after: $after, last: $last, before: $before';

export const LISTS = {
  commands: `query Commands($filter: CommandFilter, ${PAGING}) {
    commands(filter: $filter, ${PAGE_ARGUMENTS}) { nodes { ${COMMAND} } ${PAGE} } }`,
  deadLetters: `query DeadLetters($source: String, ${PAGING}) {
    deadLetters(source: $source, ${PAGE_ARGUMENTS}) { nodes { ${DEAD_LETTER} } ${PAGE} } }`,
  processes: `query Processes($status: [String!], $correlationId: ID, ${PAGING}) {
    processes(status: $status, correlationId: $correlationId, ${PAGE_ARGUMENTS}) { nodes { ${PROCESS} } ${PAGE} } }`,
};

/** What the mutations of operators end with. */
export interface Operated extends Outcome {
  readonly command?: CommandView;
  readonly deadLetter?: DeadLetterView;
  readonly count?: number;
}

const RECEIPT = '{ commandId correlationId status position version replayed }';
const OPERATED = {
  cancelCommand: `... on CommandPayload { command { ${COMMAND} } receipt ${RECEIPT} }
    ... on NotFound { id } ... on IllegalState { state }`,
  retryDeadLetter: `... on DeadLetterPayload { deadLetter { ${DEAD_LETTER} } receipt ${RECEIPT} }
    ... on NotFound { id } ... on IllegalState { state }`,
  dropDeadLetter: `... on DeadLetterPayload { deadLetter { ${DEAD_LETTER} } receipt ${RECEIPT} }
    ... on NotFound { id } ... on IllegalState { state }`,
  retryDeadLetters: `... on DeadLettersPayload { count receipt ${RECEIPT} } ... on NotFound { id }`,
} as const;

/** A client that looks after what a shop's clients have sent. */
export class Operator extends Shop {
  /** Every answer that it was given, as it came. */
  readonly answers: string[] = [];
  readonly #correlation: Readonly<Record<string, string>>;

  /** @param correlationId common to all that it sends; without it each request has its own */
  constructor(url: string, token?: string, correlationId?: string) {
    super(url, token);
    this.#correlation = correlationId === undefined ? {} : { 'x-correlation-id': correlationId };
  }

  override async ask<Data>(query: string, variables?: Input) {
    const headers = { ...this.headers, ...this.#correlation };
    const answer = await send<Data, Input>(this.url, query, variables, headers);
    this.answers.push(JSON.stringify(answer));
    return answer;
  }

  /** Runs a mutation later, or in the background. */
  async schedule(field: string, input: Input, schedule: Input = {}): Promise<Outcome> {
    const document = mutationOf(field)
      .replace('$input:', '$schedule: ScheduleInput, $input:')
      .replace('(input: $input)', '(input: $input, schedule: $schedule)');
    return outcomeOf(field, await this.read<Mutated>(document, { input, schedule }));
  }

  /** Queues a mutation that must be accepted. @returns its commandId */
  async queue(field: string, input: Input, schedule: Input = {}): Promise<string> {
    const outcome = await this.schedule(field, input, schedule);
    expect(outcome).toMatchObject({ __typename: 'CommandAccepted', receipt: { status: 'QUEUED' } });
    return receiptOf(outcome).commandId;
  }

  async command(commandId: string): Promise<CommandView | null> {
    const query = `query Command($id: ID!) { command(commandId: $id) { ${COMMAND} } }`;
    return (await this.read<{ command: CommandView | null }>(query, { id: commandId })).command;
  }

  /** Waits until a command has a status. */
  untilStatus(commandId: string, ...statuses: readonly string[]): Promise<CommandView> {
    return vi.waitFor(async () => {
      const command = await this.command(commandId);
      if (command === null || !statuses.includes(command.status)) {
        throw new Error(`The command is ${command?.status}: ${JSON.stringify(command)}`);
      }
      return command;
    }, PATIENCE);
  }

  async commands(variables: Input = {}): Promise<Page<CommandView>> {
    return (await this.read<{ commands: Page<CommandView> }>(LISTS.commands, variables)).commands;
  }

  async deadLetters(source?: string): Promise<readonly DeadLetterView[]> {
    return (await this.deadLetterPage({ source })).nodes;
  }

  async deadLetterPage(variables: Input): Promise<Page<DeadLetterView>> {
    return (await this.read<{ deadLetters: Page<DeadLetterView> }>(LISTS.deadLetters, variables)).deadLetters;
  }

  async processes(correlationId: string): Promise<readonly ProcessView[]> {
    return (await this.processPage({ correlationId })).nodes;
  }

  async processPage(variables: Input): Promise<Page<ProcessView>> {
    return (await this.read<{ processes: Page<ProcessView> }>(LISTS.processes, variables)).processes;
  }

  async node<Data>(id: string, fields: string): Promise<Data | null> {
    const query = `query Node($id: ID!) { node(id: $id) { __typename id ${fields} } }`;
    return (await this.read<{ node: Data | null }>(query, { id })).node;
  }

  /** Runs a mutation of operators by its name. */
  async operate(field: keyof typeof OPERATED, input: Input): Promise<Operated> {
    const type = `${field[0]?.toUpperCase()}${field.slice(1)}Input`;
    const document = `mutation Operate($input: ${type}!) {
      ${field}(input: $input) { __typename ... on Rejection { code message kept: receipt ${RECEIPT} }
        ... on ValidationFailed { fields { path message } } ${OPERATED[field]} } }`;
    return outcomeOf(field, await this.read<Mutated>(document, { input }));
  }

  follow(client: Client, commandId: string): Watching<CommandChanged> {
    return watch<CommandChanged>(client, { query: COMMAND_CHANGED, variables: { id: commandId } });
  }
}

/** The receipt of a command that must have one. */
export function receiptOf({ receipt }: Pick<Outcome, 'receipt'>): Receipt {
  if (receipt === undefined || receipt === null) throw new Error('It has no receipt.');
  return receipt;
}

/** So many milliseconds from now, as clients send it. */
export function inMs(milliseconds: number): string {
  return new Date(Date.now() + milliseconds).toISOString();
}

export function rawId(globalId: string): string {
  const parsed = parseGlobalId(globalId);
  if (parsed === undefined) throw new Error(`${globalId} is no global id.`);
  return parsed.id;
}

export function commandNode(commandId: string): string {
  return encodeGlobalId('Command', commandId);
}

/** The id of what a process does about one thing. */
export function processNode(process: string, instanceId: string): string {
  return encodeGlobalId('ProcessInstance', `${process}-${instanceId}`);
}

/** Waits until something holds, or until what was asked for is there. */
export function eventually<T>(look: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(look, PATIENCE);
}
