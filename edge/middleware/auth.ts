import type { Context, MiddlewareHandler } from 'hono';
import { LAST_USE_SECONDS } from '../../shared/api/keys.ts';
import { AppError } from '../../shared/errors.ts';
import { unixNow } from '../clock.ts';
import { type ClientKey, findKey, isInTime, noteUse } from '../db/api-keys.ts';
import { equalSecrets, sha256Of } from '../hashing.ts';
import type { AppEnv } from '../http/app-env.ts';
import { isolate } from '../nodes/isolate.ts';

const MAX_KEY_LENGTH = 256;

/** Guards `/v1/`: the bearer key names the tenant, by which every query is scoped. */
export const requireTenant: MiddlewareHandler<AppEnv> = async (c, next) => {
  const key = bearer(c.req.header('authorization'));
  const known = key === undefined ? undefined : await recall(c, await sha256Of(key));
  if (known === undefined) {
    throw new AppError('invalid_api_key', 'Give a valid key as "Authorization: Bearer KEY".');
  }
  c.set('tenant', known.tenant);
  c.set('key', known);
  await next();
};

/** Guards `/internal/`: the caller must know the secret that nodes and edge share. */
export const requireNode: MiddlewareHandler<AppEnv> = async (c, next) => {
  const secret = bearer(c.req.header('authorization'));
  if (secret === undefined || !c.env.NODE_SECRET || !(await equalSecrets(secret, c.env.NODE_SECRET))) {
    throw new AppError('invalid_api_key', 'Give the node secret as "Authorization: Bearer SECRET".');
  }
  await next();
};

function bearer(header: string | undefined): string | undefined {
  const match = /^Bearer +(\S+)$/i.exec(header ?? '');
  const token = match?.[1];
  return token !== undefined && token.length <= MAX_KEY_LENGTH ? token : undefined;
}

/** Finds a key by its hash. A revoked key works until the isolate forgets it; one that expires ends in time. */
async function recall(c: Context<AppEnv>, hash: string): Promise<ClientKey | undefined> {
  const now = unixNow();
  const known = isolate.keys.get(hash);
  if (known !== undefined) return isInTime(known, now) ? known : undefined;
  const found = await findKey(c.get('db'), hash, now);
  if (found === undefined) return undefined;
  isolate.keys.set(hash, found);
  if (now - (found.lastUsedAt ?? 0) > LAST_USE_SECONDS) {
    c.executionCtx.waitUntil(noteUse(c.get('db'), hash, now).catch(() => {}));
  }
  return found;
}
