import type { JsonSchema } from '../../api/requests.ts';
import { methodsOf, readTyped } from './schema-fields.ts';

/** What was typed into the form, by the path of the request's field; an empty text leaves a field out. */
export type Typed = Readonly<Record<string, string>>;

export const DEFAULT_METHOD = 'auto';

/** The fields of a method as paths of the request, as they are for the method that is chosen. */
export function methodFields(schema: JsonSchema, typed: Typed): [path: string, schema: JsonSchema][] {
  const fields = methodsOf(schema.properties?.method ?? {}).get(typed['method.type'] || DEFAULT_METHOD) ?? {};
  return Object.entries(fields).map(([name, field]) => [`method.${name}`, field]);
}

export function hyperparameterFields(schema: JsonSchema): [path: string, schema: JsonSchema][] {
  const fields = schema.properties?.hyperparameters?.properties ?? {};
  return Object.entries(fields).map(([name, field]) => [`hyperparameters.${name}`, field]);
}

/** Fields outside of the method and the hyperparameters that the form offers, beyond its first three. */
export const OTHER_FIELDS = ['effort', 'metric', 'validation_split', 'seed', 'metadata'] as const;

/** The body of `POST /v1/adapters`: what was typed, and nothing of a method that is no longer chosen. */
export function requestOf(typed: Typed, schema: JsonSchema | undefined): Record<string, unknown> {
  const text: JsonSchema = { type: 'string' };
  const plain = ['name', 'training_file', 'validation_file', 'base_model', 'method.type'];
  const other = OTHER_FIELDS.map((name): [string, JsonSchema] => [name, schema?.properties?.[name] ?? text]);
  const fields: [string, JsonSchema][] = [
    ...plain.map((path): [string, JsonSchema] => [path, text]),
    ...other,
    ...(schema ? [...methodFields(schema, typed), ...hyperparameterFields(schema)] : []),
  ];
  const request: Record<string, unknown> = {};
  for (const [path, field] of fields) {
    const value = typed[path]?.trim();
    if (!value) continue;
    const [first, second] = path.split('.') as [string, string?];
    if (second === undefined) request[first] = readTyped(field, value);
    else request[first] = { ...(request[first] as object), [second]: readTyped(field, value) };
  }
  if (request.method) request.method = { type: DEFAULT_METHOD, ...request.method };
  return request;
}
