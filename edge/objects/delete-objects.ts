import type { Db } from '../db/client.ts';
import { forgetObjects, type StoredObject, takeExpiredObjects } from '../db/objects.ts';
import type { Env } from '../env.ts';

/** Keys that R2 deletes in one call. */
const MAX_KEYS = 1000;

/** Deletes objects that are due already; the sweep takes those that fail here. */
export async function deleteObjects(env: Env, db: Db, keys: string[]): Promise<void> {
  for (let i = 0; i < keys.length; i += MAX_KEYS) {
    const some = keys.slice(i, i + MAX_KEYS);
    try {
      await env.BUCKET.delete(some);
      await forgetObjects(db, some);
    } catch (error) {
      const cause = error instanceof Error ? error.name : 'unknown';
      console.warn(JSON.stringify({ level: 'warn', message: 'a deletion is left to the sweep', cause }));
    }
  }
}

/** Deletes up to 1,000 expired, unclaimed objects and aborts their uploads. */
export async function sweepObjects(env: Env, db: Db, now: number): Promise<void> {
  const expired = await takeExpiredObjects(db, now, MAX_KEYS);
  await Promise.all(expired.map((object) => abortUpload(env, object)));
  await deleteObjects(
    env,
    db,
    expired.map((object) => object.key),
  );
}

/** Aborts an upload. R2 throws if it is gone, and forgets an uncompleted one by itself after a week. */
async function abortUpload(env: Env, { key, uploadId }: StoredObject): Promise<void> {
  if (uploadId === null) return;
  await env.BUCKET.resumeMultipartUpload(key, uploadId)
    .abort()
    .catch(() => undefined);
}
