import type { MiddlewareHandler } from 'hono';
import { AppError } from '../../shared/errors.ts';
import { findTenant } from '../db/api-keys.ts';
import type { Db } from '../db/client.ts';
import { equalSecrets, sha256Of } from '../hashing.ts';
import type { AppEnv } from '../http/app-env.ts';
import { isolate } from '../nodes/isolate.ts';

const MAX_KEY_LENGTH = 256;

/** Guards `/v1/`: the bearer key names the tenant, by which every query is scoped. */
export const requireTenant: MiddlewareHandler<AppEnv> = async (c, next) => {
  const key = bearer(c.req.header('authorization'));
  const tenant = key === undefined ? undefined : await tenantOf(c.get('db'), await sha256Of(key));
  if (tenant === undefined) {
    throw new AppError('invalid_api_key', 'Give a valid key as "Authorization: Bearer KEY".');
  }
  c.set('tenant', tenant);
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

/** Finds a key's tenant. A revoked key works until the isolate forgets it. */
async function tenantOf(db: Db, hash: string): Promise<string | undefined> {
  const known = isolate.keys.get(hash);
  if (known !== undefined) return known;
  const tenant = await findTenant(db, hash);
  if (tenant !== undefined) isolate.keys.set(hash, tenant);
  return tenant;
}
