import { createMiddleware } from 'hono/factory';
import { AppError } from '../../shared/errors.ts';
import { unixNow } from '../clock.ts';
import { claimKey, keepAnswer, releaseKey } from '../db/idempotency.ts';
import { sha256Of } from '../hashing.ts';
import type { AppEnv } from '../http/app-env.ts';

const MAX_KEY_LENGTH = 255;

/**
 * Implements `Idempotency-Key`: for a day each repetition gets the first request's answer. A failed request has left nothing, so it frees
 * its key. It must come after `jsonBody`, whose text it hashes.
 */
export const idempotent = createMiddleware<AppEnv>(async (c, next) => {
  const key = c.req.header('idempotency-key');
  if (key === undefined) return next();
  if (key.length === 0 || key.length > MAX_KEY_LENGTH) {
    const message = `Idempotency-Key must have 1 to ${MAX_KEY_LENGTH} characters.`;
    throw new AppError('invalid_request', message, { param: 'Idempotency-Key' });
  }
  const request = { tenant: c.get('tenant'), key };
  const hash = await sha256Of(`${c.req.method} ${c.req.path}\n${await c.req.text()}`);
  const db = c.get('db');
  const earlier = await claimKey(db, request, hash, unixNow());
  if (earlier) {
    if (earlier.requestHash !== hash) {
      throw new AppError('idempotency_conflict', 'This Idempotency-Key came with another body before.');
    }
    if (earlier.status === null || earlier.body === null) {
      const message = 'The first request with this Idempotency-Key is still under way.';
      throw new AppError('idempotency_conflict', message, { retryAfter: 1 });
    }
    const headers = {
      'content-type': 'application/json',
      ...(earlier.location && { location: earlier.location }),
    };
    return c.newResponse(earlier.body, earlier.status as 202, headers);
  }
  await next();
  if (!c.res.ok) return releaseKey(db, request);
  const answer = {
    status: c.res.status,
    body: await c.res.clone().text(),
    location: c.res.headers.get('location'),
  };
  await keepAnswer(db, request, answer);
});
