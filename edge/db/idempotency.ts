import { and, eq, inArray, lt, sql } from 'drizzle-orm';
import type { Db } from './client.ts';
import { idempotency } from './schema.ts';

/** Seconds for which an answer is kept and repeated. */
const KEPT_SECONDS = 24 * 3600;
/** Seconds after which a request without an answer is taken to have died. */
const ABANDONED_SECONDS = 60;
const PURGE_CHUNK = 1000;

interface RequestKey {
  tenant: string;
  key: string;
}

const isKey = ({ tenant, key }: RequestKey) => and(eq(idempotency.tenant, tenant), eq(idempotency.key, key));

/** Claims the key for this request, or returns the earlier request with this key and its answer. */
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

/** Forgets a bounded number of answers whose time is over. */
export async function purgeAnswers(db: Db, now: number): Promise<void> {
  const old = db
    .select({ rowid: sql`rowid` })
    .from(idempotency)
    .where(lt(idempotency.createdAt, now - KEPT_SECONDS))
    .limit(PURGE_CHUNK);
  await db.delete(idempotency).where(inArray(sql`rowid`, old));
}
