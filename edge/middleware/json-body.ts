import type { MiddlewareHandler } from 'hono';
import { createMiddleware } from 'hono/factory';
import { collectBytes } from '../../shared/bytes.ts';
import { AppError } from '../../shared/errors.ts';
import type { AppEnv } from '../http/app-env.ts';
import { requestBytes } from '../upload/request-bytes.ts';

export const MAX_JSON_BYTES = 1024 * 1024;

/**
 * The middleware of every route that takes JSON. It reads the body once, within its limit whether or not the length is declared, and
 * decodes it strictly: `Request.json()` would turn broken UTF-8 into replacement characters, and a model would learn those.
 */
export function jsonBody(maxBytes = MAX_JSON_BYTES): MiddlewareHandler<AppEnv>[] {
  const tooLarge = () => new AppError('payload_too_large', `The body is larger than ${maxBytes} bytes.`);
  const read = createMiddleware<AppEnv>(async (c, next) => {
    if (Number(c.req.header('content-length')) > maxBytes) throw tooLarge();
    const bytes = await collectBytes(requestBytes(c.req.raw), maxBytes, tooLarge);
    const isJson = c.req.header('content-type')?.includes('json') ?? false;
    // `c.req.text()` and `c.req.json()` look here first; the cache's type leaves out that it holds promises.
    c.req.bodyCache.text = Promise.resolve(decode(bytes, isJson)) as never;
    await next();
  });
  return [read];
}

/** Decodes UTF-8; `strictly` refuses anything else. */
function decode(bytes: Uint8Array, strictly: boolean): string {
  try {
    return new TextDecoder('utf-8', { fatal: strictly, ignoreBOM: false }).decode(bytes);
  } catch (cause) {
    throw new AppError('malformed_json', 'The body is not valid UTF-8.', { cause });
  }
}
