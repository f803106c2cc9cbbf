import { and, isNull, type SQL, sql } from 'drizzle-orm';
import type { Db } from './client.ts';
import { jobs, objects } from './schema.ts';
import { unfinished } from './unfinished.ts';

// The key of each object here is a prefix that ends in a slash, then a job's id. Nobody owns it once the job has ended.

/** Makes the inline datasets of ended jobs due for the next sweep. */
export function releaseInlineDatasets(db: Db, prefix: string, now: number): Promise<void> {
  return releaseUnwanted(db, prefix, sql`1`, now);
}

/** Makes the saved training states that no unfinished job would resume from due for the next sweep. */
export function releaseCheckpoints(db: Db, prefix: string, now: number): Promise<void> {
  return releaseUnwanted(db, prefix, sql`${jobs.checkpoint} ->> '$.key' = ${objects.key}`, now);
}

/** @param isWanted a condition on an unfinished job: it still needs the object */
async function releaseUnwanted(db: Db, prefix: string, isWanted: SQL, now: number): Promise<void> {
  const rest = sql`substr(${objects.key}, ${prefix.length + 1})`;
  const jobId = sql`substr(${rest}, 1, instr(${rest} || '/', '/') - 1)`;
  await db
    .update(objects)
    .set({ expiresAt: now })
    .where(
      and(
        sql`${objects.key} >= ${prefix} AND ${objects.key} < ${`${prefix}~`}`,
        isNull(objects.expiresAt),
        sql`NOT EXISTS (SELECT 1 FROM ${jobs}
          WHERE ${jobs.id} = ${jobId} AND ${jobs.status} IN (${unfinished}) AND ${isWanted})`,
      ),
    );
}
