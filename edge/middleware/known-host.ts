import { createMiddleware } from 'hono/factory';
import { AppError } from '../../shared/errors.ts';
import type { AppEnv } from '../http/app-env.ts';

/**
 * Refuses requests for other hosts than those of `ALLOWED_HOSTS`. The local edge has a well-known key and listens where any web page's
 * requests can get: one whose name was pointed here (DNS rebinding) would come under that name.
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
