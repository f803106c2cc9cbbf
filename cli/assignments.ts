import { InvalidArgumentError } from '@commander-js/extra-typings';

/** A field of a request, by its path, and its value. */
export interface Assignment {
  path: readonly string[];
  value: unknown;
}

const PATH = /^[a-z][a-z0-9_]{0,63}(\.[a-z][a-z0-9_]{0,63}){0,7}$/;

/** Reads `hyperparameters.max_length=64`. The value is JSON where it is any, else a string. */
export function readAssignment(given: string): Assignment {
  const at = given.indexOf('=');
  const path = given.slice(0, Math.max(0, at));
  if (!PATH.test(path)) {
    throw new InvalidArgumentError('It must be FIELD=VALUE, e.g. hyperparameters.max_length=64.');
  }
  return { path: path.split('.'), value: jsonOr(given.slice(at + 1)) };
}

/** Sets the field of a request, and makes the objects on the way. */
export function assign(body: Record<string, unknown>, { path, value }: Assignment): void {
  let at = body;
  for (const name of path.slice(0, -1)) {
    const inner = Object.hasOwn(at, name) ? at[name] : undefined;
    at[name] = typeof inner === 'object' && inner !== null ? { ...inner } : {};
    at = at[name] as Record<string, unknown>;
  }
  at[path.at(-1)!] = value;
}

function jsonOr(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
