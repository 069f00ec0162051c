import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { NotStorable, personal, protectedFields, StorageCodec, secret } from '../../src/eventsourcing/codec.ts';

const codec = new StorageCodec();
const mail = personal(z.email(), 'customerId');
const token = secret(z.string());
const bearer = z.object({ mail });

interface Tree {
  mail: string;
  children: Tree[];
}
const tree: z.ZodType<Tree> = z.object({ mail, children: z.lazy(() => z.array(tree)) });
const harmlessTree: z.ZodType<unknown> = z.object({ name: z.string(), children: z.lazy(() => z.array(harmlessTree)) });

describe('The storage codec refuses a schema with a protected field', () => {
  const schemas: Record<string, z.ZodType> = {
    'of an object': z.object({ name: z.string(), mail }),
    'that is secret': z.object({ token }),
    'as the schema itself': mail,
    'of a nested object': z.object({ who: z.object({ contact: bearer }) }),
    'of the elements of an array': z.object({ guests: z.array(bearer) }),
    'that is an array itself': z.object({ mails: personal(z.array(z.email()), 'customerId') }),
    'that is optional': z.object({ mail: mail.optional() }),
    'that is nullable': z.object({ mail: mail.nullable() }),
    'that is nullish': z.object({ mail: mail.nullish() }),
    'that has a default': z.object({ mail: mail.default('a@example.org') }),
    'that has a prefault': z.object({ mail: mail.prefault('a@example.org') }),
    'that was optional and is not': z.object({ mail: mail.optional().nonoptional() }),
    'that is caught': z.object({ mail: mail.catch('a@example.org') }),
    'that is readonly': z.object({ mail: mail.readonly() }),
    'of a readonly object': z.object({ who: bearer.readonly() }),
    'of a union': z.object({ who: z.union([z.string(), bearer]) }),
    'of a discriminated union': z.object({
      who: z.discriminatedUnion('kind', [
        z.object({ kind: z.literal('guest') }),
        z.object({ kind: z.literal('customer'), mail }),
      ]),
    }),
    'of an intersection': z.object({ who: z.intersection(z.object({ name: z.string() }), bearer) }),
    'of the values of a record': z.object({ byName: z.record(z.string(), bearer) }),
    'of the keys of a record': z.object({ byMail: z.record(mail, z.number()) }),
    'of a tuple': z.object({ pair: z.tuple([z.string(), mail]) }),
    'of the rest of a tuple': z.object({ list: z.tuple([z.string()], mail) }),
    'of a map': z.object({ byName: z.map(z.string(), mail) }),
    'of a set': z.object({ mails: z.set(mail) }),
    'before a pipe': z.object({ mail: mail.pipe(z.string()) }),
    'after a pipe': z.object({ mail: z.string().pipe(mail) }),
    'before a transformation': z.object({ mail: mail.transform((it) => it.toLowerCase()) }),
    'after preprocessing': z.object({ mail: z.preprocess((it) => it, mail) }),
    'of a codec': z.object({ mail: z.codec(mail, z.string(), { decode: (it) => it, encode: (it) => it }) }),
    'that is lazy': z.object({ mail: z.lazy(() => mail) }),
    'of a promise': z.object({ mail: z.promise(mail) }),
    'of whatever else an object has': z.object({ name: z.string() }).catchall(mail),
    'of a recursive schema': tree,
    'that was described afterwards': z.object({ mail: mail.describe('Where letters go.') }),
    'that got metadata afterwards': z.object({ mail: mail.meta({ description: 'Where letters go.' }) }),
    'that was refined afterwards': z.object({ mail: mail.refine((it) => it.endsWith('.org')) }),
    'that got a rule afterwards': z.object({ name: personal(z.string(), 'customerId').max(80) }),
    'that was trimmed afterwards': z.object({ name: personal(z.string(), 'customerId').trim() }),
    'that was branded afterwards': z.object({ mail: mail.brand('mail') }),
    'of an object that was extended': bearer.extend({ name: z.string() }),
    'of a partial object': bearer.partial(),
    'that was picked': z.object({ name: z.string(), mail }).pick({ mail: true }),
  };
  it.each(Object.entries(schemas))('%s', (_, schema) => {
    expect(() => codec.admit('Schema', schema)).toThrow(NotStorable);
  });

  it('and names it by its path', () => {
    const schema = z.object({ orders: z.array(z.object({ guest: bearer.nullable() })), token });
    expect([...protectedFields(schema)]).toEqual([
      ['.orders[].guest.mail', { kind: 'personal', subject: 'customerId' }],
      ['.token', { kind: 'secret' }],
    ]);
    expect(() => codec.admit('OrderPlaced', schema)).toThrow(/OrderPlaced .*\.orders\[\]\.guest\.mail/);
  });
});

describe('The storage codec', () => {
  it('marks a copy: the schema that was marked may be used elsewhere', () => {
    const plain = z.string();
    personal(plain, 'customerId');
    expect(() => codec.admit('Schema', z.object({ plain }))).not.toThrow();
  });

  it('admits schemas without protected fields, recursive ones too', () => {
    for (const schema of [z.object({ name: z.string().nullable(), tags: z.array(z.string()) }), harmlessTree]) {
      expect(() => codec.admit('Schema', schema)).not.toThrow();
    }
  });

  it('encodes what fits, without members that the schema does not know', () => {
    expect(codec.encode(z.object({ a: z.number() }), { a: 1, b: 2 })).toEqual({ a: 1 });
  });

  it('refuses what does not fit, and says why', () => {
    expect(() => codec.encode(z.object({ a: z.number() }), { a: 'one' })).toThrow(NotStorable);
    expect(() => codec.encode(z.object({ a: z.number() }), { a: 'one' })).toThrow(/expected number.*\n.*at a/);
  });
});
