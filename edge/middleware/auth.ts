import type { MiddlewareHandler } from 'hono';
import { AppError } from '../../shared/errors.ts';
import { findTenant } from '../db/api-keys.ts';
import type { Db } from '../db/client.ts';
import type { AppEnv } from '../env.ts';
import { equalSecrets, sha256Of } from '../hashing.ts';

/** A revoked key works on for at most this long in an isolate that has just seen it. */
const KEY_CACHE_MS = 5_000;
const MAX_CACHED_KEYS = 1_000;
const MAX_KEY_LENGTH = 256;

const cachedKeys = new Map<string, { tenant: string; until: number }>();

/** Under `/v1/`: the bearer key names the tenant, by which every query is scoped. */
export const requireTenant: MiddlewareHandler<AppEnv> = async (c, next) => {
  const key = bearer(c.req.header('authorization'));
  const tenant = key === undefined ? undefined : await tenantOf(c.get('db'), await sha256Of(key));
  if (tenant === undefined) {
    throw new AppError('invalid_api_key', 'Give a valid key as "Authorization: Bearer KEY".');
  }
  c.set('tenant', tenant);
  await next();
};

/** Under `/internal/`: the secret that nodes and edge share. */
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

async function tenantOf(db: Db, hash: string): Promise<string | undefined> {
  const cached = cachedKeys.get(hash);
  if (cached && cached.until > Date.now()) return cached.tenant;
  const tenant = await findTenant(db, hash);
  if (tenant === undefined) {
    cachedKeys.delete(hash);
    return undefined;
  }
  if (cachedKeys.size >= MAX_CACHED_KEYS) cachedKeys.clear();
  cachedKeys.set(hash, { tenant, until: Date.now() + KEY_CACHE_MS });
  return tenant;
}
