import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { KeyRing } from '../../../src/eventsourcing/keys/key-ring.ts';
import {
  hashOf,
  NotStorable,
  type Opening,
  personal,
  protectedFields,
  StorageCodec,
  secret,
} from '../../../src/eventsourcing/log/codec.ts';
import { createLogger } from '../../../src/platform/logger.ts';

const codec = new StorageCodec();
const mail = personal(z.email(), 'customerId');
const token = secret(z.string());
const bearer = z.object({ mail });

interface Tree {
  mail: string | null;
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
    'of the keys of a record': z.object({ byMail: z.record(secret(z.string()), z.number()) }),
    'of a tuple': z.object({ pair: z.tuple([z.string(), mail]) }),
    'of the rest of a tuple': z.object({ list: z.tuple([z.string()], mail) }),
    'of a map': z.object({ byName: z.map(z.string(), mail) }),
    'of a set': z.object({ mails: z.set(mail) }),
    'before a pipe': z.object({ mail: mail.pipe(z.string()) }),
    'after a pipe': z.object({ mail: z.string().nullable().pipe(mail) }),
    'before a transformation': z.object({ mail: mail.transform((it) => it?.toLowerCase()) }),
    'after preprocessing': z.object({ mail: z.preprocess((it) => it, mail) }),
    'of a codec': z.object({ mail: z.codec(mail, z.string().nullable(), { decode: (it) => it, encode: (it) => it }) }),
    'that is lazy': z.object({ mail: z.lazy(() => mail) }),
    'of a promise': z.object({ mail: z.promise(mail) }),
    'of whatever else an object has': z.object({ name: z.string() }).catchall(mail),
    'of a recursive schema': tree,
    'that was described afterwards': z.object({ mail: mail.describe('Where letters go.') }),
    'that got metadata afterwards': z.object({ mail: mail.meta({ description: 'Where letters go.' }) }),
    'that was refined afterwards': z.object({ mail: mail.refine((it) => it?.endsWith('.org')) }),
    'that got a rule afterwards': z.object({ token: token.max(80) }),
    'that was trimmed afterwards': z.object({ token: token.trim() }),
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

describe('The storage codec with keys', () => {
  const open = async () => {
    const rows = new Map<string, { subjectId: string; masterKeyId: string }>();
    const client = {
      query: (sql: string, given: unknown, masterKeyId: unknown) => {
        if (sql.includes('RECURSIVE')) return Promise.resolve([...rows.values()].map((it) => ({ id: it.masterKeyId })));
        if (!sql.includes('make_subject_keys')) {
          return Promise.resolve([...rows.values()].filter((it) => subjects(given).includes(it.subjectId)));
        }
        const made = addedKeys.parse(JSON.parse(String(given)));
        for (const { subject, wrapped } of made) {
          const row = { version: 1, wrappedKey: wrapped, masterKeyId: String(masterKeyId), isDestroyed: false };
          if (!rows.has(subject)) rows.set(subject, { subjectId: subject, ...row });
        }
        return Promise.resolve(['', ...made.map(({ subject }) => subject)].flatMap((it) => rows.get(it) ?? []));
      },
    };
    const logger = createLogger('silent');
    return new StorageCodec(await KeyRing.open({ client, masterKey: Buffer.alloc(32, 1), logger }));
  };
  const subjects = (given: unknown) => z.array(z.string()).parse(given);
  const addedKeys = z.array(z.object({ subject: z.string(), wrapped: z.string() }));
  const customerId = z.string();

  it('admits members of an object that are marked, optional or nullable too', async () => {
    const keyed = await open();
    const home = personal(z.object({ street: z.string() }), 'customerId');
    for (const member of [mail, mail.optional(), mail.nullish(), home, mail.describe('Where letters go.')]) {
      expect(() => keyed.admit('Schema', z.object({ customerId, member }))).not.toThrow();
    }
    expect(() => keyed.admit('Schema', z.object({ token: token.optional() }), 'command')).not.toThrow();
  });

  it('refuses what it could not protect, and says why', async () => {
    const keyed = await open();
    const refused: [z.ZodType, RegExp][] = [
      [mail, /protected field \(\), and only a member of the object itself/],
      [z.object({ who: z.object({ customerId, mail }) }), /\(\.who\.mail\), and only a member of the object itself/],
      [z.object({ customerId, mails: z.array(mail) }), /\(\.mails\[\]\), and only a member/],
      [z.object({ customerId, mail: mail.default('a@example.org') }), /\(\.mail\), and only a member/],
      [z.object({ customerId, mail: z.union([mail, z.number()]) }), /\(\.mail\), and only a member/],
      [z.object({ customerId }).catchall(mail), /\(\.\*\), and only a member/],
      [z.object({ mail }), /\(\.mail\), and no plain member customerId that says whose it is/],
      [z.object({ customerId: mail, mail }), /and no plain member customerId/],
      [z.object({ customerId, mail, found: hashOf('mail') }), /\(\.found\), and only a row has hashes/],
      [z.object({ token }), /\(\.token\), and only the input of a command can have a secret/],
    ];
    for (const [schema, why] of refused) expect(() => keyed.admit('Schema', schema)).toThrow(why);
  });

  const opening: Opening<{ id: string; data: unknown }> = {
    kind: 'event',
    name: () => 'Told',
    id: ({ id }) => id,
    data: ({ data }) => data,
    opened: ({ id }, data) => ({ id, data }),
  };

  it('gives back what it sealed, of any value, and nothing of it in another place', async () => {
    const keyed = await open();
    const member = personal(z.json(), 'customerId');
    keyed.admit('Told', z.object({ customerId, member, other: member.optional() }));
    const json = fc.jsonValue().map((it) => JSON.parse(JSON.stringify(it)));
    await fc.assert(
      fc.asyncProperty(json, json, fc.string({ unit: 'grapheme', minLength: 1 }), async (first, second, subject) => {
        fc.pre(!subject.includes('\u0000'));
        const wanted = new Set<string>();
        const value = { customerId: subject, member: first, other: second };
        keyed.addSubjects(wanted, 'event', 'Told', value);
        const keys = await keyed.keysFor(wanted);
        const open = async (id: string, data: unknown) =>
          (await keyed.openAll([{ id, data }], opening)).map((it) => it.data)[0];
        const sealed = z.record(z.string(), z.json()).parse(keyed.seal('event', 'Told', 'a', value, keys));
        expect(await open('a', sealed)).toEqual(value);
        const swapped = { ...sealed, member: sealed['other'] ?? null, other: sealed['member'] ?? null };
        expect(await open('a', swapped)).toMatchObject({ member: null, other: null });
        expect(await open('b', sealed)).toMatchObject({ member: null, other: null });
        // In the clear, or never sealed: nobody knows who wrote it.
        expect(await open('a', value)).toMatchObject({ member: null, other: null });
      }),
    );
  });

  it('stores nothing personal of which nobody is named', async () => {
    const keyed = await open();
    keyed.admit('Told', z.object({ customerId: customerId.nullable(), mail }));
    for (const nobody of [null, '', 'a\u0000']) {
      const value = { customerId: nobody, mail: 'a@example.org' };
      const wanted = new Set<string>();
      keyed.addSubjects(wanted, 'event', 'Told', value);
      const keys = await keyed.keysFor(wanted);
      expect(() => keyed.seal('event', 'Told', 'a', value, keys)).toThrow(NotStorable);
      expect(keyed.seal('event', 'Told', 'a', { ...value, mail: null }, keys)).toEqual({ ...value, mail: null });
    }
  });
});
