import { and, eq, inArray, isNotNull, lte, type SQL, sql } from 'drizzle-orm';
import type { Db } from './client.ts';
import { objects } from './schema.ts';

/** Seconds after which an object that nothing has claimed is deleted. */
export const UNCLAIMED_SECONDS = 3600;

/** A row of the ledger of R2 objects. */
export type StoredObject = typeof objects.$inferSelect;

/**
 * Notes an object before its first byte is written, so that it is never lost track of. It replaces a row of the same key: keys carry ids
 * and attempts, so only a repeated upload meets one.
 */
export async function beginObject(db: Db, key: string, now: number, uploadId: string | null): Promise<void> {
  const values = { uploadId, bytes: null, sha256: null, createdAt: now, expiresAt: now + UNCLAIMED_SECONDS };
  await db
    .insert(objects)
    .values({ key, ...values })
    .onConflictDoUpdate({ target: objects.key, set: values });
}

/** Marks an object as complete. It stays unclaimed until `claimObjects` keeps it. */
export async function finishObject(
  db: Db,
  key: string,
  stored: { bytes: number; sha256: string },
): Promise<void> {
  await db
    .update(objects)
    .set({ ...stored, uploadId: null })
    .where(eq(objects.key, key));
}

/** A statement for a batch: it keeps these objects from now on, where `condition` holds. */
export function claimObjects(db: Db, keys: string[], condition?: SQL) {
  return db
    .update(objects)
    .set({ expiresAt: null })
    .where(and(inArray(objects.key, keys), condition));
}

/** Makes an upload that failed due for the next sweep, unless it has been claimed. */
export async function expireUnclaimed(db: Db, key: string, now: number): Promise<void> {
  await db
    .update(objects)
    .set({ expiresAt: now })
    .where(and(eq(objects.key, key), isNotNull(objects.expiresAt)));
}

/** The complete objects among `keys`. */
export async function findObjects(db: Db, keys: string[]): Promise<StoredObject[]> {
  return db
    .select()
    .from(objects)
    .where(and(inArray(objects.key, keys), isNotNull(objects.sha256)));
}

/**
 * Takes up to `limit` expired objects for deletion. They count as incomplete from now on, so that nothing can claim them. The next sweep
 * takes again what is not forgotten afterwards.
 */
export async function takeExpiredObjects(db: Db, now: number, limit: number): Promise<StoredObject[]> {
  const expired = db
    .select({ key: objects.key })
    .from(objects)
    .where(and(isNotNull(objects.expiresAt), lte(objects.expiresAt, now)))
    .orderBy(objects.expiresAt)
    .limit(limit);
  return db.update(objects).set({ sha256: null }).where(inArray(objects.key, expired)).returning();
}

/** Forgets objects that are gone from R2. */
export async function forgetObjects(db: Db, keys: string[]): Promise<void> {
  await db
    .delete(objects)
    .where(sql`${objects.key} IN (SELECT value FROM json_each(${JSON.stringify(keys)}))`);
}
