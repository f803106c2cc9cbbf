import { createMiddleware } from 'hono/factory';
import { AppError } from '../../shared/errors.ts';
import type { AppEnv } from '../http/app-env.ts';

/**
 * Refuses requests for hosts other than those of `ALLOWED_HOSTS`. The local edge has a well-known key, and a web page whose name points to
 * this machine (DNS rebinding) could call it; such a call comes under the page's own host name.
 */
export const knownHost = createMiddleware<AppEnv>(async (c, next) => {
  const allowed = c.env.ALLOWED_HOSTS;
  const name = (c.req.header('host') ?? '').replace(/:\d{1,5}$/, '').toLowerCase();
  if (allowed !== '' && !allowed.split(',').includes(name)) {
    const shown = JSON.stringify(name.slice(0, 100));
    throw new AppError(
      'not_found',
      `There is no host ${shown} here; there are ${allowed.replaceAll(',', ', ')}.`,
    );
  }
  await next();
});
