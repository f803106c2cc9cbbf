import { and, asc, eq, gt, isNull, lt, or, type SQL, sql } from 'drizzle-orm';
import { type ApiKey, LAST_USE_SECONDS, MAX_KEYS } from '../../shared/api/keys.ts';
import type { OwnLimits } from '../tenant-limits.ts';
import { batch, type Db, statement } from './client.ts';
import { apiKeys, tenantLimits } from './schema.ts';

export type KeyRow = Omit<typeof apiKeys.$inferSelect, 'revokedAt'>;

/** A key in use, and what its tenant may do. */
export interface ClientKey extends KeyRow {
  /** `key_` and the first digits of its SHA-256. */
  id: string;
  limits: OwnLimits;
}

const shown = {
  hash: apiKeys.hash,
  tenant: apiKeys.tenant,
  name: apiKeys.name,
  createdAt: apiKeys.createdAt,
  expiresAt: apiKeys.expiresAt,
  lastUsedAt: apiKeys.lastUsedAt,
  role: apiKeys.role,
};

export const keyIdOf = (hash: string) => `key_${hash.slice(0, 16)}`;

/** True while the key has not expired. */
export function isInTime({ expiresAt }: Pick<KeyRow, 'expiresAt'>, now: number): boolean {
  return expiresAt === null || now < expiresAt;
}

const isInUse = (now: number): SQL =>
  and(isNull(apiKeys.revokedAt), or(isNull(apiKeys.expiresAt), gt(apiKeys.expiresAt, now)))!;

/** Matches the tenant's key of this id, while it is in use. The range makes it a look-up by the hash. */
function isKey(tenant: string, id: string, now: number): SQL {
  const digits = id.slice('key_'.length);
  return and(
    eq(apiKeys.tenant, tenant),
    sql`${apiKeys.hash} >= ${digits} AND ${apiKeys.hash} < ${`${digits}g`}`,
    isInUse(now),
  )!;
}

/** The key in use that has this SHA-256. */
export async function findKey(db: Db, hash: string, now: number): Promise<ClientKey | undefined> {
  const rows = await db
    .select({ key: shown, limits: tenantLimits })
    .from(apiKeys)
    .leftJoin(tenantLimits, eq(tenantLimits.tenant, apiKeys.tenant))
    .where(and(eq(apiKeys.hash, hash), isInUse(now)));
  if (!rows[0]) return undefined;
  const { key, limits } = rows[0];
  return { ...key, id: keyIdOf(hash), limits: limits ?? NO_OWN_LIMITS };
}

const NO_OWN_LIMITS: OwnLimits = {
  requestsPerMinute: null,
  tokensPerMinute: null,
  queuedJobs: null,
  storedBytes: null,
};

/** What is said of a tenant alone. */
export async function findLimits(db: Db, tenant: string): Promise<OwnLimits> {
  const rows = await db.select().from(tenantLimits).where(eq(tenantLimits.tenant, tenant));
  return rows[0] ?? NO_OWN_LIMITS;
}

/** Notes that a key is used, unless that was noted lately. */
export async function noteUse(db: Db, hash: string, now: number): Promise<void> {
  await db
    .update(apiKeys)
    .set({ lastUsedAt: now })
    .where(
      and(
        eq(apiKeys.hash, hash),
        or(isNull(apiKeys.lastUsedAt), lt(apiKeys.lastUsedAt, now - LAST_USE_SECONDS)),
      ),
    );
}

/** The tenant's keys in use, oldest first. */
export async function keysOf(db: Db, tenant: string, now: number): Promise<KeyRow[]> {
  return db
    .select(shown)
    .from(apiKeys)
    .where(and(eq(apiKeys.tenant, tenant), isInUse(now)))
    .orderBy(asc(apiKeys.createdAt), asc(apiKeys.hash));
}

export async function findKeyById(
  db: Db,
  tenant: string,
  id: string,
  now: number,
): Promise<KeyRow | undefined> {
  const rows = await db
    .select(shown)
    .from(apiKeys)
    .where(isKey(tenant, id, now));
  return rows[0];
}

export type NewKey = Pick<KeyRow, 'hash' | 'tenant' | 'name' | 'expiresAt' | 'role'>;

function insertKey(db: Db, { hash, tenant, name, expiresAt, role }: NewKey, guard: SQL, now: number) {
  const inUse = sql`(SELECT count(*) FROM ${apiKeys} WHERE ${and(eq(apiKeys.tenant, tenant), isInUse(now))})`;
  return statement<{ hash: string }>(
    db,
    sql`INSERT INTO ${apiKeys} (hash, tenant, name, created_at, expires_at, role)
    SELECT ${hash}, ${tenant}, ${name}, ${now}, ${expiresAt}, ${role} WHERE ${inUse} < ${MAX_KEYS} AND ${guard} RETURNING hash`,
  );
}

/** Stores a new key. Returns whether there was room for it. */
export async function addKey(db: Db, key: NewKey, now: number): Promise<boolean> {
  return (await insertKey(db, key, sql`1`, now)).length > 0;
}

/** Stores a key in place of the one of this id, which ends by `endsAt`. Returns when that one ends; undefined where it is not in use, or there is no room. */
export async function replaceKey(
  db: Db,
  id: string,
  key: NewKey,
  endsAt: number,
  now: number,
): Promise<number | undefined> {
  const old = isKey(key.tenant, id, now);
  const isMade = sql`EXISTS (SELECT 1 FROM ${apiKeys} WHERE ${eq(apiKeys.hash, key.hash)})`;
  const { ended } = await batch(db, {
    made: insertKey(db, key, sql`EXISTS (SELECT 1 FROM ${apiKeys} WHERE ${old})`, now),
    ended: db
      .update(apiKeys)
      .set({ expiresAt: sql`min(coalesce(${apiKeys.expiresAt}, ${endsAt}), ${endsAt})` })
      .where(and(old, isMade))
      .returning({ expiresAt: apiKeys.expiresAt }),
  });
  return ended[0]?.expiresAt ?? undefined;
}

/** Ends a key. Returns its hash, or undefined where it is not in use. */
export async function revokeKey(
  db: Db,
  tenant: string,
  id: string,
  now: number,
): Promise<string | undefined> {
  const rows = await db
    .update(apiKeys)
    .set({ revokedAt: now })
    .where(isKey(tenant, id, now))
    .returning({ hash: apiKeys.hash });
  return rows[0]?.hash;
}

/** The key as the API shows it, to the holder of the key `current`. */
export function viewKey(
  { hash, name, createdAt, lastUsedAt, expiresAt, role }: KeyRow,
  current: string,
): ApiKey {
  return {
    object: 'api_key',
    id: keyIdOf(hash),
    name,
    created_at: createdAt,
    last_used_at: lastUsedAt,
    expires_at: expiresAt,
    role,
    current: hash === current,
  };
}
