import type { z } from 'zod';
import { AppError } from '../errors.ts';

/** True if a key of the file that no rule mentions could have an effect. */
function isSet(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return value !== null && value !== false && value !== undefined;
}

/** @throws {AppError} `invalid_adapter`, naming the key */
export function parseWith<S extends z.ZodType>(schema: S, json: unknown, file: string): z.infer<S> {
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const where = issue?.path.length ? `${issue.path.join('.').slice(0, 120)}: ` : '';
  throw new AppError('invalid_adapter', `${file}: ${where}${issue?.message}`);
}

/** Refuses a key that is set and not among those that are known. @throws {AppError} `invalid_adapter`, naming the key */
export function requireKnown(config: Record<string, unknown>, known: readonly string[], file: string): void {
  const unknown = Object.keys(config).find((key) => !known.includes(key) && isSet(config[key]));
  if (unknown === undefined) return;
  throw new AppError('invalid_adapter', `${file}: ${JSON.stringify(unknown.slice(0, 120))} is not supported`);
}
