import { and, eq, inArray, lt, sql } from 'drizzle-orm';
import type { Db } from './client.ts';
import { idempotency } from './schema.ts';

/** Seconds that an answer is given again. */
const KEPT_SECONDS = 24 * 3600;
/** Seconds after which a request without an answer is taken to have died. */
const ABANDONED_SECONDS = 60;
const PURGE_CHUNK = 1000;

interface RequestKey {
  tenant: string;
  key: string;
}

const isKey = ({ tenant, key }: RequestKey) => and(eq(idempotency.tenant, tenant), eq(idempotency.key, key));

/** Claims the key for this request, or gives what an earlier one with it was and answered. */
export async function claimKey(db: Db, request: RequestKey, requestHash: string, now: number) {
  const fresh = { requestHash, status: null, body: null, location: null, createdAt: now };
  const stale = sql`${idempotency.createdAt} < ${now - KEPT_SECONDS}
    OR (${idempotency.status} IS NULL AND ${idempotency.createdAt} < ${now - ABANDONED_SECONDS})`;
  const claimed = await db
    .insert(idempotency)
    .values({ ...request, ...fresh })
    .onConflictDoUpdate({
      target: [idempotency.tenant, idempotency.key],
      set: fresh,
      setWhere: stale,
    })
    .returning({ key: idempotency.key });
  if (claimed.length > 0) return undefined;
  const rows = await db.select().from(idempotency).where(isKey(request));
  return rows[0];
}

export async function keepAnswer(
  db: Db,
  request: RequestKey,
  answer: { status: number; body: string; location: string | null },
): Promise<void> {
  await db.update(idempotency).set(answer).where(isKey(request));
}

export async function releaseKey(db: Db, request: RequestKey): Promise<void> {
  await db.delete(idempotency).where(isKey(request));
}

/** Forgets answers that are no longer given again, a bounded number of them. */
export async function purgeAnswers(db: Db, now: number): Promise<void> {
  const old = db
    .select({ rowid: sql`rowid` })
    .from(idempotency)
    .where(lt(idempotency.createdAt, now - KEPT_SECONDS))
    .limit(PURGE_CHUNK);
  await db.delete(idempotency).where(inArray(sql`rowid`, old));
}
