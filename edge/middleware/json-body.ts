import type { MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { createMiddleware } from 'hono/factory';
import { AppError } from '../../shared/errors.ts';
import type { AppEnv } from '../env.ts';

export const MAX_JSON_BYTES = 1024 * 1024;

/** Refuses a body beyond `maxBytes`, whether or not it declares its length. */
export function limitBody(maxBytes: number): MiddlewareHandler<AppEnv> {
  return bodyLimit({
    maxSize: maxBytes,
    onError: () => {
      throw new AppError('payload_too_large', `The body is larger than ${maxBytes} bytes.`);
    },
  });
}

/**
 * Decodes the body once and strictly: `Request.json()` would turn broken UTF-8 into replacement characters, and a
 * model would be trained on those.
 */
export const strictUtf8 = createMiddleware<AppEnv>(async (c, next) => {
  if (!c.req.header('content-type')?.includes('json')) return next();
  const bytes = await c.req.arrayBuffer();
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes);
    // Where `c.req.text()` and `c.req.json()` look first; the type leaves out that it holds promises.
    c.req.bodyCache.text = Promise.resolve(text) as never;
  } catch (cause) {
    throw new AppError('malformed_json', 'The body is not valid UTF-8.', { cause });
  }
  await next();
});

/** Every route that takes JSON lists this as its middleware. */
export function jsonBody(maxBytes = MAX_JSON_BYTES): MiddlewareHandler<AppEnv>[] {
  return [limitBody(maxBytes), strictUtf8];
}
