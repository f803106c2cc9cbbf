import type { Context } from 'hono';
import { createMiddleware } from 'hono/factory';
import { AppError } from '../../shared/errors.ts';
import { countQueued } from '../db/queue.ts';
import { storedBytes } from '../db/stored-bytes.ts';
import { addUsage } from '../db/usage.ts';
import type { AppEnv } from '../http/app-env.ts';
import { respondWithError } from '../http/problems.ts';
import { isolate } from '../nodes/isolate.ts';
import type { Used } from '../rate-meter.ts';
import { limitsOf } from '../tenant-limits.ts';

// Each limit of a tenant has its headers, in OpenAI's form: x-ratelimit-limit-KIND, -remaining-KIND and, where time frees it, -reset-KIND.
// A tenant without a limit gets none of its headers, and costs no count.

/** Refuses requests beyond those that the tenant may make in a minute. */
export const limitRequests = createMiddleware<AppEnv>(async (c, next) => {
  const { requestsPerMinute, tokensPerMinute } = limits(c);
  if (requestsPerMinute === 0 && tokensPerMinute === 0) return next();
  const tenant = c.get('tenant');
  const refusal = refuseBeyond(tenant, 'requests', requestsPerMinute);
  if (refusal) c.res = respondWithError(refusal, c);
  else {
    isolate.rates.add(tenant, { requests: 1 });
    await next();
    isolate.rates.add(tenant, { tokens: c.get('tokens') ?? 0 });
  }
  c.executionCtx.waitUntil(tell(c).catch(() => {}));
  showRate(c, 'requests', requestsPerMinute);
  showRate(c, 'tokens', tokensPerMinute);
  return undefined;
});

/**
 * Refuses classifications beyond the tokens that the tenant may have in a minute. How many a text has is known when it has been classified,
 * so the request that crosses the limit is answered and the next one is refused.
 */
export const limitTokens = createMiddleware<AppEnv>(async (c, next) => {
  const refusal = refuseBeyond(c.get('tenant'), 'tokens', limits(c).tokensPerMinute);
  if (refusal) throw refusal;
  await next();
});

/** Tells how many jobs the tenant may still queue; the statement that queues one refuses it. */
export const showQueued = createMiddleware<AppEnv>(async (c, next) => {
  await next();
  const { queuedJobs } = limits(c);
  if (c.req.method !== 'POST') return;
  show(c, 'queued-jobs', queuedJobs, await countQueued(c.get('db'), c.get('tenant')));
});

/**
 * Refuses what stores more where the tenant stores as much as it may. What an upload comes to is taken from its Content-Length; one without
 * may cross the limit, and the next is refused.
 */
export const limitStorage = createMiddleware<AppEnv>(async (c, next) => {
  const limit = limits(c).storedBytes;
  if (limit === 0 || c.req.method !== 'POST') return next();
  const { bytes, largest } = await storedBytes(c.get('db'), c.get('tenant'));
  const isForm = c.req.header('content-type')?.startsWith('multipart/') ?? false;
  const coming = isForm ? Number(c.req.header('content-length') ?? 0) : 0;
  if (bytes >= limit || bytes + coming > limit) {
    const named = largest.map((one) => `DELETE ${one.path} (${one.bytes} bytes)`).join(', ');
    const way = named ? `the largest: ${named}` : 'there is nothing to delete; ask for a higher limit';
    const more = coming > 0 ? `, and this upload has ${coming}` : '';
    const message = `You store ${bytes} of ${limit} bytes at most${more}. Delete some first; ${way}.`;
    c.res = respondWithError(new AppError('storage_full', message), c);
  } else await next();
  show(c, 'stored-bytes', limit, bytes);
  return undefined;
});

const limits = (c: Context<AppEnv>) => limitsOf(c.env, c.get('key').limits);

function refuseBeyond(tenant: string, kind: keyof Used, limit: number): AppError | undefined {
  if (limit === 0) return undefined;
  const { used, resetsIn } = isolate.rates.sum(tenant);
  if (used[kind] < limit) return undefined;
  const message = `You have had the ${limit} ${kind} of this minute; the next begins in ${resetsIn} s.`;
  return new AppError('rate_limited', message, { retryAfter: resetsIn });
}

/** Notes what this isolate has counted, once in a while. */
async function tell(c: Context<AppEnv>): Promise<void> {
  const tenant = c.get('tenant');
  const untold = isolate.rates.takeUntold(tenant);
  if (!untold) return;
  const sum = await addUsage(c.get('db'), tenant, untold.minute, untold.counted);
  if (sum) isolate.rates.learn(tenant, untold.minute, sum);
}

function showRate(c: Context<AppEnv>, kind: keyof Used, limit: number): void {
  const { used, resetsIn } = isolate.rates.sum(c.get('tenant'));
  show(c, kind, limit, used[kind]);
  if (limit > 0) c.header(`x-ratelimit-reset-${kind}`, `${resetsIn}s`);
}

function show(c: Context<AppEnv>, kind: string, limit: number, used: number): void {
  if (limit === 0) return;
  c.header(`x-ratelimit-limit-${kind}`, String(limit));
  c.header(`x-ratelimit-remaining-${kind}`, String(Math.max(0, limit - used)));
}
