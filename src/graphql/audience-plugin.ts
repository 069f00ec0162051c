import SchemaBuilder, {
  BasePlugin,
  type FieldNullability,
  type InputFieldMap,
  type PothosOutputFieldConfig,
  type SchemaTypes,
  type TypeParam,
} from '@pothos/core';
import type { GraphQLFieldResolver } from 'graphql';
import { type Actor, type Audience, isAudience } from '../eventsourcing/actor.ts';
import { fault } from './faults.ts';

declare global {
  namespace PothosSchemaTypes {
    interface Plugins<Types extends SchemaTypes> {
      audience: AudiencePlugin<Types>;
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
      /** Who the field is for; without it, whoever its type is for. */
      audience?: Audience;
    }
    interface BaseTypeOptions<Types extends SchemaTypes = SchemaTypes> {
      /** Who the fields of this type are for, where they do not say so themselves. */
      audience?: Audience;
    }
  }
}

/** Types that only hold others, whose own fields decide. */
const CONTAINER = /(^PageInfo|Connection|Edge)$/;

/**
 * Every field declares who it is for. Others get null from a field that may be null, and an error from one that may
 * not. Mutations are let through: their command's audience is checked by the executor, which answers with `Forbidden`.
 */
class AudiencePlugin<Types extends SchemaTypes> extends BasePlugin<Types> {
  override onOutputFieldConfig(field: PothosOutputFieldConfig<Types>): PothosOutputFieldConfig<Types> {
    return { ...field, extensions: { ...field.extensions, audience: this.#audienceOf(field) } };
  }

  override wrapResolve(
    resolver: GraphQLFieldResolver<unknown, Types['Context'], object>,
    field: PothosOutputFieldConfig<Types>,
  ): GraphQLFieldResolver<unknown, Types['Context'], object> {
    const audience = this.#audienceOf(field);
    if (field.kind === 'Mutation' || audience === undefined || audience === 'public' || audience === 'owner')
      return resolver;
    return this.#guard(resolver, field, audience);
  }

  override wrapSubscribe(
    subscriber: GraphQLFieldResolver<unknown, Types['Context'], object> | undefined,
    field: PothosOutputFieldConfig<Types>,
  ): GraphQLFieldResolver<unknown, Types['Context'], object> | undefined {
    const audience = this.#audienceOf(field);
    return subscriber === undefined || audience === undefined ? subscriber : this.#guard(subscriber, field, audience);
  }

  #guard(
    resolver: GraphQLFieldResolver<unknown, Types['Context'], object>,
    field: PothosOutputFieldConfig<Types>,
    audience: Audience,
  ): GraphQLFieldResolver<unknown, Types['Context'], object> {
    return (parent, args, context, info) => {
      if (hasActor(context) && isAudience(context.actor, audience)) return resolver(parent, args, context, info);
      if (field.type.nullable) return null;
      throw fault('FORBIDDEN', `${field.parentType}.${field.name} is for ${audience} only.`);
    };
  }

  #audienceOf(field: PothosOutputFieldConfig<Types>): Audience | undefined {
    if (field.pothosOptions.audience !== undefined) return field.pothosOptions.audience;
    const type = this.builder.configStore.getTypeConfig(field.parentType);
    return type.pothosOptions.audience ?? (CONTAINER.test(field.parentType) ? 'public' : undefined);
  }
}

function hasActor(context: object): context is { actor: Actor } {
  return 'actor' in context;
}

SchemaBuilder.registerPlugin('audience', AudiencePlugin);
