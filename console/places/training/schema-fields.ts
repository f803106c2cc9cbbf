import type { JsonSchema } from '../../api/requests.ts';

/** How a field of a request is typed in; empty means that it is left out, so that the API's default, mostly "auto", holds. */
export type FieldKind =
  | { kind: 'choice'; choices: string[] }
  | { kind: 'number'; min: number | undefined; max: number | undefined; isWhole: boolean }
  | { kind: 'text'; choices: string[]; form: 'names' | 'json' | 'plain' };

/** The ways in which a schema may be fulfilled, `"auto"` apart. */
function waysOf(schema: JsonSchema): JsonSchema[] {
  const ways = schema.anyOf ?? schema.oneOf ?? [schema];
  return ways
    .map((way) => (way.enum ? { ...way, enum: way.enum.filter((value) => value !== 'auto') } : way))
    .filter((way) => way.const !== 'auto' && way.enum?.length !== 0);
}

export function kindOf(schema: JsonSchema): FieldKind {
  const ways = waysOf(schema);
  const choices = ways
    .flatMap((way) => (way.const === undefined ? (way.enum ?? []) : [way.const]))
    .map(String);
  const others = ways.filter((way) => !way.enum && way.const === undefined);
  const [other] = others;
  if (!other) return { kind: 'choice', choices };
  if (other.type === 'boolean') return { kind: 'choice', choices: ['true', 'false'] };
  if (choices.length === 0 && (other.type === 'number' || other.type === 'integer')) {
    const min = other.minimum ?? other.exclusiveMinimum;
    return { kind: 'number', min, max: other.maximum, isWhole: other.type === 'integer' };
  }
  const form = other.type === 'array' ? 'names' : other.type === 'object' ? 'json' : 'plain';
  return { kind: 'text', choices, form };
}

/** The value of what was typed in. What cannot be read is sent as it is, and the API says what is wrong with it. */
export function readTyped(schema: JsonSchema, typed: string): unknown {
  const field = kindOf(schema);
  if (field.kind === 'number') return Number(typed);
  if (field.kind === 'choice') return typed === 'true' ? true : typed === 'false' ? false : typed;
  if (field.choices.includes(typed) || field.form === 'plain') return typed;
  if (field.form === 'names') {
    const names = typed.split(',').map((name) => name.trim());
    return names.filter((name) => name !== '');
  }
  try {
    return JSON.parse(typed);
  } catch {
    return typed;
  }
}

/** The methods of a request, by the value of `type`. */
export function methodsOf(method: JsonSchema): Map<string, Record<string, JsonSchema>> {
  const objects = (method.anyOf ?? method.oneOf ?? []).filter((way) => way.properties?.type);
  return new Map(
    objects.map(({ properties }) => {
      const { type, ...fields } = properties!;
      return [String(type!.const ?? type!.enum?.[0]), fields];
    }),
  );
}
