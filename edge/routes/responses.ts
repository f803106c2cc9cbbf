import type { z } from 'zod';
import { problemBody } from '../../shared/api/common.ts';

/** A route's JSON answer, for `createRoute({ responses })`. */
export function json<T extends z.ZodType>(description: string, schema: T) {
  return { description, content: { 'application/json': { schema } } };
}

/** Any error; `default` in `createRoute({ responses })`. Handlers throw `AppError` and never build it. */
export const problemResponse = {
  description: 'An error',
  content: { 'application/problem+json': { schema: problemBody } },
};

/** A route's JSON body, for `createRoute({ request: { body } })`. */
export function jsonRequest<T extends z.ZodType>(schema: T) {
  return { required: true, content: { 'application/json': { schema } } };
}
