import { and, eq, sql } from 'drizzle-orm';
import { batch, type Db } from './client.ts';
import { leased } from './leases.ts';
import { type JobCheckpoint, jobs, objects } from './schema.ts';

/**
 * Makes a stored training state the one that the job's next attempt resumes from, if the lease still holds and the object is there. The
 * state it replaces is due for the sweep. Returns whether it was kept.
 */
export async function keepCheckpoint(
  db: Db,
  job: { id: string; token: string },
  checkpoint: JobCheckpoint,
  now: number,
): Promise<boolean> {
  const { key } = checkpoint;
  const mine = leased(job.id, job.token);
  const stored = sql`EXISTS (SELECT 1 FROM ${objects} WHERE ${objects.key} = ${key} AND ${objects.sha256} IS NOT NULL)`;
  const earlier = sql`(SELECT ${jobs.checkpoint} ->> '$.key' FROM ${jobs} WHERE ${mine} AND ${stored})`;
  const kept = sql`EXISTS (SELECT 1 FROM ${jobs} WHERE ${jobs.id} = ${job.id} AND ${jobs.checkpoint} ->> '$.key' = ${key})`;
  const { named } = await batch(db, {
    earlier: db.update(objects).set({ expiresAt: now }).where(eq(objects.key, earlier)),
    named: db.update(jobs).set({ checkpoint }).where(and(mine, stored)).returning({ id: jobs.id }),
    object: db
      .update(objects)
      .set({ expiresAt: null })
      .where(and(eq(objects.key, key), kept)),
  });
  return named.length > 0;
}
