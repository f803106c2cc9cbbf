import { and, eq, isNull } from 'drizzle-orm';
import type { Db } from './client.ts';
import { apiKeys } from './schema.ts';

/** The tenant whose unrevoked key has this SHA-256. */
export async function findTenant(db: Db, hash: string): Promise<string | undefined> {
  const rows = await db
    .select({ tenant: apiKeys.tenant })
    .from(apiKeys)
    .where(and(eq(apiKeys.hash, hash), isNull(apiKeys.revokedAt)));
  return rows[0]?.tenant;
}
