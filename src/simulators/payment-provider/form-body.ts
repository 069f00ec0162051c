import { ApiError, type Call } from '../http.ts';

/** A form as Stripe's libraries send it, `a[b][c]=x`, as nested records; lists are records with the keys 0, 1 … */
export type Form = { [key: string]: string | Form };

const NAME = /^([^[\]]+)((?:\[[^[\]]*\])*)$/;
const UNSAFE = new Set(['__proto__', 'constructor', 'prototype']);

/** @throws {ApiError} */
export function formOf({ body }: Pick<Call, 'body'>): Form {
  return nested(new URLSearchParams(body.toString('utf8')));
}

/** @throws {ApiError} a name is given as a value and as a record, or is no name */
export function nested(parameters: URLSearchParams): Form {
  const form: Form = {};
  for (const [name, value] of parameters) {
    const [, head, tail = ''] = NAME.exec(name) ?? [];
    if (head === undefined) throw malformed();
    const path = [
      head,
      ...tail
        .split('[')
        .slice(1)
        .map((it) => it.slice(0, -1)),
    ];
    if (path.some((it) => UNSAFE.has(it))) throw malformed();
    put(form, path, value);
  }
  return form;
}

function put(form: Form, path: readonly string[], value: string): void {
  const [given, ...rest] = path;
  const key = given || String(Object.keys(form).length);
  if (rest.length === 0) {
    form[key] = value;
    return;
  }
  form[key] ??= {};
  const inner = form[key];
  if (typeof inner === 'string') throw malformed();
  put(inner, rest, value);
}

function malformed(): ApiError {
  return new ApiError(400, 'parameter_unknown', 'A name in the form is malformed.');
}
