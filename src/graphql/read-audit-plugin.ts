import SchemaBuilder, {
  BasePlugin,
  completeValue,
  type FieldNullability,
  getTypeBrand,
  type InputFieldMap,
  type InputShapeFromFields,
  type InterfaceParam,
  isThenable,
  type PothosInputFieldType,
  type PothosOutputFieldConfig,
  type PothosOutputFieldType,
  type PothosTypeConfig,
  type SchemaTypes,
  type TypeParam,
} from '@pothos/core';
import { GraphQLError, type GraphQLFieldResolver, type GraphQLResolveInfo } from 'graphql';
import { AUDIENCES, type Audience, isAudience } from '../eventsourcing/actor.ts';
import type { AggregateName, ReadOutcome } from '../eventsourcing/reads/read-records.ts';
import { aggregateNamedBy, aggregateOf } from './aggregate-name.ts';
import type { RequestContext } from './context.ts';
import { type OperationReads, readsOf } from './operation-reads.ts';

declare global {
  namespace PothosSchemaTypes {
    interface Plugins<Types extends SchemaTypes> {
      readAudit: ReadAuditPlugin<Types>;
    }
    interface BuildSchemaOptions<Types extends SchemaTypes> {
      /** Whether it is recorded who reads what. */
      auditReads?: boolean;
    }
    interface FieldOptions<
      Types extends SchemaTypes = SchemaTypes,
      ParentShape = unknown,
      Type extends TypeParam<Types> = TypeParam<Types>,
      Nullable extends FieldNullability<Type> = FieldNullability<Type>,
      Args extends InputFieldMap = InputFieldMap,
      ResolveShape = unknown,
      ResolveReturnShape = unknown,
    > {
      /**
       * Of a field at the root whose arguments name an aggregate otherwise than by its id in the API: which one; undefined
       * if these do not. `nothing`: it shows nothing of any aggregate. For the audit of reads.
       */
      reads?: 'nothing' | ((args: InputShapeFromFields<Args>) => AggregateName | undefined);
    }
    interface ObjectTypeOptions<Types extends SchemaTypes = SchemaTypes, Shape = unknown> {
      /** What somebody reads who is shown this, for the audit of reads. Nodes need not say so: they have an id. */
      aggregates?: (value: Shape) => readonly AggregateName[];
    }
    interface InterfaceTypeOptions<
      Types extends SchemaTypes = SchemaTypes,
      Shape = unknown,
      Interfaces extends InterfaceParam<Types>[] = InterfaceParam<Types>[],
      ResolveType = unknown,
    > {
      /** What somebody reads who is shown this, for the audit of reads. */
      aggregates?: (value: Shape) => readonly AggregateName[];
    }
  }
}

type Resolver = GraphQLFieldResolver<unknown, RequestContext, Arguments>;
type Arguments = Readonly<Record<string, unknown>>;
type Name = (value: unknown) => readonly AggregateName[];

interface Shown {
  readonly aggregates: Name;
  /** It is for everybody: then only who asks for it by its id is recorded, not who sees it in a list. */
  readonly isPublic: boolean;
}

/**
 * Records who is shown what, where reads are audited; otherwise nothing is wrapped, and it costs nothing. It goes by the
 * types: whatever field shows a node, at the root, in a list, deep within something else, or in a live view, passes here.
 * So a context that declares its types as nodes cannot forget it; and a test walks the schema for what is none.
 */
class ReadAuditPlugin<Types extends SchemaTypes> extends BasePlugin<Types> {
  /** Says of each type whether it is one that is recorded, for whoever checks the schema. */
  override onTypeConfig(type: PothosTypeConfig): PothosTypeConfig {
    if (namesOf(type) === undefined) return type;
    return { ...type, extensions: { ...type.extensions, isAudited: true } };
  }

  /** Says of each field whether it tells itself what it reads. */
  override onOutputFieldConfig(field: PothosOutputFieldConfig<Types>): PothosOutputFieldConfig<Types> {
    const ids = this.#idArguments(field);
    const namesAggregate = field.pothosOptions.reads !== undefined || ids.some(({ isRequired }) => isRequired);
    return { ...field, extensions: { ...field.extensions, namesAggregate } };
  }

  override wrapResolve(
    resolver: GraphQLFieldResolver<unknown, Types['Context'], object>,
    field: PothosOutputFieldConfig<Types>,
  ): GraphQLFieldResolver<unknown, Types['Context'], object> {
    if (this.options.auditReads !== true) return resolver;
    const shown = this.#shownBy(field.type);
    if (field.kind === 'Query') return this.#audited(resolver as Resolver, field, shown) as typeof resolver;
    const isRoot = field.kind === 'Mutation' || field.kind === 'Subscription';
    if (!isRoot && (shown === undefined || shown.isPublic)) return resolver;
    const within: Resolver = (parent, args, context, info) => {
      const reads = readsOf(context, info);
      if (isRoot) reads.begin(info);
      const value = resolver(parent, args, context, info);
      return shown === undefined || shown.isPublic ? value : recordShown(value, shown, reads, info);
    };
    return within as typeof resolver;
  }

  override wrapSubscribe(
    subscriber: GraphQLFieldResolver<unknown, Types['Context'], object> | undefined,
    field: PothosOutputFieldConfig<Types>,
  ): GraphQLFieldResolver<unknown, Types['Context'], object> | undefined {
    if (this.options.auditReads !== true || subscriber === undefined) return subscriber;
    return this.#audited(subscriber as Resolver, field, undefined) as typeof subscriber;
  }

  #audited(resolver: Resolver, field: PothosOutputFieldConfig<Types>, shown: Shown | undefined): Resolver {
    const ids = this.#idArguments(field).map(({ name }) => name);
    const { reads } = field.pothosOptions;
    return audited(resolver, {
      shown,
      audience: AUDIENCES.find((it) => it === field.extensions?.['audience']),
      namedBy(args) {
        const own = reads === 'nothing' ? undefined : reads?.(args as never);
        return own === undefined ? namedBy(args, ids) : [own];
      },
    });
  }

  /** The arguments of a field at the root that are ids. */
  #idArguments({
    args,
    kind,
  }: PothosOutputFieldConfig<Types>): { readonly name: string; readonly isRequired: boolean }[] {
    if (kind !== 'Query' && kind !== 'Subscription') return [];
    return Object.entries(args)
      .filter(([, { type }]) => this.#isOfIds(type))
      .map(([name, { type }]) => ({ name, isRequired: type.required }));
  }

  #isOfIds(type: PothosInputFieldType<Types>): boolean {
    if (type.kind === 'List') return this.#isOfIds(type.type);
    return type.kind === 'Scalar' && this.builder.configStore.getTypeConfig(type.ref).name === 'ID';
  }

  /** What a field of this type shows, or the items of a list; undefined if it is nothing that has a name. */
  #shownBy(type: PothosOutputFieldType<Types>): Shown | undefined {
    if (type.kind === 'List') return this.#shownBy(type.type);
    if (type.kind !== 'Object' && type.kind !== 'Interface') return undefined;
    const config = this.builder.configStore.getTypeConfig(type.ref);
    if (config.name === 'Node') {
      // What is loaded by its id has the name of its type with it.
      const typed = (value: unknown) => this.builder.configStore.getTypeConfig(brandOf(value));
      return { aggregates: (value) => namesOf(typed(value))?.(value) ?? [], isPublic: false };
    }
    const aggregates = namesOf(config);
    if (aggregates === undefined) return undefined;
    const { aggregates: own, audience } = optionsOf(config);
    return { aggregates, isPublic: own === undefined && audience === 'public' };
  }
}

interface AuditedField {
  /** What it shows itself; undefined where that is told by what lies within. */
  readonly shown: Shown | undefined;
  readonly audience: Audience | undefined;
  namedBy(args: Arguments): readonly AggregateName[];
}

/** A field at the root: recorded in any case, whatever came of it. */
function audited(resolver: Resolver, { shown, audience, namedBy: nameOf }: AuditedField): Resolver {
  return (parent, args, context, info) => {
    const reads = readsOf(context, info);
    reads.begin(info);
    const named = nameOf(args);
    const isRefused = audience !== undefined && !isAudience(context.actor, audience);
    const record = (outcome: ReadOutcome, aggregates: readonly (AggregateName | null)[]) => {
      for (const aggregate of aggregates.length === 0 ? [null] : aggregates) reads.record(info, outcome, aggregate);
    };
    const failed = (error: unknown): never => {
      record(isRefused ? 'REFUSED' : outcomeOf(error), named);
      throw error;
    };
    const succeeded = (value: unknown) => {
      if (isRefused) record('REFUSED', named);
      else if (shown === undefined) record(value === null || value === undefined ? 'NOTHING' : 'SHOWN', named);
      else {
        const found = itemsOf(value).flatMap((it) => [...shown.aggregates(it)]);
        if (found.length > 0) record('SHOWN', found);
        const missing = named.filter(({ type, id }) => !found.some((it) => it.type === type && it.id === id));
        if (missing.length > 0 || found.length === 0) record('NOTHING', missing);
      }
      return value;
    };
    try {
      return completeValue(resolver(parent, args, context, info), succeeded, failed);
    } catch (error) {
      return failed(error);
    }
  };
}

function recordShown(value: unknown, shown: Shown, reads: OperationReads, info: GraphQLResolveInfo): unknown {
  return completeValue(value, (it) => {
    for (const item of itemsOf(it)) {
      // An item that fails is an error of the answer, and shows nothing.
      if (isThenable(item))
        item.then(
          (found) => recordItem(found),
          () => {},
        );
      else recordItem(item);
    }
    return it;
  });
  function recordItem(item: unknown): void {
    if (item === null || item === undefined) return;
    for (const aggregate of shown.aggregates(item)) reads.record(info, 'SHOWN', aggregate);
  }
}

function itemsOf(value: unknown): readonly unknown[] {
  return [value].flat().filter((it) => it !== null && it !== undefined);
}

/** The aggregates that arguments name by their ids. */
function namedBy(args: Arguments, ids: readonly string[]): AggregateName[] {
  return ids
    .flatMap((name) => args[name])
    .flatMap((id): readonly AggregateName[] => {
      // Those of `node` and `nodes` are decoded already.
      if (isDecoded(id)) return [aggregateOf(id.typename, id.id)];
      const found = typeof id === 'string' ? aggregateNamedBy(id) : undefined;
      return found === undefined ? [] : [found];
    });
}

interface TypeOptions {
  readonly aggregates?: Name;
  readonly audience?: string;
  /** Of a node. */
  readonly id?: { resolve(value: unknown): unknown };
  readonly loadMany?: unknown;
}

function optionsOf(type: PothosTypeConfig): TypeOptions {
  return type.pothosOptions as TypeOptions;
}

/** What is shown of a type, by its own word, or by its id if it is a node. */
function namesOf(type: PothosTypeConfig): Name | undefined {
  const { aggregates, id, loadMany } = optionsOf(type);
  if (aggregates !== undefined) return aggregates;
  if (id === undefined || loadMany === undefined) return undefined;
  return (value) => [aggregateOf(type.name, String(id.resolve(value)))];
}

function brandOf(value: unknown): string {
  const brand = getTypeBrand(value);
  if (typeof brand !== 'string') throw new Error('A node was loaded whose type is not known.');
  return brand;
}

function isDecoded(id: unknown): id is { typename: string; id: string } {
  return typeof id === 'object' && id !== null && 'typename' in id && 'id' in id;
}

function outcomeOf(error: unknown): ReadOutcome {
  const code = error instanceof GraphQLError ? error.extensions['code'] : undefined;
  if (code === 'FORBIDDEN') return 'REFUSED';
  return code === 'NOT_FOUND' ? 'NOTHING' : 'FAILED';
}

SchemaBuilder.registerPlugin('readAudit', ReadAuditPlugin);
