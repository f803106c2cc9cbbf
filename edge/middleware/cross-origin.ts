import { cors } from 'hono/cors';
import { createMiddleware } from 'hono/factory';
import type { AppEnv } from '../http/app-env.ts';
import { LIMIT_HEADERS } from '../http/limit-headers.ts';

/** Headers of answers that a page may read. */
const EXPOSED = [
  'x-request-id',
  'retry-after',
  'server-timing',
  'x-should-retry',
  'location',
  'etag',
  'content-disposition',
  ...LIMIT_HEADERS,
];
const PREFLIGHT_SECONDS = 3600;

const answer = cors({
  origin: (origin, { env }) => (isAllowed(origin, env.CORS_ORIGINS) ? origin : null),
  allowMethods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
  exposeHeaders: EXPOSED,
  maxAge: PREFLIGHT_SECONDS,
});

/**
 * Lets pages of the origins in `CORS_ORIGINS` call the API, never with credentials: a page must have been given a key, which it sends in a
 * header. An OPTIONS request that is no preflight is passed on, to be answered with the route's methods.
 */
export const crossOrigin = createMiddleware<AppEnv>(async (c, next) => {
  const isPlainOptions = c.req.method === 'OPTIONS' && !c.req.header('access-control-request-method');
  if (isPlainOptions || c.req.header('origin') === undefined) return next();
  return answer(c, next);
});

function isAllowed(origin: string, allowed: string): boolean {
  const origins = allowed.split(',').map((one) => one.trim());
  return origins.includes(origin) || origins.includes('*');
}
