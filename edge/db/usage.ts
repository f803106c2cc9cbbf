import { sql } from 'drizzle-orm';
import type { Used } from '../rate-meter.ts';
import type { Db } from './client.ts';
import { usage } from './schema.ts';

/** Adds to what a tenant used in a minute, and returns the sum over all isolates; undefined where a later minute has begun. */
export async function addUsage(
  db: Db,
  tenant: string,
  minute: number,
  { requests, tokens }: Used,
): Promise<Used | undefined> {
  const rows = await db.all<Used>(sql`INSERT INTO ${usage} (tenant, minute, requests, tokens)
    VALUES (${tenant}, ${minute}, ${requests}, ${tokens})
    ON CONFLICT (tenant) DO UPDATE SET
      requests = excluded.requests + CASE WHEN minute = excluded.minute THEN requests ELSE 0 END,
      tokens = excluded.tokens + CASE WHEN minute = excluded.minute THEN tokens ELSE 0 END,
      minute = excluded.minute
    WHERE minute <= excluded.minute
    RETURNING requests, tokens`);
  return rows[0];
}
