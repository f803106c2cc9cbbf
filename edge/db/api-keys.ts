import { and, eq, isNull, sql } from 'drizzle-orm';
import type { Db } from './client.ts';
import { apiKeys } from './schema.ts';

/** A client's key, as far as it may be shown. */
export interface ClientKey {
  /** `key_` and the first digits of its SHA-256. */
  id: string;
  tenant: string;
  name: string | null;
}

/** The unrevoked key that has this SHA-256. */
export async function findKey(db: Db, hash: string): Promise<ClientKey | undefined> {
  const rows = await db
    .select({
      id: sql<string>`'key_' || substr(${apiKeys.hash}, 1, 16)`,
      tenant: apiKeys.tenant,
      name: apiKeys.name,
    })
    .from(apiKeys)
    .where(and(eq(apiKeys.hash, hash), isNull(apiKeys.revokedAt)));
  return rows[0];
}
